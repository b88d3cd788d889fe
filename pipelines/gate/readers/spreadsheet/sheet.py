"""One sheet of a workbook as text: its cells where the sender sees them, and what the cells alone do not tell."""

import re
from dataclasses import dataclass, field

import polars as pl

ROW = "_row"
"""The column of a sheet's cells that holds the row's number as the workbook shows it, from 1."""
KIND, GROUP, SHEET = "_kind", "_group", "_sheet"
"""Columns beside the sheet's own: what a row is if not data, the group above it, the sheet that it stands on."""


@dataclass(frozen=True)
class Layout:
    """What a sheet's file says beside its values. Rows count from 1, columns from 0, a merged range is inclusive."""

    hidden_rows: frozenset[int] = frozenset()
    hidden_columns: frozenset[int] = frozenset()
    merged: tuple[tuple[int, int, int, int], ...] = ()
    """(first row, first column, last row, last column)."""
    unsaved: tuple[tuple[int, int], ...] = ()
    """(row, column) of formulas whose result was never saved: their cells read as empty."""
    percent: frozenset[tuple[int, int]] = frozenset()
    """(row, column) of numbers shown as a percentage: 0.125 in the file, 12.5 % on the screen."""


@dataclass(frozen=True)
class Sheet:
    """``cells``: `_row` and a text column per column of the sheet (`A`, `B`…), without blank rows; an empty cell is null."""

    name: str
    cells: pl.DataFrame
    layout: Layout = field(default_factory=Layout)
    visible: bool = True
    original: pl.DataFrame | None = None
    """`_row` and the columns that were converted from a legacy alphabet, as they came."""

    @property
    def columns(self) -> list[str]:
        return [name for name in self.cells.columns if name != ROW]


def letters(index: int) -> str:
    """Column 0 is A, 26 is AA."""
    name = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        name = chr(65 + digit) + name
    return name


def index_of(name: str) -> int:
    """The inverse of `letters`."""
    index = 0
    for letter in name:
        index = index * 26 + ord(letter) - 64
    return index - 1


def folded(text: pl.Expr) -> pl.Expr:
    """`headers.fold` for a whole column."""
    plain = text.str.to_lowercase().str.replace_all("đ", "d", literal=True).str.normalize("NFD").str.replace_all(r"\p{M}", "")
    return plain.str.replace_all(r"[^a-z0-9]+", "_").str.strip_chars("_")


def tidy(cells: pl.DataFrame) -> pl.DataFrame:
    """Cells as the sender means them: trimmed, dates without a midnight, times without a day, no binary noise, no blank rows.

    A spreadsheet keeps 15 significant digits and stores dates as days since 1900, so the second half of
    `0.30000000000000004`, of `2023-01-02 00:00:00` and the first of `1899-12-31 07:30:00` are the file format's, not the sender's.
    """
    names = [name for name in cells.columns if name != ROW]
    if not names:
        return cells.clear()
    cells = cells.with_columns(pl.col(names).str.strip_chars().replace("", None))
    checks = cells.select(
        *(pl.col(n).str.contains(_NOISE).any().alias(f"noise {n}") for n in names),
        *(pl.col(n).str.contains(_CLOCK).any().alias(f"clock {n}") for n in names),
    ).row(0, named=True)
    cells = cells.with_columns(
        *(_without_noise(n) for n in names if checks[f"noise {n}"]),
        *(_without_clock(n) for n in names if checks[f"clock {n}"]),
    )
    return cells.filter(~pl.all_horizontal(pl.col(names).is_null()))


_NOISE = r"^-?\d+\.\d{10,}$"
_CLOCK = r"^(?:1899-12-3[01] \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d 00:00:00)$"


def _without_noise(name: str) -> pl.Expr:
    text = pl.col(name)
    digits = text.str.replace_all(r"[-.]|^-?0\.0*", "").str.len_chars()
    short = text.cast(pl.Float64, strict=False).round_sig_figs(15).cast(pl.String).str.replace(r"\.0$", "")
    return (
        pl.when(text.str.contains(_NOISE) & (digits > 15) & ~short.str.contains("e", literal=True)).then(short).otherwise(text).alias(name)
    )


def _without_clock(name: str) -> pl.Expr:
    text = pl.col(name)
    return text.str.replace(r"^1899-12-3[01] (\d\d:\d\d:\d\d)$", "$1").str.replace(r"^(\d{4}-\d\d-\d\d) 00:00:00$", "$1").alias(name)


def spoken(row: dict[str, str | None]) -> str:
    """A row that is not data, as the report shows it."""
    return " | ".join(re.sub(r"\s+", " ", text) for name, text in row.items() if name != ROW and text)[:500]
