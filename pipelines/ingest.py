"""The whole way of a delivery: archive → gate → one transaction → checks → profile. No Dagster in it.

`ingest` serves Dagster and the command line alike. Bad data is a result (`Outcome`); a broken system is an exception.
"""

import hashlib
import json
import shutil
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines import archive, ledger
from pipelines.contract import Contract, Register
from pipelines.contract.periods import PERIODS
from pipelines.gate import Judgement, judge
from pipelines.ledger import Arrival, now
from pipelines.outcome import CheckResult, Outcome, Verdict
from pipelines.profile import write_profile
from pipelines.rejects import Correction, correct, read_fix_sheet, supersede
from pipelines.sql import literal, quote, quote_name
from pipelines.store import Release, Store, ensure_fits

SYNTHETIC_MARK = "synthetic"
"""A file whose name carries this word is synthetic, and so is the release made of it."""


def pending(store: Store, contract: Contract) -> list[Path]:
    """Files waiting in the dataset's drop folder, oldest first; names that start with `.` or `~` are not yet files."""
    folder = store.settings.drop / contract.id
    if not folder.is_dir():
        return []
    files = [f for f in folder.iterdir() if f.is_file() and not f.name.startswith((".", "~")) and f.suffix not in (".part", ".tmp")]
    return sorted(files, key=lambda f: (f.stat().st_mtime_ns, f.name))


def ingest(store: Store, register: Register, dataset: str, run_id: str) -> list[Outcome]:
    """Take in whatever is new for ``dataset``: files in its drop folder, its reference data, its query's inputs,
    or its last delivery again when the contract's rules changed. One outcome per delivery; `unchanged` when none.

    Raises on infrastructure faults only (disk, catalogue, permissions, a query that cannot run).
    """
    contract = register.contracts[dataset]
    if contract.query:
        return [_derive(store, register, contract, run_id)]
    outcomes = []
    for file in pending(store, contract):
        received = datetime.fromtimestamp(file.stat().st_mtime, UTC).replace(tzinfo=None)
        sha, kept = archive.keep(store.settings.archive, file)
        outcomes.append(_take(store, register, contract, Arrival(kept, file.name, sha, received, dropped=file), run_id))
    if outcomes:
        return outcomes
    release = store.releases().get(dataset)
    if contract.reference_data:
        sha = archive.digest(contract.reference_data)
        if release is None or (release.sha256, release.fingerprint) != (sha, contract.fingerprint):
            sha, kept = archive.keep(store.settings.archive, contract.reference_data)
            return [_take(store, register, contract, Arrival(kept, contract.reference_data.name, sha, now(), rejudged=True), run_id)]
    elif release and (again := _to_judge_again(contract, release)):
        arrivals = [_last_delivery(store, contract, sha) for sha in again]
        if outcomes := [_take(store, register, contract, arrival, run_id) for arrival in arrivals if arrival]:
            return outcomes
    return [_unchanged(store, dataset)]


def _to_judge_again(contract: Contract, release: Release) -> tuple[str, ...]:
    """The last delivery and its fix sheets, by their bytes, when the contract's rules changed; the sheets alone when they are due."""
    if release.fingerprint != contract.fingerprint and contract.load_mode != "append":
        return (release.base, *release.corrections, *release.due)
    return release.due


def _unchanged(store: Store, dataset: str) -> Outcome:
    judged = store.judged(dataset)
    release = store.releases().get(dataset)
    if judged is None:
        return Outcome(dataset, "unchanged")
    return replace(judged, verdict="unchanged", release=release.number if release else None, rows_total=release.rows if release else 0)


def _last_delivery(store: Store, contract: Contract, sha256: str) -> Arrival | None:
    with store.reader() as connection:
        row = connection.execute(
            "SELECT file_name, received_at FROM kho.ledger WHERE dataset = ? AND sha256 = ? ORDER BY finished_at DESC LIMIT 1",
            [contract.id, sha256],
        ).fetchone()
    if row is None:
        return None
    kept = archive.find(store.settings.archive, sha256, archive.suffix_of(row[0]))
    return Arrival(kept, row[0], sha256, row[1], rejudged=True) if kept.exists() else None


