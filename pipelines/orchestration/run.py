"""Run a selection of datasets through a real Dagster instance, in this process."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

import dagster as dg

from pipelines.intake import Intake
from pipelines.orchestration.assets import asset_key
from pipelines.orchestration.executors import close_abandoned_runs, executing
from pipelines.orchestration.quality import checks_of_a_load
from pipelines.settings import Settings, dagster_environment

ERROR = dg.AssetCheckSeverity.ERROR

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""The command line tells its own story; Dagster's stays in its event log."""


@dataclass(frozen=True)
class RunResult:
    """``failed`` are datasets whose step raised: a broken system, not bad data. ``held`` are datasets that were not computed
    because what they read does not meet a blocking expectation, with the name of that dataset."""

    run_id: str
    success: bool
    failed: dict[str, str]
    held: dict[str, str]


def use_instance(settings: Settings) -> None:
    """Point this process at the project's Dagster instance."""
    os.environ.update(dagster_environment(settings))


def run(intake: Intake, definitions: dg.Definitions, datasets: Iterable[str]) -> RunResult:
    """Materialise ``datasets``; a failing one stops only what reads it."""
    use_instance(intake.settings)
    keys = {asset_key(intake.register.contracts[d]): d for d in datasets}
    checks = {key for d in keys.values() for key in checks_of_a_load(intake.register.contracts[d])}
    job = definitions.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(keys), asset_check_selection=checks)
    run_id = str(uuid4())
    with executing(intake.settings, run_id), dg.DagsterInstance.get() as instance:
        close_abandoned_runs(intake.settings, instance)
        result = job.execute_in_process(instance=instance, run_id=run_id, raise_on_error=False, tags={"kho/cause": "cli"}, run_config=QUIET)
    failed = {}
    names = {key.to_python_identifier(): dataset for key, dataset in keys.items()}
    for event in result.all_events:
        if event.is_step_failure and event.step_key in names:
            error = event.step_failure_data.error
            cause = error.cause if error and error.cause else error
            failed[names[event.step_key]] = (cause.message if cause else "unknown").strip()
    blocking = [keys[e.asset_key] for e in result.get_asset_check_evaluations() if e.blocking and not e.passed and e.severity == ERROR]
    held = {derived: dataset for dataset in blocking for derived in intake.register.derived_from(dataset)}
    return RunResult(result.run_id, result.success, failed, held)
