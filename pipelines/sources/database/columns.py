"""The columns of a table in an agency's database, against those of the contract: what is read, and what no longer fits."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from pipelines.contract import Column, Contract
from pipelines.gate.headers import match
from pipelines.gate.readers import Decision
from pipelines.outcome import Reason

Family = Literal["integer", "number", "text", "boolean", "date", "timestamp", "binary", "other"]

FAMILIES: dict[Family, tuple[str, ...]] = {
    "integer": ("smallint", "integer", "int", "bigint", "tinyint", "mediumint", "year", "serial", "bigserial"),
    "number": (
        "numeric", "decimal", "number", "real", "float", "double", "double precision", "money", "smallmoney", "binary_float",
        "binary_double", "bigint unsigned",
    ),
    "text": (
        "text", "character varying", "varchar", "character", "char", "bpchar", "nvarchar", "nchar", "ntext", "varchar2", "nvarchar2",
        "tinytext", "mediumtext", "longtext", "enum", "set", "clob", "nclob", "long",
    ),
    "boolean": ("boolean", "bit"),
    "date": ("date",),
    "timestamp": (
        "timestamp without time zone", "timestamp with time zone", "timestamp", "datetime", "datetime2", "smalldatetime",
        "datetimeoffset", "timestamp with local time zone",
    ),
    "binary": ("bytea", "blob", "tinyblob", "mediumblob", "longblob", "binary", "varbinary", "image", "raw", "long raw", "rowversion"),
}  # fmt: skip
"""Type names of the four databases, without lengths. What is in none of them (JSON, UUID, intervals…) is read as text."""

_FITS: dict[str, set[Family]] = {
    "string": {"integer", "number", "text", "boolean", "date", "timestamp", "other"},
    "integer": {"integer", "number", "text"},
    "number": {"integer", "number", "text"},
    "boolean": {"boolean", "integer", "text"},
    "date": {"date", "timestamp", "text"},
    "timestamp": {"timestamp", "date", "text"},
}
"""Logical type of the contract → families whose values the gate can read as such, each value judged on its own."""


@dataclass(frozen=True)
class SourceColumn:
    """A column as the database describes it."""

    name: str
    type: str
    """The database's own name of the type, lower case, without length."""
    nullable: bool
    family: Family


def source_column(name: str, kind: str, nullable: bool, oracle: bool = False) -> SourceColumn:
    """``kind`` as the database's catalogue spells it."""
    plain = re.sub(r"\([^)]*\)", "", kind.lower()).strip()
    family: Family = next((family for family, names in FAMILIES.items() if plain in names), "other")
    if oracle and plain == "date":
        family = "timestamp"  # Oracle's dates carry a time of day
    return SourceColumn(name, plain, nullable, family)


@dataclass(frozen=True)
class Fit:
    """Contract column → source column; reasons why the table cannot be read, if any; and what was noticed all the same."""

    columns: dict[str, SourceColumn]
    faults: tuple[Reason, ...]
    decisions: tuple[Decision, ...]


def fit(contract: Contract, found: list[SourceColumn], known: dict[str, str]) -> Fit:
    """Compare the table's columns with the contract and with the types ``known`` from the last time.

    A column that the contract requires and the table lacks, or whose type can hold no value of the contract's, is a fault. Columns
    that the contract does not ask for are not read; new ones among them, and types that changed harmlessly, are noted.
    """
    assert contract.source
    given: dict[str, str] = contract.source.options.get("columns", {})
    by_name = {c.name: c for c in found}
    rest = [c.name for c in found if c.name not in given.values()]
    mapping = match(contract, rest)
    columns = {name: by_name[source] for name, source in {**mapping.columns, **given}.items() if source in by_name}
    faults = [*_missing(contract, columns, given, mapping.unknown), *_unfit(contract, columns)]
    return Fit(columns, tuple(faults), tuple(_noticed(columns, found, known)))


def _missing(
    contract: Contract, columns: dict[str, SourceColumn], given: dict[str, str], unknown: list[tuple[str, str | None]]
) -> Iterator[Reason]:
    for column in contract.columns:
        if column.name in columns or not (column.required or column.name in given):
            continue
        near = next((f"; có phải {n}? (khai ở `columns`)" for n, target in unknown if target == column.name), "")
        near_en = near.replace("có phải", "is it").replace("khai ở", "say so in")
        sought = given.get(column.name, column.name)
        yield Reason(
            "missing_column", column.name, 1,
            f"Bảng nguồn không còn cột {sought} ({column.title}){near}",
            f"The source's table has no column {sought} ({column.title_en}){near_en}",
        )  # fmt: skip


def _unfit(contract: Contract, columns: dict[str, SourceColumn]) -> Iterator[Reason]:
    for name, source in columns.items():
        column: Column = contract.by_name[name]
        if source.family not in _FITS[column.type]:
            yield Reason(
                "retyped_column", name, 1,
                f"Cột {source.name} của nguồn có kiểu {source.type}, không đọc được thành {column.type} như hợp đồng",
                f"The source's column {source.name} is of type {source.type}, which cannot be read as the contract's {column.type}",
            )  # fmt: skip


def _noticed(columns: dict[str, SourceColumn], found: list[SourceColumn], known: dict[str, str]) -> Iterator[Decision]:
    read = {c.name for c in columns.values()}
    unread = [c.name for c in found if c.name not in read]
    if unread:
        new = [name for name in unread if known and name not in known]
        yield Decision(
            "columns not read", ", ".join(unread), f"new since the last time: {', '.join(new)}" if new else "not in the contract"
        )
    for column in found:
        before = known.get(column.name)
        if column.name in read and before and before != column.type:
            yield Decision("type changed", f"{column.name}: {before} → {column.type}", "its values can still be read")
    if known and (gone := [name for name in known if name not in {c.name for c in found}]):
        yield Decision("columns gone", ", ".join(gone), "the contract does not require them")


def types_of(found: list[SourceColumn]) -> dict[str, Any]:
    """What to remember of a table: each column's type."""
    return {c.name: c.type for c in found}