def _take(store: Store, register: Register, contract: Contract, arrival: Arrival, run_id: str) -> Outcome:
    """Judge one archived delivery and commit what became of it; then, and only then, clear it from the drop folder."""
    release = store.releases().get(contract.id)
    judged = store.judged(contract.id)
    outcome = Outcome(
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
    started = now()
    if not arrival.rejudged and _known(store, contract, release, arrival.sha256):
        _record_duplicate(store, contract, outcome, arrival, run_id, started)
    else:
        outcome = _judge_and_commit(store, register, contract, arrival, outcome, release, run_id, started)
    if arrival.dropped is not None:
        arrival.dropped.unlink(missing_ok=True)
    return outcome


def _record_duplicate(store: Store, contract: Contract, outcome: Outcome, arrival: Arrival, run_id: str, started: datetime) -> Outcome:
    """A line in the ledger for bytes that change nothing."""
    with store.transaction(f"{contract.id}: duplicate", _info(outcome, run_id)) as connection:
        ledger.record(connection, contract, replace(outcome, release=None), arrival, run_id, started)
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
    release: Release | None,
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
            return _commit(store, contract, correction.judgement, arrival, outcome, release, run_id, started, correction)
        with store.gate_connection() as gate:
            judgement = judge(
                gate, contract, arrival.file, staging, store.stored(contract, register), unpacked_limit=store.settings.unpacked_limit
            )
        return _commit(store, contract, judgement, arrival, outcome, release, run_id, started)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _commit(
    store: Store,
    contract: Contract,
    judgement: Judgement,
    arrival: Arrival,
    outcome: Outcome,
    release: Release | None,
    run_id: str,
    started: datetime,
    correction: Correction | None = None,
) -> Outcome:
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
        ledger.record(connection, contract, outcome, arrival, run_id, started, judgement.decisions)
    store.remember(outcome, contract.fingerprint)
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


def derived_state(register: Register, contract: Contract, releases: dict[str, Release]) -> str | None:
    """What a derived dataset is computed from: its query and rules, and the releases that its query reads.

    None when nothing that it reads was ever released: there is nothing to compute yet.
    """
    sources = register.upstream[contract.id]
    inputs = [(source, releases[source].number) for source in sources if source in releases]
    if sources and not inputs:
        return None
    return hashlib.sha256(json.dumps([contract.fingerprint, inputs]).encode()).hexdigest()


def _derive(store: Store, register: Register, contract: Contract, run_id: str) -> Outcome:
    """Run a derived dataset's query when what it reads has changed, and take the result in like any delivery."""
    releases = store.releases()
    state = derived_state(register, contract, releases)
    release, judged = releases.get(contract.id), store.judged(contract.id)
    if state is None or state in (release and release.sha256, judged and judged.sha256):
        return _unchanged(store, contract.id)
    delivery_id = str(uuid.uuid4())
    staging = store.settings.staging / delivery_id
    staging.mkdir(parents=True, exist_ok=True)
    result = staging / "result.parquet"
    started = now()
    try:
        with store.reader() as connection:
            synthetic = _any_synthetic(connection, list(register.upstream[contract.id]))
            connection.execute(f"COPY ({(contract.query or '').rstrip().rstrip(';')}) TO {literal(result)} (FORMAT parquet)")
        arrival = Arrival(result, contract.sibling(".sql").name, state, started, rejudged=True)
        with store.gate_connection() as gate:
            judgement = judge(gate, contract, result, staging, store.stored(contract, register))
        outcome = Outcome(contract.id, "accepted", arrival.name, state, delivery_id, synthetic=synthetic)
        return _commit(store, contract, judgement, arrival, outcome, release, run_id, started)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _any_synthetic(connection: duckdb.DuckDBPyConnection, datasets: list[str]) -> bool:
    """A figure computed from synthetic rows is synthetic."""
    row = connection.execute(
        "SELECT coalesce(bool_or(synthetic), false) FROM kho.ledger WHERE release IS NOT NULL AND list_contains(?, dataset)",
        [datasets],
    ).fetchone()
    return bool(row and row[0])
