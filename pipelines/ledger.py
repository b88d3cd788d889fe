"""The ledger and its companions: what came, what became of it, row by row. Written inside the load's transaction."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from pipelines.contract import Contract
from pipelines.gate import Judgement
from pipelines.gate.readers import Decision
from pipelines.outcome import Outcome
from pipelines.sources.dropfolder import Dropped
from pipelines.sql import quote, quote_name
from pipelines.store import SourceState, record_source

QUARANTINE_COLUMNS = ("row_number", "column_name", "value", "rule", "reason_vi", "reason_en", "error_group")


@dataclass(frozen=True)
class Arrival:
    """A delivery to be judged: where its bytes are, what they are called, whether it came through the drop folder."""

    file: Path
    name: str
    sha256: str
    received_at: datetime
    dropped: Dropped | None = None
    rejudged: bool = False
    synthetic: bool = False
    decisions: tuple[Decision, ...] = ()
    """What was decided about it before the gate saw it."""
    origin: str = ""
    """Of a fetched delivery: what ``state`` is true of."""
    state: dict[str, Any] | None = None
    """Of a fetched delivery: what the next fetch starts from, once this one is committed."""
    judged_once: bool = False
    """``state`` stands even when the delivery is refused."""


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def record_rows(connection: duckdb.DuckDBPyConnection, outcome: Outcome, judgement: Judgement) -> None:
    """Keep the rows that were held back, marked or left out, and the answers of the table's checks."""
    for table, columns, rows in (
        ("quarantine", QUARANTINE_COLUMNS, judgement.quarantine),
        ("held_rows", ("row_number", "cells"), judgement.held),
        ("marks", QUARANTINE_COLUMNS, judgement.marks),
        ("left_out", ("row_number", "kind", "text"), judgement.left_out),
    ):
        if rows:
            names = ", ".join(quote(c) for c in columns)
            connection.execute(
                f"INSERT INTO {quote_name('kho', table)} (delivery_id, dataset, {names}) SELECT ?, ?, {names} FROM ({rows})",
                [outcome.delivery_id, outcome.dataset],
            )
    for check in outcome.checks:
        connection.execute(
            "INSERT INTO kho.checks VALUES (?, ?, ?, ?, ?, ?, ?)",
            [outcome.delivery_id, outcome.dataset, check.name, check.violations, check.vi, check.en, now()],
        )


def record(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    outcome: Outcome,
    arrival: Arrival,
    run_id: str,
    started: datetime,
    decisions: tuple[Decision, ...] = (),
) -> SourceState | None:
    """The delivery's line in the ledger and, where it was fetched and taken, what the next fetch starts from."""
    reasons = json.dumps([asdict(r) for r in outcome.reasons], ensure_ascii=False)
    size = arrival.file.stat().st_size if arrival.file.exists() else 0
    connection.execute(
        """
        INSERT INTO kho.ledger (
            delivery_id, dataset, received_at, file_name, bytes, sha256, synthetic, run_id, contract_version,
            contract_fingerprint, outcome, rows_read, rows_accepted, rows_quarantined, rows_total, release, reasons,
            started_at, finished_at, rows_left_out, reading, corrects
        ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        [
            outcome.delivery_id, contract.id, arrival.received_at, arrival.name, size, arrival.sha256, outcome.synthetic,
            run_id, contract.version, contract.fingerprint, outcome.verdict, outcome.rows_read, outcome.rows_accepted,
            outcome.rows_quarantined, outcome.rows_total, outcome.release, reasons, started, now(),
            outcome.rows_left_out, json.dumps([asdict(d) for d in (*arrival.decisions, *decisions)], ensure_ascii=False),
            outcome.corrects or None,
        ],
    )  # fmt: skip
    if arrival.state is None or (outcome.verdict == "refused" and not arrival.judged_once):
        return None
    return record_source(connection, contract.id, outcome.delivery_id, arrival.origin, arrival.state)
