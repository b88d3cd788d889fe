"""What every reader hands to the gate: the delivery as text columns, and what it decided on the way."""

from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines.sql import literal


class Unreadable(Exception):
    """The file cannot be read as what its name says; ``vi`` and ``en`` say why."""

    def __init__(self, vi: str, en: str) -> None:
        self.vi, self.en = vi, en
        super().__init__(en)

    @classmethod
    def because_of(cls, error: Exception, file: Path) -> "Unreadable":
        """What a reader's error means to the sender."""
        if "not utf-8 encoded" in str(error):
            return cls(
                "Tệp không theo bảng mã UTF-8; trong Excel hãy lưu kiểu «CSV UTF-8»",
                "The file is not in UTF-8; in Excel, save it as “CSV UTF-8”",
            )
        # The first line alone: the next may quote rows. Where the warehouse keeps the file is not for the page.
        first = str(error).strip().splitlines()[0].replace(str(file), "…").replace(file.name, "…")[:300]
        return cls(f"Không đọc được tệp: {first}", f"The file cannot be read: {first}")


@dataclass(frozen=True)
class Decision:
    """What a reader decided about a file (encoding, delimiter, header row, sheet, unit…); kept in the ledger."""

    what: str
    value: str
    evidence: str = ""


@dataclass(frozen=True)
class Total:
    """A subtotal or grand total that the file states: what it says of one column over a run of its rows.

    ``first_row`` and ``last_row`` are rows of the file (as the sender counts them) that the total covers.
    """

    row_number: int
    column: str
    text: str
    first_row: int
    last_row: int


@dataclass(frozen=True)
class Source:
    """A delivery opened. Nothing of it is dropped: a row is in ``relation`` or in ``left_out``."""

    relation: str
    """SQL that yields the delivery's columns as text, in the delivery's order."""
    header: list[str]
    first_row: int
    """Row number, as the sender sees it, of the first row of data (where ``row`` is None)."""
    row: str | None = None
    """A BIGINT column of ``relation``, not in ``header``: each row's number as the sender sees it. Needed where rows were left out."""
    left_out: str | None = None
    """SQL yielding (row_number, kind, text) of the file's rows that are not data: title, header, total, group, note, blank…"""
    decisions: tuple[Decision, ...] = ()
    totals: tuple[Total, ...] = ()
    plain: bool = False
    """Whether a machine wrote the values (JSON, Parquet): a point in a number is a decimal point."""
    unit: str | None = None
    """Unit that the file's title states for its figures, such as `triệu đồng`."""
    raw: dict[str, str] = field(default_factory=dict)
    """Header → column of ``relation`` with the text before the reader changed it (legacy fonts), where it did."""


def header_of(connection: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    """The column names of a relation."""
    return [row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()]


def of_arrow(connection: duckdb.DuckDBPyConnection, table: pa.Table, first_row: int) -> Source:
    """A table in memory as a source; it stays registered as `delivery` until the judgement is done."""
    connection.register("delivery", table)
    return Source("delivery", table.column_names, first_row)


def rows_left_out(rows: list[tuple[int, str, str]]) -> str | None:
    """``Source.left_out`` of rows known one by one."""
    values = ", ".join(f"({number}, {literal(kind)}, {literal(text)})" for number, kind, text in rows)
    return f"SELECT * FROM (VALUES {values}) AS left_out(row_number, kind, text)" if rows else None
