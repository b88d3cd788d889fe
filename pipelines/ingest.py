"""The whole way of a delivery: archive → gate → one transaction → checks → profile. No Dagster in it.

`ingest` serves Dagster and the command line alike. Bad data is a result (`Outcome`); a broken system is an exception.
"""

import hashlib
import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from pipelines import archive
from pipelines.contract import Contract, Register
from pipelines.gate import judge
from pipelines.gate.judge import withheld
from pipelines.ledger import Arrival, now
from pipelines.outcome import Outcome
from pipelines.release import SYNTHETIC_MARK, commit, outcome_of, take
from pipelines.sources import Fetched, SourceUnavailable, Withheld
from pipelines.sources.dropfolder import Look, look, settled, taken
from pipelines.sources.kinds import fetcher
from pipelines.sources.secrets import MissingSecret
from pipelines.sources.servers import Place, place_of
from pipelines.sql import literal
from pipelines.store import Release, Store


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
    outcomes = [take(store, register, contract, arrival, run_id) for arrival in _arrivals(store, contract)]
    if contract.source:
        outcomes += _pull(store, register, contract, run_id)
    if outcomes:
        return outcomes
    release = store.releases().get(dataset)
    if contract.reference_data:
        sha = archive.digest(contract.reference_data)
        if release is None or (release.sha256, release.fingerprint) != (sha, contract.fingerprint):
            sha, kept = archive.keep(store.settings.archive, contract.reference_data.resolve())
            return [take(store, register, contract, Arrival(kept, contract.reference_data.name, sha, now(), rejudged=True), run_id)]
    elif release and (again := _to_judge_again(contract, release)):
        arrivals = [_last_delivery(store, contract, sha) for sha in again]
        if outcomes := [take(store, register, contract, arrival, run_id) for arrival in arrivals if arrival]:
            return outcomes
    return [_unchanged(store, dataset)]


def _to_judge_again(contract: Contract, release: Release) -> tuple[str, ...]:
    """The last delivery and its fix sheets, by their bytes, when the contract's rules changed; the sheets alone when they are due."""
    if release.fingerprint != contract.fingerprint and contract.load_mode != "append":
        return (release.base, *release.corrections, *release.due)
    return release.due


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


def _pull(store: Store, register: Register, contract: Contract, run_id: str) -> list[Outcome]:
    """Fetch what is new at the contract's source and take it in like any delivery.

    What the next fetch starts from is committed with the delivery that it came with. Raises `SourceUnavailable`, and notes it.
    """
    place = place_of(contract, store.settings, register.timezone)
    before = store.source_state(contract.id)
    state = before.state if before and before.origin == place.origin else {}
    store.settings.staging.mkdir(parents=True, exist_ok=True)
    outcomes = []
    try:
        for offer in fetcher(place.kind)(place.contract, state, store.settings.staging):
            outcome = _offered(store, register, contract, offer, place, run_id)
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


def _offered(store: Store, register: Register, contract: Contract, offer: Fetched | Withheld, place: Place, run_id: str) -> Outcome | None:
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
        return commit(store, contract, withheld(offer.reasons), arrival, outcome_of(store, contract, arrival), run_id, now())
    return take(store, register, contract, arrival, run_id)


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
    kept = archive.find(store.settings.archive, sha256, archive.suffix_of(row[0]))
    return Arrival(kept, row[0], sha256, row[1], rejudged=True) if kept.exists() else None


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
        return commit(store, contract, judgement, arrival, outcome, run_id, started)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _any_synthetic(connection: duckdb.DuckDBPyConnection, datasets: list[str]) -> bool:
    """A figure computed from synthetic rows is synthetic."""
    row = connection.execute(
        "SELECT coalesce(bool_or(synthetic), false) FROM kho.ledger WHERE release IS NOT NULL AND list_contains(?, dataset)",
        [datasets],
    ).fetchone()
    return bool(row and row[0])
