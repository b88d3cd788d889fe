"""Any workbook → its sheets as text. What kind of file it is, its bytes say; its name does not matter."""

from collections.abc import Iterator
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

import polars as pl

from pipelines.gate.readers.source import Unreadable
from pipelines.gate.readers.spreadsheet import calamine
from pipelines.gate.readers.spreadsheet.markup import html_sheets, xml_sheets
from pipelines.gate.readers.spreadsheet.package import MAX_SHEETS, Package, too_big
from pipelines.gate.readers.spreadsheet.sheet import ROW, Layout, Sheet, letters, tidy

ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
LAST_ROW = {"xls": 65_536}
"""Rows that a sheet can have, where it is not the million of today."""
MAX_BYTES = 512 << 20
"""The file is held in memory while its sheets are read."""


@dataclass(frozen=True)
class Workbook:
    """``kind`` is what the bytes say: `xlsx`, `xlsb`, `xls`, `ods`, `html`, `xml` (Excel 2003), or `text` (no workbook at all)."""

    kind: str
    names: tuple[str, ...] = ()
    file: Path | None = None
    ready: tuple[Sheet, ...] = ()
    """The sheets, where the kind gives them all at once."""
    pivoted: bool = False
    """It holds a pivot table."""

    def sheets(self, names: tuple[str, ...]) -> Iterator[Sheet]:
        """The named sheets, hidden ones too, one in memory at a time."""
        if self.file is None:
            yield from (sheet for sheet in self.ready if sheet.name in names)
            return
        layouts = _layouts(self.file, names) if self.kind == "xlsx" else {}
        for name in names:
            try:
                loaded = calamine.load(self.file, name)
            except calamine.Refused as error:
                raise Unreadable.because_of(error, self.file) from error
            sheet = _sheet(loaded, name, layouts.get(name, Layout()))
            if sheet.cells.height and sheet.cells.get_column(ROW)[-1] == LAST_ROW.get(self.kind, 1_048_576):
                raise _full(name)
            yield sheet


def open_workbook(file: Path) -> Workbook:
    """Look at the bytes. Raises `Unreadable` for what is no workbook, is locked with a password, or is too big to be unpacked."""
    with file.open("rb") as content:
        head = content.read(4096)
    if head.startswith((ZIP, OLE)):
        return _binary(file, zipped=head.startswith(ZIP))
    start = head.removeprefix(b"\xef\xbb\xbf").replace(b"\0", b"").lstrip(b"\xff\xfe \t\r\n").lower()
    if start.startswith(b"<?xml") and b"urn:schemas-microsoft-com:office:spreadsheet" in start:
        return _whole("xml", xml_sheets(file))
    if start.startswith(b"<") and any(mark in start for mark in (b"<html", b"<table", b"<!doctype html", b"<meta")):
        return _whole("html", html_sheets(file))
    if start.startswith(b"%pdf"):
        raise _no_workbook("PDF")
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _no_workbook("không rõ / unknown")
    if not any(mark in start.partition(b"\n")[0] for mark in (b",", b";", b"\t", b"|")):
        raise _no_workbook("text")
    return Workbook("text")


def _whole(kind: str, sheets: list[Sheet]) -> Workbook:
    return Workbook(kind, tuple(sheet.name for sheet in sheets), ready=tuple(sheets))


def _binary(file: Path, zipped: bool) -> Workbook:
    if file.stat().st_size > MAX_BYTES:
        raise too_big("tệp hơn 512 MB", "the file is over 512 MB")
    kind, pivoted = "xls", False
    if zipped:
        with Package(file) as package:
            kind, pivoted = package.kind or "zip", package.pivoted
            if kind not in ("xlsx", "xlsb", "ods"):
                raise _no_workbook(kind)
            if kind == "ods":
                package.guard_ods()
    elif _encrypted(file):
        raise _locked()
    try:
        names = calamine.names(file)
    except calamine.Refused as error:
        if "assword" in str(error):
            raise _locked() from error
        raise Unreadable.because_of(error, file) from error
    if len(names) > MAX_SHEETS:
        raise too_big(f"{len(names)} trang tính", f"{len(names)} sheets")
    return Workbook(kind, tuple(names), file, pivoted=pivoted)


def _layouts(file: Path, names: tuple[str, ...]) -> dict[str, Layout]:
    with Package(file) as package:
        parts, percent = package.sheet_parts(), package.percent_styles()
        for unlisted in package.worksheets() - set(parts.values()):
            package.layout(unlisted, set())  # for its size alone: the library may find it by other ways
        return {name: package.layout(parts[name], percent) for name in names if name in parts}


def _encrypted(file: Path) -> bool:
    """A workbook with a password is an OLE file whose directory names the encrypted package."""
    with file.open("rb") as content, mmap(content.fileno(), 0, access=ACCESS_READ) as view:
        return view.find("EncryptedPackage".encode("utf-16-le")) >= 0


def _sheet(loaded: calamine.Loaded, name: str, layout: Layout) -> Sheet:
    """Every cell as text: codes keep their leading zeros; the text of an error cell is put back where the library has none."""
    if not loaded.columns:
        return Sheet(name, pl.DataFrame({ROW: pl.Series([], dtype=pl.Int64)}), layout, loaded.visible)
    cells = pl.DataFrame(pl.from_arrow(loaded.cells.rename_columns([letters(column) for column in loaded.columns])))
    cells = _with_errors(cells, loaded.errors)
    return Sheet(name, tidy(cells.with_row_index(ROW, offset=1).cast({ROW: pl.Int64})), layout, loaded.visible)


def _with_errors(cells: pl.DataFrame, errors: list[tuple[int, int, str]]) -> pl.DataFrame:
    """Error cells as the workbook shows them: a value that failed must not look like one that was never given."""
    shown: dict[int, tuple[list[int], list[str]]] = {}
    for row, column, name in errors:
        rows, texts = shown.setdefault(column, ([], []))
        rows.append(row)
        texts.append(ERRORS.get(name, "#ERROR!"))
    return cells.with_columns(cells.to_series(column).scatter(rows, texts) for column, (rows, texts) in shown.items())


ERRORS = {
    "NA": "#N/A", "Ref": "#REF!", "Div0": "#DIV/0!", "Value": "#VALUE!", "Name": "#NAME?", "Num": "#NUM!", "Null": "#NULL!",
    "GettingData": "#GETTING_DATA",
}  # fmt: skip
"""calamine's name of an error → what the workbook shows."""


def _locked() -> Unreadable:
    return Unreadable(
        "Sổ tính có mật khẩu; hãy bỏ mật khẩu (Tệp → Thông tin → Bảo vệ sổ làm việc) rồi gửi lại",
        "The workbook is locked with a password; remove it (File → Info → Protect Workbook) and send it again",
    )


def _full(sheet: str) -> Unreadable:
    return Unreadable(
        f"Trang tính {sheet} đầy đến hàng cuối cùng, dữ liệu có thể đã bị cắt; hãy gửi bảng dưới dạng CSV hay Parquet",
        f"The sheet {sheet} is full to its last row, so data may have been cut off; send the table as CSV or Parquet",
    )


def _no_workbook(kind: str) -> Unreadable:
    return Unreadable(
        f"Tệp mang tên sổ tính nhưng không phải sổ tính (loại thật: {kind}); hãy lưu bảng thành .xlsx rồi gửi lại",
        f"The file is named like a workbook but is none (it is really: {kind}); save the table as .xlsx and send it again",
    )
