"""Sheets written with the fonts before Unicode: their cells in Unicode, so that the header and the words for totals are known.

Which alphabet a column is written in, if any, `legacy` decides on its text; the cells as they came stay in ``Sheet.original``.
"""

from dataclasses import replace

import polars as pl

from pipelines.contract import Contract
from pipelines.gate.readers.legacy import SAMPLE_ROWS, charsets_of, unicode_of
from pipelines.gate.readers.source import Decision
from pipelines.gate.readers.spreadsheet.sheet import Sheet


def in_unicode(sheet: Sheet, contract: Contract | None) -> tuple[Sheet, tuple[Decision, ...]]:
    """The sheet with every column in Unicode; itself where nothing is legacy."""
    sample = sheet.cells.head(SAMPLE_ROWS)
    texts = {name: sample.get_column(name).drop_nulls().unique(maintain_order=True).to_list() for name in sheet.columns}
    found = charsets_of(texts, contract)
    if not found:
        return sheet, ()
    cells = sheet.cells.with_columns(_converted(sheet.cells.get_column(name), charset) for name, (charset, _) in found.items())
    said = tuple(Decision("legacy-text", f"{sheet.name}!{name}: {charset}", why) for name, (charset, why) in found.items())
    return replace(sheet, cells=cells, original=sheet.cells.select("_row", *found)), said


def _converted(column: pl.Series, charset: str) -> pl.Series:
    values = column.drop_nulls().unique()
    return column.replace(values, pl.Series([unicode_of(value, charset) for value in values], dtype=pl.String))
