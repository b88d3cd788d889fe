"""Which rows are held back, of which delivery, and why: read from the store, never written."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from pipelines.contract import Contract
from pipelines.gate.readers import Decision
from pipelines.outcome import Reason
from pipelines.sql import literal


@dataclass(frozen=True)
class OpenDelivery:
    """A delivery that waits for its agency: rows of it are held, or it was refused whole and nothing came after it."""

    delivery_id: str
    dataset: str
    file_name: str
    sha256: str
    received_at: datetime
    """UTC, as every time of the store."""
    outcome: str
    rows_read: int
    open_rows: int
    reasons: tuple[Reason, ...]
    """What the gate said of the whole delivery."""
    synthetic: bool = False
    decisions: tuple[Decision, ...] = ()
    """How its file was read."""

    def decided(self, what: str) -> str | None:
        """What the reader decided about one thing, such as ``doanh_thu: unit``."""
        return next((d.value for d in self.decisions if d.what == what), None)


@dataclass(frozen=True)
class Fault:
    """One rule on one column, broken by ``rows`` of the open rows."""

    group: str
    """Of the eight error groups."""
    rule: str
    column: str
    """Empty for a rule over several columns."""
    vi: str
    en: str
    rows: int


@dataclass(frozen=True)
class Example:
    """One value that broke a rule, at its place in the delivery."""

    row_number: int
    column: str
    value: str | None
    rule: str
    vi: str
    en: str
    group: str


@dataclass(frozen=True)
class Quarantine:
    """The held rows of a store, through one connection; as of ``snapshot``, or as they are now."""

    connection: duckdb.DuckDBPyConnection
    snapshot: int | None = None

    def _table(self, name: str) -> str:
        return f"(FROM kho.{name}{'' if self.snapshot is None else f' AT (VERSION => {int(self.snapshot)})'})"

    def deliveries(self, dataset: str | None = None) -> list[OpenDelivery]:
        """Deliveries with open rows, and datasets' newest deliveries where these were refused whole; newest first."""
        rows = self.connection.execute(
            f"""
            WITH open_rows AS (
                SELECT delivery_id, count(*) AS n FROM {self._table("held_rows")} WHERE closed_at IS NULL GROUP BY ALL
            ),
            judged AS (
                SELECT *, row_number() OVER (PARTITION BY dataset ORDER BY finished_at DESC) AS age
                FROM {self._table("ledger")} WHERE outcome <> 'duplicate' AND ($1 IS NULL OR dataset = $1)
            )
            SELECT delivery_id, dataset, file_name, sha256, received_at, outcome, rows_read, coalesce(n, 0), reasons, synthetic, reading
            FROM judged LEFT JOIN open_rows USING (delivery_id)
            WHERE n > 0 OR (outcome = 'refused' AND age = 1)
            ORDER BY finished_at DESC, delivery_id
            """,
            [dataset],
        ).fetchall()
        reasons_of = lambda text: tuple(Reason(**r) for r in json.loads(text or "[]"))
        decisions_of = lambda text: tuple(Decision(**d) for d in json.loads(text or "[]"))
        return [
            OpenDelivery(*(*facts, reasons_of(reasons), synthetic, decisions_of(reading))) for *facts, reasons, synthetic, reading in rows
        ]

    def faults(self, delivery_id: str) -> list[Fault]:
        """The open rows' faults, the commonest first."""
        rows = self.connection.execute(
            f"""
            SELECT error_group, rule, column_name, any_value(reason_vi), any_value(reason_en), count(DISTINCT row_number) AS n
            FROM {self.open_faults}
            GROUP BY error_group, rule, column_name
            ORDER BY n DESC, rule, column_name
            """,
            [delivery_id],
        ).fetchall()
        return [Fault(*row) for row in rows]

    def groups(self, delivery_id: str) -> dict[str, int]:
        """Open rows by error group, the commonest first. A row with faults of two groups counts in both."""
        return dict(
            self.connection.execute(
                f"""
                SELECT error_group, count(DISTINCT row_number) AS n FROM {self.open_faults}
                GROUP BY error_group ORDER BY n DESC, error_group
                """,
                [delivery_id],
            ).fetchall()
        )

    def examples(
        self, delivery_id: str, columns: Sequence[str] | None = None, limit: int | None = None, *, last_row: int | None = None
    ) -> list[Example]:
        """Values that broke a rule, in the order of the delivery, up to its row ``last_row``; of ``columns`` only where they are named."""
        rows = self.connection.execute(
            f"""
            SELECT row_number, column_name, value, rule, reason_vi, reason_en, error_group
            FROM {self.open_faults}
            WHERE ($2 IS NULL OR list_has_all($2, string_split(column_name, ', '))) AND ($3 IS NULL OR row_number <= $3)
            ORDER BY row_number, column_name, rule
            {"" if limit is None else f"LIMIT {int(limit)}"}
            """,
            [delivery_id, None if columns is None else list(columns), last_row],
        ).fetchall()
        return [Example(*row) for row in rows]

    def rows(self, contract: Contract, delivery_id: str, limit: int) -> list[tuple[int, dict[str, str | None]]]:
        """The first open rows: number in the delivery, and cells as delivered by column of the contract.

        Rows that share their number with another (of another sheet of the workbook) could not be told apart again: left out.
        """
        cells = ", ".join(f"""json_extract_string(cells, {literal(f'$."{c.name}"')})""" for c in contract.columns)
        found = self.connection.execute(
            f"""
            SELECT row_number, {cells} FROM {self._table("held_rows")}
            WHERE delivery_id = ? AND closed_at IS NULL
            QUALIFY count(*) OVER (PARTITION BY row_number) = 1
            ORDER BY row_number LIMIT {int(limit)}
            """,
            [delivery_id],
        ).fetchall()
        names = [c.name for c in contract.columns]
        return [(row[0], dict(zip(names, row[1:], strict=True))) for row in found]

    @property
    def open_faults(self) -> str:
        """SQL: the faults of the open rows of the delivery bound as ``$1``."""
        return f"""
            (SELECT q.* FROM {self._table("quarantine")} AS q
             SEMI JOIN {self._table("held_rows")} AS h
             ON h.delivery_id = q.delivery_id AND h.row_number = q.row_number AND h.closed_at IS NULL
             WHERE q.delivery_id = $1)
        """
