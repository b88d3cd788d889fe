"""Which rows of a sheet are data, and what the others are: headers again, groups, totals, notes, signatures.

All rows are looked at together, column by column; only the few that stand out are looked at one by one. A row is left out only when it
shows what it is: one that is merely incomplete stays, to be judged and shown to the sender.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from pipelines.contract import Contract
from pipelines.gate.readers.source import Total
from pipelines.gate.readers.spreadsheet.header import Header
from pipelines.gate.readers.spreadsheet.roles import Roles
from pipelines.gate.readers.spreadsheet.sheet import GROUP, KIND, ROW, Sheet, index_of, spoken
from pipelines.gate.readers.spreadsheet.totals import totals_of
from pipelines.gate.readers.spreadsheet.words import (
    FOOT,
    NO_TOTAL,
    NOTED,
    NUMBER,
    NUMBERED,
    NUMBERED_ROMAN,
    NUMBERING,
    PART_OF,
    ROMAN,
    SIGNED,
    SUBTOTAL,
    TOTAL,
)

_LABEL, _LABEL_AT, _SOLID = "_label", "_label_at", "_solid"
SEARCHED_ABOVE = 20
"""Rows above a repeated header among which its title is looked for."""


@dataclass(frozen=True)
class Table:
    """``data``: `_row`, `_group` and the columns by the header's names; a column without one that holds data is `(cột F)`.

    ``left_out``: (row, kind, text) of all the other rows.
    """

    data: pl.DataFrame
    left_out: list[tuple[int, str, str]]
    totals: list[Total]


def table_of(sheet: Sheet, header: Header, contract: Contract | None) -> Table:
    """The rows below the header, told apart. Kinds: title, header, number_row, group, total, subtotal, note, signature."""
    roles = Roles.of(header, contract)
    above = sheet.cells.filter(pl.col(ROW) <= header.last_row)
    left_out = [(int(row[ROW]), "header" if row[ROW] in header.rows else "title", spoken(row)) for row in above.to_dicts()]
    cells = _marked(sheet.cells.filter(pl.col(ROW) > header.last_row), sheet, roles)
    cells = cells.with_columns(_exceptions(cells, sheet, header, roles))
    cells = cells.with_columns(
        pl.when(pl.col(KIND) == "group").then(pl.col(_LABEL).str.replace(NUMBERING, "")).forward_fill().alias(GROUP),
    )
    others = cells.filter(pl.col(KIND).is_not_null()).select(ROW, KIND, *sheet.columns)
    left_out += [(int(row[ROW]), str(row.pop(KIND)), spoken(row)) for row in others.to_dicts()]
    data = cells.filter(pl.col(KIND).is_null())
    nameless = [c for c in sheet.columns if c not in header.names and c != header.counter and data.get_column(c).null_count() < data.height]
    names = header.names | {column: f"(cột {column})" for column in nameless}
    return Table(
        data.select(ROW, GROUP, *(pl.col(c).alias(names[c]) for c in sheet.columns if c in names)), left_out, totals_of(cells, roles)
    )


def _marked(cells: pl.DataFrame, sheet: Sheet, roles: Roles) -> pl.DataFrame:
    """The rows with what tells them apart: the first words in each and where they stand, and whether the row is solid.

    A row is solid when it has all that the contract requires and at least half of the table's columns (three quarters, where there is
    no contract to say what is required): it is then no note or signature.
    """
    places = [name for name in sheet.columns if name == roles.counter or name in roles.named] or sheet.columns
    worded = {name: pl.col(name).str.contains(r"\p{L}") & ~pl.col(name).str.contains(ROMAN) for name in places}
    filled = pl.sum_horizontal(pl.col(roles.named).is_not_null()) if roles.named else pl.lit(0)
    share = 2 if roles.required else 3
    enough = min(len(roles.named), max(2, -(-share * len(roles.named) // 4)))
    return cells.with_columns(
        pl.coalesce(pl.when(is_word).then(pl.col(name)) for name, is_word in worded.items()).str.normalize("NFC").alias(_LABEL),
        pl.coalesce(pl.when(is_word).then(pl.lit(name)) for name, is_word in worded.items()).alias(_LABEL_AT),
        ((filled >= enough) & _all_filled(roles.required)).fill_null(False).alias(_SOLID),
    )


def _all_filled(columns: Iterable[str]) -> pl.Expr:
    columns = list(columns)
    return pl.all_horizontal(pl.col(columns).is_not_null()) if columns else pl.lit(True)


def _exceptions(cells: pl.DataFrame, sheet: Sheet, header: Header, roles: Roles) -> pl.Series:
    """The kind of each row that is not data; null for data."""
    uncounted = ~pl.col(roles.counter).str.contains(NUMBER).fill_null(False) if roles.counter else pl.lit(True)
    cells = cells.with_columns(
        pl.when(_repeats(header, sheet))
        .then(pl.lit("header"))
        .when(_adds_up(roles, TOTAL) & uncounted)
        .then(pl.lit("total"))
        .when((_adds_up(roles, SUBTOTAL) | (_adds_up(roles, PART_OF) & ~_all_filled(roles.key))) & uncounted)
        .then(pl.lit("subtotal"))
        .when(_heads_group(cells, sheet, roles))
        .then(pl.lit("group"))
        .otherwise(None)
        .alias(KIND)
    )
    cells = _with_foot(cells, sheet, roles)
    closer = _number_rows(cells, header, roles) | _above_headers(cells, sheet, header)
    if not closer:
        return cells.get_column(KIND)
    looked = pl.DataFrame({ROW: list(closer), "_closer": list(closer.values())}, schema={ROW: pl.Int64, "_closer": pl.String})
    return cells.join(looked, on=ROW, how="left", maintain_order="left").select(pl.coalesce("_closer", KIND).alias(KIND)).to_series()


def _repeats(header: Header, sheet: Sheet) -> pl.Expr:
    """A row that says nothing but what one of the header's rows says (printed pages repeat it)."""
    filled = pl.sum_horizontal(pl.col(sheet.columns).is_not_null())
    found = pl.lit(False)
    for row in header.texts:
        texts = {name: text for name in sheet.columns if (text := row.get(name))}
        if len(texts) >= 2:
            same = pl.sum_horizontal((pl.col(name) == text).fill_null(False) for name, text in texts.items())
            found = found | ((same == filled) & (filled >= max(2, len(texts) // 2)))
    return found


def _adds_up(roles: Roles, words: str) -> pl.Expr:
    """A label that says so, in a row that has no complete key beside it, and which no closed list knows as a value."""
    said = pl.col(_LABEL).str.contains(words) & ~pl.col(_LABEL).str.contains(NO_TOTAL)
    if roles.key:
        said = said & (~_all_filled(roles.key) | pl.col(_LABEL_AT).is_in(roles.key))
    for column, values in roles.closed.items():
        said = said & ~((pl.col(_LABEL_AT) == column) & pl.col(_LABEL).is_in(list(values)))
    return said.fill_null(False)


def _heads_group(cells: pl.DataFrame, sheet: Sheet, roles: Roles) -> pl.Expr:
    """`I | Nông nghiệp`, where other rows are counted in figures; `I. Nông nghiệp`, or a text merged across, alone in its row."""
    found = pl.lit(False)
    if roles.counter:
        roman = pl.col(roles.counter).str.contains(ROMAN)
        if cells.select(pl.col(roles.counter).str.contains(NUMBER).any()).item():
            found = found | (roman & pl.col(_LABEL).is_not_null())
        else:
            found = found | (roman & ~pl.col(_SOLID) & pl.col(_LABEL).is_not_null())
    alone = (pl.sum_horizontal(pl.col(sheet.columns).is_not_null()) == 1) & pl.lit(len(roles.named) > 1)
    words = pl.col(_LABEL).is_not_null()
    across = [r1 for r1, c1, r2, c2 in sheet.layout.merged if r1 == r2 and c2 > c1]
    numbered = pl.col(_LABEL).str.contains(NUMBERED)
    found = found | (alone & words & (numbered | pl.col(ROW).is_in(across) | pl.lit(roles.grouped)))
    if roles.grouped:
        found = found | (pl.col(_LABEL).str.contains(NUMBERED_ROMAN) & (pl.col(_LABEL_AT) == (roles.counter or roles.named[0])))
    return found.fill_null(False)


def _with_foot(cells: pl.DataFrame, sheet: Sheet, roles: Roles) -> pl.DataFrame:
    """Notes and signatures: rows that say so, what follows them, and what stands beside the table.

    Between rows of data only a row without its key can be one. After the last row that is data beyond doubt, any row can: names under
    signatures stand in any column.
    """
    data = pl.col(_SOLID) & pl.col(KIND).is_null() & _undoubted(roles)
    last_data = cells.filter(data).get_column(ROW).max() or 0
    tail = pl.col(ROW) > pl.lit(last_data)
    is_open = (tail | ~pl.col(_SOLID)) & (pl.col(KIND).is_null() | (pl.col(KIND) == "group"))
    texts = [pl.col(name).str.normalize("NFC") for name in sheet.columns]
    doubted = ~_all_filled(roles.required) | (tail & ~pl.col(_SOLID))
    marks = cells.filter(is_open & (tail | doubted)).select(
        ROW,
        pl.when(pl.any_horizontal(text.str.contains(FOOT) for text in texts))
        .then(pl.lit("signature"))
        .when(doubted & pl.any_horizontal(text.str.contains(SIGNED) for text in texts))
        .then(pl.lit("signature"))
        .when(doubted & pl.any_horizontal(text.str.contains(NOTED) for text in texts))
        .then(pl.lit("note"))
        .alias("_mark"),
    )
    cells = cells.join(marks, on=ROW, how="left", maintain_order="left")
    opens_foot = (pl.col("_mark") == "signature") | (pl.col("_mark").is_not_null() & tail)
    foot = pl.when(opens_foot).then(pl.col("_mark")).forward_fill()
    foot_at = pl.when(opens_foot).then(pl.col(ROW)).forward_fill()
    data_at = pl.when(data | (pl.col(KIND) == "header").fill_null(False)).then(pl.col(ROW)).forward_fill().fill_null(0)
    beside = ~pl.any_horizontal(pl.col(roles.named).is_not_null()) if roles.named else pl.lit(False)
    return cells.with_columns(
        pl.when(is_open & pl.col("_mark").is_not_null())
        .then(pl.col("_mark"))
        .when(is_open & (foot_at > data_at))
        .then(foot)
        .when(is_open & pl.col(KIND).is_null() & beside)
        .then(pl.lit("note"))
        .otherwise(pl.col(KIND))
        .alias(KIND)
    )


def _undoubted(roles: Roles) -> pl.Expr:
    """A row with the figures of a row of data: counted, or with a number where the contract has one and no words there."""
    worded = [pl.col(name).str.contains(r"^[^\d#]{4,}$") for name in roles.numbers]
    figures = [pl.col(name).str.contains(NUMBER) for name in ([roles.counter] if roles.counter else roles.numbers)]
    shown = pl.any_horizontal(figures) if figures else _all_filled(roles.named)
    return shown.fill_null(False) & ~pl.any_horizontal(*worded, pl.lit(False)).fill_null(False)


def _number_rows(cells: pl.DataFrame, header: Header, roles: Roles) -> dict[int, str]:
    """`(1) (2) (3)`, `A B 1 2` or `1 2 3` right under a header: the columns' numbers."""
    starts = [header.last_row, *cells.filter(pl.col(KIND) == "header").get_column(ROW).to_list()]
    columns = ([roles.counter] if roles.counter else []) + roles.named
    columns.sort(key=index_of)
    found: dict[int, str] = {}
    for start in starts:
        under = cells.filter(pl.col(ROW) > start).head(2).select(ROW, *columns).to_dicts()
        if under and _counts_columns(
            [under[0][name] for name in columns], under[1][roles.counter] if roles.counter and len(under) > 1 else None
        ):
            found[int(under[0][ROW])] = "number_row"
    return found


def _counts_columns(texts: list[str | None], next_counter: str | None) -> bool:
    given = [text.strip() for text in texts if text]
    if len(given) < 2 or not all(re.fullmatch(r"\(?(?:\d{1,3}|[A-ZĐ])\)?(?:\s*=.*)?", text) for text in given):
        return False
    numbers = [int(found[0]) for text in given if (found := re.search(r"\d+", text.partition("=")[0]))]
    in_order = all(later == earlier + 1 for earlier, later in pairwise(numbers))
    if not numbers or numbers[0] not in (0, 1) or not in_order:
        return False
    # Bare figures could be the first row of data: then the next row is counted 2.
    bracketed = sum(text.startswith("(") for text in given) >= 2 or not given[0][0].isdigit()
    return bracketed or (len(given) == len(texts) and len(given) >= 3 and next_counter != "2")


def _above_headers(cells: pl.DataFrame, sheet: Sheet, header: Header) -> dict[int, str]:
    """The title and upper header rows that a printed page repeats above its header."""
    repeated = cells.filter(pl.col(KIND) == "header").get_column(ROW).to_list()
    if not repeated:
        return {}
    upper = [{name: text for name, text in row.items() if name != ROW and text} for row in header.texts]
    found: dict[int, str] = {}
    for start in repeated:
        before = cells.filter(pl.col(ROW) < start).tail(SEARCHED_ABOVE).select(ROW, KIND, _SOLID, *sheet.columns).to_dicts()
        for row in reversed(before):
            if row[_SOLID] or row[KIND] not in (None, "group", "note"):
                break
            texts = {name: row[name] for name in sheet.columns if row[name]}
            found[int(row[ROW])] = "header" if texts in upper else "title"
    return found
