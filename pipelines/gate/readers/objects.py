"""Rows that came as objects (JSON, GeoJSON, XML) → columns of text. An object inside a row is flattened, one level deep."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb

from pipelines.contract import Contract
from pipelines.gate.headers import fold, known_names
from pipelines.gate.readers.dialect import MAX_COLUMNS
from pipelines.gate.readers.functions import register
from pipelines.gate.readers.source import Decision, Source, Unreadable
from pipelines.gate.readers.xml import fields_as_json
from pipelines.sql import literal, quote

FAULT = "_kho_fault"
XML_SAMPLE = 200
FLAT_KINDS = 1_000
"""Different sets of keys among the rows of a flat file."""
XML_FUNCTION = "kho_xml_as_json"


@dataclass(frozen=True)
class _Column:
    """``base`` is the column of objects that ``pointer`` (RFC 6901) points into."""

    name: str
    base: str
    pointer: str


def of_objects(connection: duckdb.DuckDBPyConnection, rows: str, contract: Contract | None, decisions: tuple[Decision, ...] = ()) -> Source:
    """The source whose rows are the objects in the column `json` of ``rows`` (SQL). The keys of all rows count, not of a sample."""
    structure, objects, others = _structure(connection, rows, "json")
    if not objects:
        raise Unreadable("JSON phải là một danh sách đối tượng", "The JSON must be a list of objects")
    known = known_names(contract) if contract else {}
    feature = set(structure) >= {"properties", "geometry"}
    columns = list(_columns(structure, "json", "", known, opened={"properties"} if feature else set()))
    if feature:
        columns = [c for c in columns if c.name not in ("type", "bbox") or fold(c.name) in known]
    if len(columns) > MAX_COLUMNS:
        raise Unreadable(f"Các hàng có hơn {MAX_COLUMNS} trường", f"The rows have more than {MAX_COLUMNS} fields")
    columns, rows, told = _with_xml(connection, rows, columns, known)
    names = _unique([c.name for c in columns])
    bases = list(dict.fromkeys(c.base for c in columns))
    lists = ", ".join(
        f"json_extract_string({b}, [{', '.join(literal(c.pointer) for c in columns if c.base == b)}]) AS v_{b}" for b in bases
    )
    place = dict.fromkeys(bases, 0)
    items = []
    for name, column in zip(names, columns, strict=True):
        place[column.base] += 1
        items.append(f"v_{column.base}[{place[column.base]}] AS {quote(name)}")
    fault = f", CASE WHEN json_type(json) <> 'OBJECT' THEN 'nested' END AS {FAULT}" if others else ""
    relation = f"(SELECT {', '.join(items)}{f', {FAULT}' if others else ''} FROM (SELECT {lists}{fault} FROM ({rows})))"
    return Source(relation, names, first_row=1, fault=FAULT if others else None, decisions=(*decisions, *told))


def flat_header(connection: duckdb.DuckDBPyConnection, rows: str) -> list[str]:
    """The keys of all rows, where every row is an object of plain values: DuckDB reads those three times as fast. Else empty.

    A bracket or tag anywhere, be it in a text, leaves the rows to `of_objects`.
    """
    found = connection.execute(
        f"""
        SELECT keys, bool_or(contains(substr(text, 2), '{{') OR contains(text, '[') OR contains(text, '<'))
        FROM (SELECT CASE WHEN json_type(json) = 'OBJECT' THEN json_keys(json) END AS keys, CAST(json AS VARCHAR) AS text FROM ({rows}))
        GROUP BY keys
        LIMIT {FLAT_KINDS + 1}
        """
    ).fetchall()
    if len(found) > FLAT_KINDS or any(keys is None or nested for keys, nested in found):
        return []
    header = list(dict.fromkeys(key for keys, _ in sorted(found, key=lambda f: -len(f[0])) for key in keys))
    fit = len({key.lower() for key in header}) == len(header) <= MAX_COLUMNS and all(key.strip() and "\x00" not in key for key in header)
    return header if fit else []


def _structure(connection: duckdb.DuckDBPyConnection, rows: str, column: str) -> tuple[dict[str, Any], int, int]:
    """What keys the objects have and of what kind; how many rows are objects, and how many are not.

    DuckDB's json_group_structure would gather all rows in memory; few rows differ in structure.
    """
    found = connection.execute(
        f"""
        SELECT CASE WHEN json_type({column}) = 'OBJECT' THEN CAST(json_structure({column}) AS VARCHAR) END AS structure, count(*)
        FROM ({rows}) WHERE {column} IS NOT NULL GROUP BY structure
        """
    )
    structure: dict[str, Any] = {}
    objects = others = 0
    while batch := found.fetchmany(1_000):
        for text, count in batch:
            if text is None:
                others += count
                continue
            objects += count
            structure = _merged(structure, json.loads(text))
    return structure, objects, others


def _merged(one: Any, other: Any) -> Any:
    """The structure of rows of either structure; what is an object here and text there is text."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {key: _merged(one[key], kind) if key in one else kind for key, kind in other.items()}
    if one == "NULL":
        return other
    return one if other == "NULL" or one == other else "VARCHAR"


