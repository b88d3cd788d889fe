"""Reading rows of one dataset: the only place of the catalogue that writes SQL over a dataset's table.

A `Selection` cannot be made without a `Decision`, and names only columns which that decision gives; so no door can
show, filter or sort by a column that its visitor may not read.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import duckdb
import pyarrow as pa

from catalog.access import Decision, Refused
from catalog.live import Live
from catalog.publish import Catalogue, Entry
from pipelines.contract import Contract
from pipelines.sql import quote, quote_name
from pipelines.store import StoreMissing

Operator = Literal["=", ">=", "<="]
BATCH_ROWS = 50_000


class BadRequest(ValueError):
    """The request names a column it may not name, or a value that does not fit the column's type."""


class NoData(Exception):
    """Nothing was delivered yet, or the store is just being changed to fit a new contract."""


@dataclass(frozen=True)
class Condition:
    """One column compared with bound text values; several values of ``=`` are alternatives."""

    column: str
    operator: Operator
    values: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """Some rows and columns of a dataset that the visitor may read."""

    contract: Contract
    columns: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    """(column, descending) pairs; the key follows, so that pages do not overlap."""
    limit: int | None = None
    offset: int = 0

    @classmethod
    def of(
        cls,
        entry: Entry,
        decision: Decision,
        *,
        columns: Sequence[str] = (),
        conditions: Sequence[Condition] = (),
        order: Sequence[tuple[str, bool]] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> "Selection":
        """Raises `Refused`, `NoData` or `BadRequest`; all columns the decision gives when none is named."""
        if not decision.allowed:
            raise Refused(entry.contract, decision)
        if entry.latest is None:
            raise NoData(entry.id)
        named = [*columns, *(c.column for c in conditions), *(column for column, _ in order)]
        for name in named:
            if name not in decision.columns:
                raise BadRequest(f"`{name}` is not a readable column; readable are: {', '.join(decision.columns)}")
        if len(set(columns)) != len(columns):
            raise BadRequest("a column is named twice")
        # A key that may not be read may not order the rows either; then all readable columns do.
        key = entry.contract.key if set(entry.contract.key) <= set(decision.columns) else decision.columns
        asked = {column for column, _ in order}
        return cls(
            entry.contract,
            tuple(columns) or decision.columns,
            tuple(conditions),
            (*order, *((column, False) for column in key if column not in asked)),
            limit,
            offset,
        )

    def sql(self, snapshot: int, expressions: dict[str, str] | None = None, *, ordered: bool = True) -> tuple[str, list[Any]]:
        """The query and its bound values. ``expressions`` may rewrite single columns for a format."""
        wanted = ", ".join(f"{(expressions or {}).get(name, quote(name))} AS {quote(name)}" for name in self.columns)
        where, values = self._where()
        query = f"SELECT {wanted} FROM {self._table(snapshot)}{where}"
        if ordered:
            # Qualified, because a rewritten column of the same name would otherwise be sorted by.
            query += " ORDER BY " + ", ".join(f"t.{quote(c)}{' DESC' if down else ''} NULLS LAST" for c, down in self.order)
        if self.limit is not None:
            query += f" LIMIT {int(self.limit)} OFFSET {int(self.offset)}"
        return query, values

    def count_sql(self, snapshot: int) -> tuple[str, list[Any]]:
        where, values = self._where()
        return f"SELECT count(*) FROM {self._table(snapshot)}{where}", values

    def _table(self, snapshot: int) -> str:
        return f"(FROM {quote_name(self.contract.schema, self.contract.table)} AT (VERSION => {int(snapshot)})) AS t"

    def _where(self) -> tuple[str, list[Any]]:
        parts: list[str] = []
        values: list[Any] = []
        for condition in self.conditions:
            marks = [f"CAST(? AS {self.contract.by_name[condition.column].sql_type})"] * len(condition.values)
            name = f"t.{quote(condition.column)}"
            parts.append(f"{name} IN ({', '.join(marks)})" if condition.operator == "=" else f"{name} {condition.operator} {marks[0]}")
            values += condition.values
        return (" WHERE " + " AND ".join(parts) if parts else ""), values


@dataclass(frozen=True)
class Reader:
    """Runs selections against the store as it was when the catalogue at hand was made."""

    live: Live
    catalogue: Catalogue

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A cursor whose faults are told in the words of this module."""
        try:
            cursor = self.live.cursor()
        except StoreMissing as missing:
            raise NoData(str(missing)) from missing
        try:
            yield cursor
        except duckdb.ConversionException as error:
            raise BadRequest(str(error).splitlines()[0]) from error
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise NoData(str(error).splitlines()[0]) from error
        finally:
            cursor.close()

    def rows(self, selection: Selection) -> list[tuple[Any, ...]]:
        with self.cursor() as cursor:
            return cursor.execute(*selection.sql(self.catalogue.snapshot)).fetchall()

    def json_rows(self, selection: Selection) -> list[str]:
        """Each row as a JSON object, numbers as exact as the store has them."""
        query, values = selection.sql(self.catalogue.snapshot)
        with self.cursor() as cursor:
            return [row[0] for row in cursor.execute(f"SELECT CAST(to_json(r) AS VARCHAR) FROM ({query}) AS r", values).fetchall()]

    def count(self, selection: Selection) -> int:
        with self.cursor() as cursor:
            row = cursor.execute(*selection.count_sql(self.catalogue.snapshot)).fetchone()
            return int(row[0]) if row else 0

    def batches(
        self, selection: Selection, expressions: dict[str, str] | None = None, *, as_json: bool = False
    ) -> Iterator[pa.RecordBatch]:
        """The selection batch by batch, in storage order: sorting would hold the whole table in memory."""
        query, values = selection.sql(self.catalogue.snapshot, expressions, ordered=False)
        if as_json:
            query = f"SELECT CAST(to_json(r) AS VARCHAR) AS row FROM ({query}) AS r"
        with self.cursor() as cursor:
            reader = cursor.execute(query, values).to_arrow_reader(BATCH_ROWS)
            yield pa.RecordBatch.from_pylist([], schema=reader.schema)
            yield from reader

    def quarantined(self, entry: Entry, decision: Decision, limit: int) -> list[tuple[int, str, str, str, str]]:
        """Values held back from the newest judged delivery (row, column, value, reasons vi and en), readable columns only."""
        if not decision.allowed or entry.judged is None or not entry.judged.rows_quarantined:
            return []
        with self.cursor() as cursor:
            return cursor.execute(
                f"""
                SELECT row_number, column_name, value, reason_vi, reason_en
                FROM kho.quarantine AT (VERSION => {int(self.catalogue.snapshot)})
                WHERE delivery_id = ? AND dataset = ? AND list_contains(?, column_name)
                ORDER BY ALL LIMIT {int(limit)}
                """,
                [entry.judged.delivery_id, entry.id, list(decision.columns)],
            ).fetchall()
