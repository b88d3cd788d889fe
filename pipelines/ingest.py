"""The whole way of a delivery: archive → gate → one transaction → checks → profile. No Dagster in it.

`ingest` serves Dagster and the command line alike. Bad data is a result (`Outcome`); a broken system is an exception.
"""

import hashlib
import json
import logging
import uuid
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from pipelines import archive, ledger
from pipelines.contract import Contract, Register
from pipelines.gate import Judgement, judge
from pipelines.gate.judge import withheld
from pipelines.ledger import Arrival, now
from pipelines.outcome import CheckResult, Outcome, Verdict
from pipelines.sources import Fetched, SourceUnavailable, Withheld
from pipelines.sources.dropfolder import Look, clear, look, settled, taken
from pipelines.sources.kinds import fetcher
from pipelines.sources.secrets import MissingSecret
from pipelines.sources.servers import Place, place_of
from pipelines.sql import literal, quote, quote_name
from pipelines.store import Release, Store, ensure_fits

log = logging.getLogger(__name__)

SYNTHETIC_MARK = "synthetic"
"""A file whose name carries this word is synthetic, and so is the release made of it."""


def pending(store: Store, contract: Contract) -> Look:
    """What the dataset's drop folder holds at this moment."""
    where = store.settings
    return look(where.drop / contract.id, where.quiet_seconds, taken(where.not_removed))


def ingest(store: Store, register: Register, dataset: str, run_id: str) -> list[Outcome]:
    """Take in whatever is new for ``dataset``: files in its drop folder, what its source holds, its reference data, its query's
    inputs, or its last delivery again when the contract's rules changed. One outcome per delivery; `unchanged` when none.

    Raises on infrastructure faults only (disk, catalogue, permissions, a query that cannot run, a source that does not answer).
    """
    contract = register.contracts[dataset]
    if contract.query:
        return [_derive(store, register, contract, run_id)]
    outcomes = [_take(store, contract, arrival, run_id) for arrival in _arrivals(store, contract)]
    if contract.source:
        outcomes += _pull(store, contract, register.timezone, run_id)
    if outcomes:
        return outcomes
    release = store.releases().get(dataset)
    if contract.reference_data:
        sha = archive.digest(contract.reference_data)
        if release is None or (release.sha256, release.fingerprint) != (sha, contract.fingerprint):
            sha, kept = archive.keep(store.settings.archive, contract.reference_data.resolve())
            return [_take(store, contract, Arrival(kept, contract.reference_data.name, sha, now(), rejudged=True), run_id)]
    elif release and release.fingerprint != contract.fingerprint and contract.load_mode != "append":
        again = _last_delivery(store, contract, release.sha256)
        if again:
            return [_take(store, contract, again, run_id)]
    return [_unchanged(store, dataset)]


def _arrivals(store: Store, contract: Contract) -> Iterator[Arrival]:
    """The whole files of the drop folder, archived one by one; one that changes meanwhile is left for the next look."""
    where = store.settings
    for dropped in settled(where.drop / contract.id, where.quiet_seconds, taken(where.not_removed)).ready:
        try:
            sha, kept = archive.keep(where.archive, dropped.path)
        except (archive.Changed, FileNotFoundError):
            continue
        if dropped.unchanged():
            received = datetime.fromtimestamp(dropped.changed_ns / 1e9, UTC).replace(tzinfo=None)
            yield Arrival(kept, dropped.name, sha, received, dropped=dropped)


def _pull(store: Store, contract: Contract, timezone: str, run_id: str) -> list[Outcome]:
    """Fetch what is new at the contract's source and take it in like any delivery.

    What the next fetch starts from is committed with the delivery that it came with. Raises `SourceUnavailable`, and notes it.
    """
    place = place_of(contract, store.settings, timezone)
    before = store.source_state(contract.id)
    state = before.state if before and before.origin == place.origin else {}
    store.settings.staging.mkdir(parents=True, exist_ok=True)
    outcomes = []
    try:
        for offer in fetcher(place.kind)(place.contract, state, store.settings.staging):
            outcome = _offered(store, contract, offer, place, run_id)
            outcomes += [outcome] if outcome else []
            if isinstance(offer, Withheld) or (not offer.judged_once and outcome and outcome.verdict == "refused"):
                break  # what follows would start from a state that was never reached
    except (SourceUnavailable, MissingSecret) as error:
        if before is None or before.trouble != str(error):
            store.note_source(contract.id, place.origin, state, str(error))
        raise
    if before and before.trouble and not outcomes:
        store.note_source(contract.id, place.origin, state)
    return outcomes


