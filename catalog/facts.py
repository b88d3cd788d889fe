"""What the store knows about every dataset: deliveries, check results, column profiles. Plain rows, read once per state."""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import duckdb

from pipelines.outcome import CheckResult, Reason
from pipelines.quality import ExpectationResult, QualityRun, latest_results, past_runs
from pipelines.store import StoreMissing

LEDGER_DEPTH = 100
"""Deliveries per dataset that the catalogue shows; older ones stay in `kho.ledger`."""


QUALITY_RUNS = 10
"""Runs of the expectations that a dataset's page links to."""


class ReadableStore(Protocol):
    """The two things the catalogue asks of the store."""

    def reader(self) -> duckdb.DuckDBPyConnection: ...

    def snapshot(self) -> int: ...


@dataclass(frozen=True)
class Delivery:
    """One row of the ledger. Times are UTC; ``release`` is empty when the delivery changed nothing."""

    delivery_id: str
    received_at: datetime
    finished_at: datetime
    file_name: str
    bytes: int
    sha256: str
    synthetic: bool
    contract_version: str
    outcome: str
    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    rows_total: int
    release: int | None
    rows_left_out: int | None
    reasons: tuple[Reason, ...]
    reading: tuple[tuple[str, str, str], ...] = ()
    """(what, value, evidence) of what was decided about the file."""


@dataclass(frozen=True)
class Profile:
    """What one column of the newest release holds."""

    rows: int
    nulls: int
    distinct_count: int
    minimum: str | None
    maximum: str | None


@dataclass(frozen=True)
class Facts:
    """The state of the store at one snapshot; everything is empty where nothing was delivered yet."""

    snapshot: int = 0
    deliveries: dict[str, tuple[Delivery, ...]] = field(default_factory=dict)
    checks: dict[str, tuple[CheckResult, ...]] = field(default_factory=dict)
    profiles: dict[str, dict[str, Profile]] = field(default_factory=dict)
    open_rows: dict[str, int] = field(default_factory=dict)
    """Rows held back that wait to be mended, of all deliveries."""
    expectations: dict[str, tuple[ExpectationResult, ...]] = field(default_factory=dict)
    quality_runs: dict[str, tuple[QualityRun, ...]] = field(default_factory=dict)


def read_facts(store: ReadableStore) -> Facts:
    """All facts as of one snapshot, so that no page mixes two states of the store."""
    snapshot = store.snapshot()
    try:
        connection = store.reader()
    except StoreMissing:
        return Facts()
    try:
        return _read(connection, snapshot)
    except duckdb.CatalogException:
        return Facts(snapshot)  # a store whose system tables are about to be created
    finally:
        connection.close()


def _read(connection: duckdb.DuckDBPyConnection, snapshot: int) -> Facts:
    at = f"AT (VERSION => {int(snapshot)})"
    columns = (
        "delivery_id, received_at, finished_at, file_name, bytes, sha256, synthetic, contract_version, outcome, "
        "rows_read, rows_accepted, rows_quarantined, rows_total, release, rows_left_out"
    )
    deliveries: dict[str, list[Delivery]] = {}
    for dataset, reasons, reading, *values in connection.execute(
        f"""
        SELECT dataset, reasons, reading, {columns}
        FROM kho.ledger {at}
        QUALIFY row_number() OVER (PARTITION BY dataset ORDER BY finished_at DESC, release DESC NULLS LAST) <= {LEDGER_DEPTH}
        ORDER BY dataset, finished_at DESC, release DESC NULLS LAST
        """
    ).fetchall():
        deliveries.setdefault(dataset, []).append(Delivery(*values, reasons=_reasons(reasons), reading=_reading(reading)))  # type: ignore[misc]  # columns end before it
    newest = f"SELECT arg_max(delivery_id, release) FROM kho.ledger {at} WHERE release IS NOT NULL GROUP BY dataset"
    checks: dict[str, list[CheckResult]] = {}
    for dataset, *values in connection.execute(
        f"SELECT dataset, name, violations, vi, en FROM kho.checks {at} WHERE delivery_id IN ({newest}) ORDER BY ALL"
    ).fetchall():
        checks.setdefault(dataset, []).append(CheckResult(*values))
    profiles: dict[str, dict[str, Profile]] = {}
    for dataset, column, *values in connection.execute(
        f"""
        SELECT dataset, column_name, rows, nulls, distinct_count, minimum, maximum
        FROM kho.profile {at} WHERE delivery_id IN ({newest})
        """
    ).fetchall():
        profiles.setdefault(dataset, {})[column] = Profile(*values)
    try:
        expectations, runs = latest_results(connection, snapshot), past_runs(connection, snapshot, QUALITY_RUNS)
    except duckdb.CatalogException:  # a store of before there were expectations
        expectations, runs = {}, {}
    return Facts(
        snapshot,
        {dataset: tuple(rows) for dataset, rows in deliveries.items()},
        {dataset: tuple(rows) for dataset, rows in checks.items()},
        profiles,
        dict(connection.execute(f"SELECT dataset, count(*) FROM kho.held_rows {at} WHERE closed_at IS NULL GROUP BY ALL").fetchall()),
        expectations,
        runs,
    )


def _reading(text: str | None) -> tuple[tuple[str, str, str], ...]:
    return tuple((d["what"], d["value"], d.get("evidence", "")) for d in json.loads(text or "[]"))


def _reasons(text: str | None) -> tuple[Reason, ...]:
    found: list[dict[str, Any]] = json.loads(text or "[]")
    return tuple(Reason(r["rule"], r.get("column") or "", r["count"], r["vi"], r["en"]) for r in found)
