"""Contracts' expectations as asset checks: one per dataset, evaluated together once a day, or at once where they block."""

from collections.abc import Iterator, Sequence

import dagster as dg

from pipelines.contract import Contract
from pipelines.intake import Intake
from pipelines.orchestration.assets import GATE_CHECK, asset_key
from pipelines.quality import ExpectationResult, check_store

EXPECTATIONS_CHECK = "ky_vong"
"""The check that every asset has: the store and its history are as the contract expects."""

DAILY = "30 7 * * *"
"""After the morning's schedules have loaded what came."""


def build_expectations(intake: Intake, catalogue_url: str) -> list[dg.AssetChecksDefinition]:
    """One step for all datasets, so that Great Expectations is imported once, and one of its own for each that blocks.

    A blocking check runs with every load of its dataset, before what is derived from it; the price is that import.
    """
    contracts = list(intake.register.contracts.values())
    apart = [c for c in contracts if c.expectations.blocking]
    together = [c for c in contracts if not c.expectations.blocking]
    checks = [_build(intake, catalogue_url, "ky_vong_chung", together)] if together else []
    return checks + [_build(intake, catalogue_url, f"ky_vong_{c.schema}_{c.table}", [c]) for c in apart]


def checks_of_a_load(contract: Contract) -> list[dg.AssetCheckKey]:
    """The checks that run with every load of a dataset; expectations that do not block wait for their own job."""
    names = [GATE_CHECK, *(c.name for c in contract.checks), *([EXPECTATIONS_CHECK] if contract.expectations.blocking else [])]
    return [dg.AssetCheckKey(asset_key(contract), name) for name in names]


def checks_of_no_load(intake: Intake) -> list[dg.AssetCheckKey]:
    return [_key(c) for c in intake.register.contracts.values() if not c.expectations.blocking]


def build_expectations_schedule(intake: Intake) -> dg.ScheduleDefinition:
    """The job that evaluates the expectations of all datasets, every day."""
    keys = [_key(c) for c in intake.register.contracts.values()]
    job = dg.define_asset_job(
        "ky_vong", selection=dg.AssetSelection.checks(*keys), description="Hold the store and its history against the contracts"
    )
    return dg.ScheduleDefinition(
        job=job, cron_schedule=DAILY, execution_timezone=intake.register.timezone, default_status=dg.DefaultScheduleStatus.RUNNING
    )


def _key(contract: Contract) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(asset_key(contract), EXPECTATIONS_CHECK)


def _build(intake: Intake, catalogue_url: str, name: str, contracts: Sequence[Contract]) -> dg.AssetChecksDefinition:
    by_key = {_key(c): c for c in contracts}
    specs = [
        dg.AssetCheckSpec(
            EXPECTATIONS_CHECK,
            asset=asset_key(contract),
            blocking=bool(contract.expectations.blocking),
            description="Khối lượng, độ mới, phân bố, tham chiếu, số lũy kế / volume, freshness, drift, references, cumulative figures",
        )
        for contract in contracts
    ]

    @dg.multi_asset_check(name=name, specs=specs, can_subset=len(specs) > 1)
    def expectations(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        chosen = [by_key[key] for key in context.selected_asset_check_keys]
        intake.prepare()
        results: dict[str, list[ExpectationResult]] = {c.id: [] for c in chosen}
        for result in check_store(intake.store, intake.register, results, context.run.run_id):
            results[result.dataset].append(result)
        for contract in chosen:
            yield _check_result(contract, results[contract.id], catalogue_url)

    return expectations


def _check_result(contract: Contract, results: list[ExpectationResult], catalogue_url: str) -> dg.AssetCheckResult:
    failed = [r for r in results if r.passed is False]
    return dg.AssetCheckResult(
        asset_key=asset_key(contract),
        check_name=EXPECTATIONS_CHECK,
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR if any(r.blocking for r in failed) else dg.AssetCheckSeverity.WARN,
        metadata={
            "met": sum(r.passed is True for r in results),
            "not evaluated": sum(r.passed is None for r in results),
            "not met": dg.MetadataValue.json([f"{r.name}: {r.vi} / {r.en} ({'; '.join(map(str, r.findings))})" for r in failed]),
            "data docs": dg.MetadataValue.url(f"{catalogue_url}/quality/{results[0].page}" if results else f"{catalogue_url}/quality/"),
        },
    )
