"""From an archived delivery to a release: judged, then written in one transaction; and what is said when it changes nothing."""

import logging
import shutil
import uuid
from dataclasses import replace
from datetime import datetime

import duckdb

from pipelines import ledger
from pipelines.contract import Contract, Register
from pipelines.contract.periods import PERIODS
from pipelines.gate import Judgement, judge
from pipelines.ledger import Arrival, now
from pipelines.outcome import CheckResult, Outcome, Verdict
from pipelines.profile import write_profile
from pipelines.rejects import Correction, correct, read_fix_sheet, supersede
from pipelines.sources.dropfolder import clear
from pipelines.sql import quote, quote_name
from pipelines.store import Release, Store, ensure_fits

log = logging.getLogger(__name__)

SYNTHETIC_MARK = "synthetic"
"""A file whose name carries this word is synthetic, and so is the release made of it."""


def take(store: Store, register: Register, contract: Contract, arrival: Arrival, run_id: str) -> Outcome:
    """Judge one archived delivery and commit what became of it; then, and only then, clear it from the drop folder."""
    release = store.releases().get(contract.id)
    outcome = outcome_of(store, contract, arrival)
    started = now()
    if not arrival.rejudged and _known(store, contract, release, arrival.sha256):
        _record_duplicate(store, contract, outcome, arrival, run_id, started)
    else:
        outcome = _judge_and_commit(store, register, contract, arrival, outcome, run_id, started)
    if arrival.dropped is not None and not clear(arrival.dropped, store.settings.not_removed):
        log.warning("%s: %s was taken in and cannot be removed from the drop folder", contract.id, arrival.name)
    return outcome


def outcome_of(store: Store, contract: Contract, arrival: Arrival) -> Outcome:
    """The outcome of a delivery before it is judged: what stands if it changes nothing."""
    release, judged = store.releases().get(contract.id), store.judged(contract.id)
    return Outcome(
        contract.id,
        "duplicate",
        arrival.name,
        arrival.sha256,
        str(uuid.uuid4()),
        rows_total=release.rows if release else 0,
        release=release.number if release else None,
        synthetic=SYNTHETIC_MARK in arrival.name.lower(),
        standing=judged.standing if judged else None,
        checks=judged.checks if judged else (),
    )


def _record_duplicate(store: Store, contract: Contract, outcome: Outcome, arrival: Arrival, run_id: str, started: datetime) -> Outcome:
    """A line in the ledger for bytes that change nothing."""
    with store.transaction(f"{contract.id}: duplicate", _info(outcome, run_id)) as connection:
        source = ledger.record(connection, contract, replace(outcome, release=None), arrival, run_id, started)
    store.remember_source(contract.id, source)
    if outcome.corrects:
        store.remember(outcome, contract.fingerprint)
    return outcome


def _known(store: Store, contract: Contract, release: Release | None, sha256: str) -> bool:
    if release is None or release.fingerprint != contract.fingerprint:
        return False
    if sha256 in (release.base, *release.corrections):
        return True
    return contract.load_mode == "append" and store.accepted_before(contract.id, sha256)


