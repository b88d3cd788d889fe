"""The whole way of a quality run: contracts → suites, store → metric frame, Great Expectations → results and Data Docs."""

import fcntl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pipelines.contract import Register
from pipelines.quality.expectations import expectations_of
from pipelines.quality.measures import measure
from pipelines.quality.result import ExpectationResult, Finding, write_results
from pipelines.settings import Settings
from pipelines.store import Store


def check_store(
    store: Store, register: Register, datasets: Iterable[str], run_id: str, now: datetime | None = None
) -> list[ExpectationResult]:
    """Hold the newest releases of ``datasets`` against their expectations; results go to `kho.expectations` and Data Docs.

    ``now`` is UTC. An expectation that is not met is a result. Raises `StoreMissing` where nothing was ever stored, and
    `ExpectationCannotRun` where an expectation could not be evaluated.
    """
    from pipelines.quality.validation import validate  # brings Great Expectations: seconds

    checked_at = now or datetime.now(UTC).replace(tzinfo=None)
    contracts = [register.contracts[d] for d in datasets]
    suites = {c.id: expectations_of(c) for c in contracts}
    with store.reader() as connection:
        frame = measure(connection, register, contracts, checked_at)
    with _alone(store.settings):
        verdicts = validate(store.settings.quality, suites, frame, run_id, checked_at, len(register.contracts))
    releases = store.releases()
    results = []
    for contract in contracts:
        release = releases.get(contract.id)
        for expectation in suites[contract.id]:
            verdict = verdicts[contract.id, expectation.name]
            results.append(
                ExpectationResult(
                    contract.id,
                    release.number if release else None,
                    expectation.name,
                    expectation.kind,
                    verdict.success if verdict.measured else None,
                    expectation.blocking,
                    tuple(Finding(subject, value, expectation.unit) for subject, value in verdict.findings),
                    verdict.unmeasured,
                    expectation.vi,
                    expectation.en,
                    verdict.page,
                )
            )
    with store.transaction("quality", {"run": run_id, "datasets": len(contracts)}) as connection:
        write_results(connection, results, run_id, checked_at)
    return results


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One run at a time writes Data Docs: each rewrites their index."""
    settings.quality.mkdir(parents=True, exist_ok=True)
    with (settings.quality / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
