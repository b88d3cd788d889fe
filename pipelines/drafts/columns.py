"""Guess columns from a sample: one pass over it, then a question or two per column."""

from dataclasses import replace
from itertools import combinations

import duckdb

from pipelines.contract import Column, SemanticType
from pipelines.contract.odcs import SQL_TYPES
from pipelines.drafts.document import DraftColumn, column_name
from pipelines.gate.headers import fold
from pipelines.gate.readers import Source
from pipelines.gate.values import cast, raw
from pipelines.sql import quote

SAMPLE_ROWS = 100_000
CLOSED_LIST_MAX = 12
ROWS_PER_VALUE = 4
"""A value of a closed list is repeated; so many rows per value, on average, make a list likely."""
CONTENT_SHARE = 0.95
"""Share of a column's values that must look like a semantic type before the draft says it is one."""
IDENTIFIER_DIGITS = 9
"""Whole numbers that all have the same length from here on are identifiers, not quantities."""
KEY_COLUMNS_TRIED = 10
COUNTERS = {"stt", "tt", "so_tt", "no"}
"""Row counters: unique, and no key."""


def infer_columns(
    connection: duckdb.DuckDBPyConnection, source: Source, semantic_types: dict[str, SemanticType]
) -> tuple[list[DraftColumn], list[str]]:
    """Columns in the sample's order, and what a steward should look at."""
    names: list[str] = []
    for header in source.header:
        names.append(column_name(header, len(names) + 1, set(names)))
    trimmed = ", ".join(
        f"nullif(trim(CAST({quote(header)} AS VARCHAR)), '') AS {raw(name)}" for header, name in zip(source.header, names, strict=True)
    )
    connection.execute(f"CREATE TEMP TABLE sample AS SELECT {trimmed} FROM {source.relation} LIMIT {SAMPLE_ROWS}")
    total = _count(connection, "true")
    warnings: list[str] = []
    columns: list[DraftColumn] = []
    folded = [fold(h) for h in source.header]
    for header, name in zip(source.header, names, strict=True):
        column = _infer(connection, DraftColumn(name, header), total, semantic_types)
        if column.personal != "none":
            what = semantic_types[column.semantic].en if column.semantic else ""
            warnings.append(f"column {name}: {column.personal} personal data ({what}); is it needed?")
        if folded.count(fold(header)) > 1:
            warnings.append(f"column {name}: more than one header reads “{header}”; give each its own name in the file")
        columns.append(column)
    keys = _key(connection, columns, total)
    if keys is None:
        keys = {columns[0].name}
        warnings.append(f"no columns were found that make a row unique: {columns[0].name} is only a guess for the key")
    return [replace(c, key=c.name in keys) for c in columns], warnings


def _count(connection: duckdb.DuckDBPyConnection, condition: str, parameters: list[object] | None = None) -> int:
    row = connection.execute(f"SELECT count(*) FROM sample WHERE {condition}", parameters or []).fetchone()
    return int(row[0]) if row else 0


def _infer(connection: duckdb.DuckDBPyConnection, column: DraftColumn, total: int, semantic_types: dict[str, SemanticType]) -> DraftColumn:
    text = raw(column.name)
    filled = _count(connection, f"{text} IS NOT NULL")
    if not filled:
        return column
    column = replace(column, required=filled == total)
    if semantic := _semantic(connection, column.name, filled, semantic_types):
        return replace(column, type=semantic.type, semantic=semantic.id, personal=semantic.personal)
    column = replace(column, type=_type(connection, column.name, filled))
    if column.type == "string":
        values = connection.execute(
            f"SELECT DISTINCT {text} AS v FROM sample WHERE v IS NOT NULL ORDER BY v LIMIT {CLOSED_LIST_MAX + 1}"
        ).fetchall()
        if 1 < len(values) <= CLOSED_LIST_MAX and filled >= len(values) * ROWS_PER_VALUE:
            column = replace(column, values=tuple(v for (v,) in values))
    return column


def _as(name: str, kind: str) -> str:
    """The gate's own reading of the column as ``kind``: NULL where it cannot be."""
    return cast(Column(name, name, name, name, kind, SQL_TYPES[kind]))


def _type(connection: duckdb.DuckDBPyConnection, name: str, filled: int) -> str:
    """The first type as which the gate would read every value. Leading zeros and long equal lengths mean a code."""
    text = raw(name)
    if _count(connection, f"regexp_full_match({text}, '[+-]?0[0-9].*')"):
        numeric: tuple[str, ...] = ()
    else:
        lengths = connection.execute(f"SELECT min(length({text})), max(length({text})) FROM sample").fetchone() or (0, 0)
        numeric = () if lengths[0] == lengths[1] >= IDENTIFIER_DIGITS else ("integer", "number")
    both = _count(connection, f"{_as(name, 'boolean')}") and _count(connection, f"NOT {_as(name, 'boolean')}")
    for kind in (*numeric, *(("boolean",) if both else ()), "date", "timestamp"):
        if _count(connection, f"{_as(name, kind)} IS NOT NULL") == filled:
            return kind
    return "string"


def _semantic(
    connection: duckdb.DuckDBPyConnection, name: str, filled: int, semantic_types: dict[str, SemanticType]
) -> SemanticType | None:
    """By name and content, the longest name first; else by content alone where the form is telling, personal data first."""
    suits = lambda word: name == word or (len(word) > 4 and (name.startswith(f"{word}_") or name.endswith(f"_{word}")))
    named = sorted(((max((len(w) for w in t.names if suits(w)), default=0), t) for t in semantic_types.values()), key=lambda pair: -pair[0])
    telling = sorted((t for t in semantic_types.values() if t.telling), key=lambda t: t.personal == "none")
    candidates = [t for length, t in named if length] + telling
    return next((t for t in candidates if _fits(connection, name, filled, t)), None)


def _fits(connection: duckdb.DuckDBPyConnection, name: str, filled: int, semantic: SemanticType) -> bool:
    """Whether nearly all values are what ``semantic`` says; a type without a form is taken at its name."""
    text = raw(name)
    typed = _as(name, semantic.type)
    conditions, parameters = [f"{typed} IS NOT NULL"], []
    for condition, value in (
        (f"list_contains(?, {text})", list(semantic.values) or None),
        (f"regexp_full_match({text}, ?)", semantic.pattern),
        (f"{typed} >= ?", semantic.minimum),
        (f"{typed} <= ?", semantic.maximum),
        (f"length({text}) <= ?", semantic.max_length),
    ):
        if value is not None:
            conditions.append(condition)
            parameters.append(value)
    return _count(connection, " AND ".join(conditions), parameters) >= CONTENT_SHARE * filled


def _key(connection: duckdb.DuckDBPyConnection, columns: list[DraftColumn], total: int) -> set[str] | None:
    """The columns that make a row unique: one if there is one, else a pair; codes before names before persons."""
    rank = lambda c: (c.personal != "none", c.type != "string", not c.name.startswith(("ma", "so_", "id")))
    able = sorted((c for c in columns if c.required and c.type != "number" and not c.values and c.name not in COUNTERS), key=rank)
    pairs_of = sorted((c for c in columns if c.required and c.type != "number" and c.name not in COUNTERS), key=rank)[:KEY_COLUMNS_TRIED]
    for keys in (*((c,) for c in able), *combinations(pairs_of, 2)):
        listed = ", ".join(raw(c.name) for c in keys)
        row = connection.execute(f"SELECT count(*) FROM (SELECT DISTINCT {listed} FROM sample)").fetchone()
        if total > 1 and row and row[0] == total:
            return {c.name for c in keys}
    return None
