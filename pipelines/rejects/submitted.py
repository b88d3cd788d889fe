"""A fix sheet that came back: recognised by its mark, read as text, its rows matched to the delivery's."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import fastexcel
import polars as pl

from pipelines.rejects.mark import KIND, MARK_SHEET, OWN_COLUMNS, TOKEN, token

SHEET_BYTES = 50_000_000
"""A sheet that we wrote is far smaller; a bigger workbook is not looked into."""
WORKBOOK_BYTES = 1_000_000
FIRST_DATA_ROW = 2
"""The sheet's row, as Excel counts, of the first row below the technical names."""


@dataclass(frozen=True)
class FixSheet:
    """What a fix sheet says. It is a claim, not a fact: the rows are matched and judged before anything is believed."""

    dataset: str
    sha256: str
    """Bytes of the delivery that it corrects."""
    rows: pl.DataFrame
    """``sheet_row`` as Excel counts; ``row_number`` in the delivery, null where the row bears no mark of ours; text columns."""

    @property
    def columns(self) -> list[str]:
        return [name for name in self.rows.columns if name not in ("sheet_row", "row_number")]


def read_fix_sheet(file: Path) -> FixSheet | None:
    """The fix sheet in ``file``; None when it is any other delivery, or damaged (then the gate says how)."""
    if file.stat().st_size > SHEET_BYTES or not _marked(file):
        return None
    try:
        book = fastexcel.read_excel(file)
        if MARK_SHEET not in book.sheet_names:
            return None
        mark = dict(book.load_sheet(MARK_SHEET, header_row=None, dtypes="string").to_polars().iter_rows())
        if KIND not in mark:
            return None
        for name in book.sheet_names:
            sheet = book.load_sheet(name, header_row=0, dtypes="string")
            if TOKEN in [c.name for c in sheet.available_columns()]:
                return FixSheet(mark.get("dataset") or "", mark.get("sha256") or "", _matched(sheet.to_polars(), mark.get("sha256") or ""))
    except (fastexcel.FastExcelError, ValueError):
        return None
    return None


def _marked(file: Path) -> bool:
    """A cheap look before the workbook is read: most workbooks are large and no fix sheets."""
    if file.suffix.lower() not in (".xlsx", ".xlsm"):
        return file.suffix.lower() in (".ods", ".xls", ".xlsb")
    try:
        with zipfile.ZipFile(file) as archive, archive.open("xl/workbook.xml") as book:
            return f'name="{MARK_SHEET}"'.encode() in book.read(WORKBOOK_BYTES)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, OSError):
        return False


def _matched(sheet: pl.DataFrame, sha256: str) -> pl.DataFrame:
    columns = [c for c in sheet.columns if c not in OWN_COLUMNS and not c.startswith("__UNNAMED__")]
    numbers = {text: _row_number(text, sha256) for text in sheet[TOKEN].unique().to_list()}
    rows = sheet.select(
        pl.int_range(FIRST_DATA_ROW, FIRST_DATA_ROW + sheet.height, dtype=pl.Int64).alias("sheet_row"),
        pl.col(TOKEN).cast(pl.String).replace_strict(numbers, default=None, return_dtype=pl.Int64).alias("row_number"),
        pl.col(TOKEN).cast(pl.String),
        pl.col(columns).cast(pl.String),
    )
    titles = pl.col(TOKEN) == TOKEN
    blank = pl.all_horizontal(pl.col([TOKEN, *columns]).fill_null("").str.strip_chars() == "")
    return rows.filter(~titles.fill_null(False) & ~blank).drop(TOKEN)


def _row_number(text: str | None, sha256: str) -> int | None:
    number = (text or "").partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 16 and token(sha256, int(number)) == text else None