def _judge_and_commit(
    store: Store,
    register: Register,
    contract: Contract,
    arrival: Arrival,
    outcome: Outcome,
    run_id: str,
    started: datetime,
) -> Outcome:
    staging = store.settings.staging / outcome.delivery_id
    staging.mkdir(parents=True, exist_ok=True)
    try:
        if sheet := read_fix_sheet(arrival.file):
            correction = correct(store, contract, sheet, staging)
            outcome = replace(outcome, synthetic=outcome.synthetic or correction.synthetic)
            if arrival.rejudged and correction.moot:
                return _record_duplicate(store, contract, replace(outcome, corrects=correction.delivery_id), arrival, run_id, started)
            return commit(store, contract, correction.judgement, arrival, outcome, run_id, started, correction)
        with store.gate_connection() as gate:
            judgement = judge(
                gate, contract, arrival.file, staging, store.stored(contract, register), unpacked_limit=store.settings.unpacked_limit
            )
        return commit(store, contract, judgement, arrival, outcome, run_id, started)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def commit(
    store: Store,
    contract: Contract,
    judgement: Judgement,
    arrival: Arrival,
    outcome: Outcome,
    run_id: str,
    started: datetime,
    correction: Correction | None = None,
) -> Outcome:
    """Write what became of a delivery: rows, quarantine, ledger, checks and profile, in one transaction."""
    release = store.releases().get(contract.id)
    number = (release.number if release else 0) + 1
    verdict: Verdict = "refused" if judgement.refused else "partial" if judgement.rows_quarantined else "accepted"
    outcome = replace(
        outcome,
        verdict=verdict,
        standing=verdict,
        checks=(),
        rows_read=judgement.rows_read,
        rows_accepted=judgement.rows_accepted,
        rows_quarantined=judgement.rows_quarantined,
        rows_left_out=judgement.rows_left_out,
        reasons=judgement.reasons,
        release=None if judgement.refused else number,
        corrects=correction.delivery_id if correction else "",
    )
    first = store.judged(contract.id) is None
    with store.transaction(f"{contract.id}: {verdict}", _info(outcome, run_id)) as connection:
        if correction:
            correction.close(connection, outcome.delivery_id, now())
        elif not first:
            period = period_column(contract) if contract.load_mode == "snapshot" else None
            supersede(connection, contract, outcome, judgement.accepted, period)
        if judgement.accepted:
            ensure_fits(connection, contract)
            if correction and correction.adds:
                correction.load(connection, contract)
            else:
                _load(store, connection, contract, judgement, first=release is None)
            checks = tuple(_check(connection, contract))
            total = write_profile(connection, contract, outcome.delivery_id)
            outcome = replace(outcome, checks=checks, rows_total=total)
        ledger.record_rows(connection, outcome, judgement)
        source = ledger.record(connection, contract, outcome, arrival, run_id, started, judgement.decisions)
    store.remember(outcome, contract.fingerprint)
    store.remember_source(contract.id, source)
    return outcome


def _load(store: Store, connection: duckdb.DuckDBPyConnection, contract: Contract, judgement: Judgement, first: bool) -> None:
    """Put the accepted rows into the table by the contract's load mode. Delete + insert, never create-or-replace."""
    accepted = judgement.accepted
    table = quote_name(contract.schema, contract.table)
    names = ", ".join(quote(c.name) for c in contract.columns)
    if first:
        pass
    elif contract.load_mode == "replace":
        connection.execute(f"DELETE FROM {table}")
    elif contract.load_mode == "merge":
        same = " AND ".join(f"{table}.{quote(k)} = incoming.{quote(k)}" for k in contract.key)
        connection.execute(f"DELETE FROM {table} USING ({accepted}) AS incoming WHERE {same}")
    elif contract.load_mode == "snapshot":
        period = quote(period_column(contract))
        connection.execute(f"DELETE FROM {table} WHERE {period} IN (SELECT DISTINCT {period} FROM ({accepted}))")
    if judgement.whole:
        store.adopt(connection, contract, judgement.whole)
    else:
        connection.execute(f"INSERT INTO {table} ({names}) {accepted}")


def period_column(contract: Contract) -> str:
    """The column whose values are the periods that a `snapshot` delivery replaces."""
    keyed = [c for c in contract.columns if c.key]
    for column in keyed:
        if column.semantic in PERIODS:
            return column.name
    for column in keyed:
        if column.type in ("date", "timestamp"):
            return column.name
    return keyed[0].name


def _check(connection: duckdb.DuckDBPyConnection, contract: Contract) -> list[CheckResult]:
    """The contract's questions to the store, asked inside the load's transaction. A check that cannot run raises."""
    results = []
    for check in contract.checks:
        row = connection.execute(check.sql).fetchone()
        results.append(CheckResult(check.name, int(row[0]) if row and row[0] is not None else 0, check.vi, check.en))
    return results


def _info(outcome: Outcome, run_id: str) -> dict[str, str]:
    return {"run": run_id, "dataset": outcome.dataset, "delivery": outcome.delivery_id, "sha256": outcome.sha256}