def _offered(store: Store, contract: Contract, offer: Fetched | Withheld, place: Place, run_id: str) -> Outcome | None:
    """Take in one offer of a source; None when it is what was refused the last time already, and there is nothing new to say."""
    if isinstance(offer, Withheld):
        seal = json.dumps([offer.name, [asdict(r) for r in offer.reasons]], ensure_ascii=False)
        arrival = Arrival(store.settings.staging / offer.name, offer.name, hashlib.sha256(seal.encode()).hexdigest(), now())
    else:
        try:
            sha, kept = archive.keep(store.settings.archive, offer.file)
        finally:
            offer.file.unlink(missing_ok=True)
        name = offer.name if not (offer.synthetic or place.synthetic) else _marked(offer.name)
        arrival = Arrival(
            kept, name, sha, now(), decisions=offer.decisions, origin=place.origin, state=offer.state, judged_once=offer.judged_once
        )  # fmt: skip
    judged = store.judged(contract.id)
    if judged and judged.standing == "refused" and judged.sha256 == arrival.sha256 and _judged_under(store, contract, arrival.sha256):
        return None
    if isinstance(offer, Withheld):
        release = store.releases().get(contract.id)
        return _commit(store, contract, withheld(offer.reasons), arrival, _outcome_of(store, contract, arrival), release, run_id, now())
    return _take(store, contract, arrival, run_id)


def _marked(name: str) -> str:
    """The name of a synthetic delivery carries the word that says so."""
    path = Path(name)
    return name if SYNTHETIC_MARK in name.lower() else f"{path.stem}.{SYNTHETIC_MARK}{path.suffix}"


def _judged_under(store: Store, contract: Contract, sha256: str) -> bool:
    """Whether these bytes were judged by the contract as it is now."""
    with store.reader() as connection:
        row = connection.execute(
            "SELECT count(*) FROM kho.ledger WHERE dataset = ? AND sha256 = ? AND contract_fingerprint = ?",
            [contract.id, sha256, contract.fingerprint],
        ).fetchone()
    return bool(row and row[0])


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
    kept = archive.find(store.settings.archive, sha256, Path(row[0]).suffix.lower())
    return Arrival(kept, row[0], sha256, row[1], rejudged=True) if kept.exists() else None


def _take(store: Store, contract: Contract, arrival: Arrival, run_id: str) -> Outcome:
    """Judge one archived delivery and commit what became of it; then, and only then, clear it from the drop folder."""
    release = store.releases().get(contract.id)
    outcome = _outcome_of(store, contract, arrival)
    started = now()
    if not arrival.rejudged and _known(store, contract, release, arrival.sha256):
        with store.transaction(f"{contract.id}: duplicate", _info(outcome, run_id)) as connection:
            source = ledger.record(connection, contract, replace(outcome, release=None), arrival, run_id, started)
        store.remember_source(contract.id, source)
    else:
        outcome = _judge_and_commit(store, contract, arrival, outcome, release, run_id, started)
    if arrival.dropped is not None and not clear(arrival.dropped, store.settings.not_removed):
        log.warning("%s: %s was taken in and cannot be removed from the drop folder", contract.id, arrival.name)
    return outcome


def _outcome_of(store: Store, contract: Contract, arrival: Arrival) -> Outcome:
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


def _known(store: Store, contract: Contract, release: Release | None, sha256: str) -> bool:
    if release is None or release.fingerprint != contract.fingerprint:
        return False
    return release.sha256 == sha256 or (contract.load_mode == "append" and store.accepted_before(contract.id, sha256))


def _judge_and_commit(
    store: Store, contract: Contract, arrival: Arrival, outcome: Outcome, release: Release | None, run_id: str, started: datetime
) -> Outcome:
    store.settings.staging.mkdir(parents=True, exist_ok=True)
    staging = store.settings.staging / f"{outcome.delivery_id}.parquet"
    try:
        with store.gate_connection() as gate:
            judgement = judge(gate, contract, arrival.file, staging)
        return _commit(store, contract, judgement, arrival, outcome, release, run_id, started)
    finally:
        staging.unlink(missing_ok=True)