def _columns(structure: dict[str, Any], base: str, parent: str, known: dict[str, str], opened: set[str]) -> Iterator[_Column]:
    """A column per key; per key of an object inside, unless the contract knows the object itself as a column.

    Names of ``opened`` objects are not put before their keys' (the properties of a feature).
    """
    for key, kind in structure.items():
        pointer = f"{parent}/{_escaped(key)}"
        if not isinstance(kind, dict) or not kind or fold(key) in known or key == "geometry":
            yield _Column(key, base, pointer)
            continue
        for inner in kind:
            joined = f"{key}_{inner}"
            alone = key in opened or (fold(joined) not in known and fold(inner) in known and inner not in structure)
            yield _Column(inner if alone else joined, base, f"{pointer}/{_escaped(inner)}")


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _unique(names: list[str]) -> list[str]:
    """Names made distinct in the way that SQL tells names apart: case aside."""
    seen: dict[str, int] = {}
    made = []
    for name in names:
        name = name.replace("\x00", "").strip() or "(trống)"
        seen[name.lower()] = seen.get(name.lower(), 0) + 1
        made.append(name if seen[name.lower()] == 1 else f"{name} ({seen[name.lower()]})")
    return made


def _with_xml(
    connection: duckdb.DuckDBPyConnection, rows: str, columns: list[_Column], known: dict[str, str]
) -> tuple[list[_Column], str, list[Decision]]:
    """XML inside a string: its fields become columns like those of an object."""
    told: list[Decision] = []
    for column in _holding_xml(connection, rows, columns):
        register(connection, XML_FUNCTION, fields_as_json)
        base = f"xml_{len(told)}"
        rows = f"SELECT *, {XML_FUNCTION}(json_extract_string({column.base}, {literal(column.pointer)})) AS {base} FROM ({rows})"
        structure, objects, _ = _structure(connection, f"SELECT CAST({base} AS JSON) AS {base} FROM ({rows})", base)
        if not objects:
            continue
        inner = [
            _Column(c.name if fold(c.name) in known else f"{column.name}_{c.name}", base, c.pointer)
            for c in _columns(structure, base, "", known, set())
        ]
        at = columns.index(column)
        columns = [*columns[:at], *inner, *columns[at + 1 :]]
        told.append(Decision("xml-in-json", column.name, f"{len(inner)} trường · fields"))
    return columns, rows, told


def _holding_xml(connection: duckdb.DuckDBPyConnection, rows: str, columns: list[_Column]) -> list[_Column]:
    pointers = ", ".join(literal(c.pointer) for c in columns)
    sample = [
        v for (v,) in connection.execute(f"SELECT json_extract_string(json, [{pointers}]) FROM ({rows}) LIMIT {XML_SAMPLE}").fetchall()
    ]
    found = []
    for index, column in enumerate(columns):
        values = [row[index].strip() for row in sample if row[index]]
        if values and sum(v.startswith("<") and v.endswith(">") for v in values) > len(values) / 2 and fields_as_json(values[0]):
            found.append(column)
    return found
