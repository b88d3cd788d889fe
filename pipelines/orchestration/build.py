"""`build_defs`: the register becomes Dagster definitions. A function, so that tests and the real thing share one assembly."""

import dagster as dg

from pipelines.intake import Intake
from pipelines.orchestration.assets import build_asset
from pipelines.orchestration.automation import build_drop_sensor, build_notices, build_schedules, build_upkeep
from pipelines.orchestration.quality import build_expectations, build_expectations_schedule


def build_defs(intake: Intake) -> dg.Definitions:
    """One asset per dataset, run in one process: a process per step would cost seconds for each of many small datasets."""
    upkeep, upkeep_schedule = build_upkeep(intake)
    notices, notices_sensor = build_notices(intake)
    return dg.Definitions(
        assets=[build_asset(intake, contract, intake.settings.catalogue_url) for contract in intake.register.contracts.values()],
        asset_checks=build_expectations(intake, intake.settings.catalogue_url),
        schedules=[*build_schedules(intake), build_expectations_schedule(intake), upkeep_schedule],
        sensors=[build_drop_sensor(intake), notices_sensor],
        jobs=[upkeep, notices],
    )