def _commit(
    store: Store,
    contract: Contract,
    judgement: Judgement,
    arrival: Arrival,
    outcome: Outcome,
    release: Release | None,
    run_id: str,
    started: datetime,
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
    )
    with store.transaction(f"{contract.id}: {verdict}", _info(outcome, run_id)) as connection:
        if judgement.accepted:
            ensure_fits(connection, contract)
            _load(connection, contract, judgement.accepted, first=release is None)
            checks = tuple(_check(connection, contract))
            total = _profile(connection, contract, outcome.delivery_id)
            outcome = replace(outcome, checks=checks, rows_total=total)
        ledger.record_rows(connection, outcome, judgement)
        source = ledger.record(connection, contract, outcome, arrival, run_id, started, judgement.decisions)
    store.remember(outcome, contract.fingerprint)
    store.remember_source(contract.id, source)
    return outcome


def _load(connection: duckdb.DuckDBPyConnection, contract: Contract, accepted: str, first: bool) -> None:
    """Put the accepted rows into the table by the contract's load mode. Delete + insert, never create-or-replace."""
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
    connection.execute(f"INSERT INTO {table} ({names}) {accepted}")


PERIODS = ("ky_thang", "ky_quy", "nam", "tuan", "nam_hoc")


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


def _profile(connection: duckdb.DuckDBPyConnection, contract: Contract, delivery_id: str) -> int:
    """One scan: per column the missing and (about) distinct values and, where it is no personal data, the extremes."""
    table = quote_name(contract.schema, contract.table)
    parts = ["count(*)"]
    for column in contract.columns:
        x = quote(column.name)
        extremes = (
            f"CAST(min({x}) AS VARCHAR), CAST(max({x}) AS VARCHAR)"
            if column.personal == "none" and column.semantic != "hinh_hoc"
            else "NULL, NULL"
        )
        parts += [f"count(*) - count({x})", f"approx_count_distinct({x})", extremes]
    row = connection.execute(f"SELECT {', '.join(parts)} FROM {table}").fetchone()
    assert row is not None
    total, values = int(row[0]), row[1:]
    profile = pa.table(
        {
            "column_name": [c.name for c in contract.columns],
            "nulls": pa.array(values[0::4], pa.int64()),
            "distinct_count": pa.array(values[1::4], pa.int64()),
            "minimum": pa.array(values[2::4], pa.string()),
            "maximum": pa.array(values[3::4], pa.string()),
        }
    )
    connection.register("profile_rows", profile)
    connection.execute(
        "INSERT INTO kho.profile SELECT ?, ?, column_name, ?, nulls, distinct_count, minimum, maximum FROM profile_rows",
        [delivery_id, contract.id, total],
    )
    connection.unregister("profile_rows")
    return total


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
    result = store.settings.staging / f"{delivery_id}.csv"
    staging = store.settings.staging / f"{delivery_id}.parquet"
    store.settings.staging.mkdir(parents=True, exist_ok=True)
    started = now()
    try:
        with store.reader() as connection:
            synthetic = _any_synthetic(connection, list(register.upstream[contract.id]))
            connection.execute(f"COPY ({(contract.query or '').rstrip().rstrip(';')}) TO {literal(result)} (FORMAT csv, HEADER true)")
        arrival = Arrival(result, contract.sibling(".sql").name, state, started, rejudged=True)
        with store.gate_connection() as gate:
            judgement = judge(gate, contract, result, staging)
        outcome = Outcome(contract.id, "accepted", arrival.name, state, delivery_id, synthetic=synthetic)
        return _commit(store, contract, judgement, arrival, outcome, release, run_id, started)
    finally:
        result.unlink(missing_ok=True)
        staging.unlink(missing_ok=True)


def _any_synthetic(connection: duckdb.DuckDBPyConnection, datasets: list[str]) -> bool:
    """A figure computed from synthetic rows is synthetic."""
    row = connection.execute(
        "SELECT coalesce(bool_or(synthetic), false) FROM kho.ledger WHERE release IS NOT NULL AND list_contains(?, dataset)",
        [datasets],
    ).fetchone()
    return bool(row and row[0])
