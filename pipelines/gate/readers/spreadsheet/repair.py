"""What a sheet's cells mean beside what they hold: one value merged over many rows, percentages, formulas that were never calculated."""

from collections.abc import Set as AbstractSet
from dataclasses import replace

import polars as pl

from pipelines.contract import Contract
from pipelines.gate.readers.source import Decision, Unreadable
from pipelines.gate.readers.spreadsheet.header import Header
from pipelines.gate.readers.spreadsheet.roles import Roles
from pipelines.gate.readers.spreadsheet.sheet import ROW, Sheet, letters

Cells = dict[str, dict[int, str | None]]
"""Column → row → new text."""


def repaired(sheet: Sheet, header: Header, contract: Contract | None) -> tuple[Sheet, tuple[Decision, ...]]:
    """The sheet with merged values in each of their rows and percentages as they are seen, and what was done.

    A number merged over several rows is one figure, not several: it stays in the first. Only the contract tells a number from a code.
    """
    roles = Roles.of(header, contract)
    said = []
    merged = _merged_down(sheet, header, roles)
    if merged:
        said.append(
            Decision(
                "merged_cells", ", ".join(merged), "giá trị của ô gộp cho mọi hàng trong đó / the merged cell's value for each of its rows"
            )
        )
    percent = _percentages(sheet, header, roles)
    if percent:
        said.append(Decision("percent", ", ".join(percent), "ô định dạng %: nhân 100 / cells shown as %: times 100"))
    cells = sheet.cells
    for changes in (merged, percent):
        for column, texts in changes.items():
            cells = cells.with_columns(pl.col(ROW).replace_strict(texts, default=pl.col(column), return_dtype=pl.String).alias(column))
    return replace(sheet, cells=cells), tuple(said)


def _merged_down(sheet: Sheet, header: Header, roles: Roles) -> Cells:
    present = set(sheet.cells.get_column(ROW))
    found: Cells = {}
    ranges = [(r1, letters(c1), r2) for r1, c1, r2, c2 in sheet.layout.merged if r2 > r1 > header.last_row and c1 == c2]
    ranges = [(low, column, high) for low, column, high in ranges if column in roles.text]
    starts = sheet.cells.filter(pl.col(ROW).is_in([low for low, _, _ in ranges]))
    values = {int(row[ROW]): row for row in starts.to_dicts()}
    for low, column, high in ranges:
        if low in values and values[low][column]:
            inside = (row for row in range(low + 1, min(high, 1_048_576) + 1) if row in present)
            found.setdefault(column, {}).update(dict.fromkeys(inside, values[low][column]))
    return found


def _percentages(sheet: Sheet, header: Header, roles: Roles) -> Cells:
    places: dict[str, list[int]] = {}
    for row, at in sheet.layout.percent:
        if row > header.last_row and letters(at) in roles.percent:
            places.setdefault(letters(at), []).append(row)
    found: Cells = {}
    for column, rows in places.items():
        text = (pl.col(column).cast(pl.Float64, strict=False) * 100).round_sig_figs(15).cast(pl.String).str.replace(r"\.0$", "")
        shown = sheet.cells.filter(pl.col(ROW).is_in(rows)).select(ROW, text.fill_null(pl.col(column)))
        found[column] = dict(shown.iter_rows())
    return found


def refuse_unsaved(sheet: Sheet, header: Header, not_data: AbstractSet[int]) -> None:
    """Raise `Unreadable` where a formula in the data has no saved result: its cell would pass for an empty one."""
    places = [
        f"{letters(column)}{row}"
        for row, column in sorted(sheet.layout.unsaved)
        if row > header.last_row and row not in not_data and letters(column) in header.names
    ]
    if places:
        shown = ", ".join(places[:10]) + (" …" if len(places) > 10 else "")
        raise Unreadable(
            f"{len(places)} ô công thức chưa có kết quả (trang {sheet.name}: {shown}); hãy mở tệp bằng Excel, bấm Lưu rồi gửi lại",
            f"{len(places)} formulas have no saved result (sheet {sheet.name}: {shown}); open the file in Excel, save it and send it again",
        )
