"""When assets run: a schedule per update cycle, a sensor on the drop folder, nightly upkeep of the store."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from time import time

import dagster as dg

from pipelines.ingest import pending
from pipelines.intake import Intake
from pipelines.notify import due, reachable, send_due
from pipelines.orchestration.assets import asset_key
from pipelines.orchestration.quality import checks_of_a_load, checks_of_no_load

CRON = {
    "real-time": "0 * * * *",
    "daily": "0 5 * * *",
    "weekly": "30 5 * * 1",
    "monthly": "0 6 2 * *",
    "quarterly": "30 6 2 1,4,7,10 *",
    "yearly": "0 7 2 1 *",
}
"""Irregular datasets come when they come: the sensor sees them. One that is fetched is looked for every day."""

STAGING_KEPT_SECONDS = 86_400
"""No delivery is under judgement for a day."""


def build_schedules(intake: Intake) -> list[dg.ScheduleDefinition]:
    contracts = intake.register.contracts.values()
    cycles = {c.cycle for c in contracts}
    later = dg.AssetSelection.checks(*checks_of_no_load(intake))
    schedules = [
        _schedule(
            intake,
            f"chu_ky_{cycle.replace('-', '_')}",
            dg.AssetSelection.tag("cycle", cycle) - later,
            cron,
            f"Datasets with update cycle {cycle}",
        )
        for cycle, cron in CRON.items()
        if cycle in cycles
    ]
    if fetched := [asset_key(c) for c in contracts if c.source and c.cycle not in CRON]:
        told = "Datasets without a cycle that are fetched from a source"
        schedules.append(_schedule(intake, "nguon_khong_dinh_ky", dg.AssetSelection.assets(*fetched), CRON["daily"], told))
    return schedules


def _schedule(intake: Intake, name: str, target: dg.AssetSelection, cron: str, description: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name,
        target=target,
        cron_schedule=cron,
        execution_timezone=intake.register.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


def build_drop_sensor(intake: Intake) -> dg.SensorDefinition:
    """One sensor over the whole drop folder; one run for everything that arrived since the last look."""

    @dg.sensor(
        name="thu_muc_nhan",
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Files that arrived in the drop folder",
    )
    def arrivals(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        seen: dict[str, int] = json.loads(context.cursor or "{}")
        now: dict[str, int] = {}
        datasets: list[str] = []
        for dataset, contract in intake.register.contracts.items():
            try:
                files = pending(intake.store, contract).ready
            except OSError as error:
                context.log.warning(f"{dataset}: the drop folder cannot be read: {error}")
                continue  # one folder never stops the others
            for file in files:
                name = str(file.path.relative_to(intake.settings.drop))
                now[name] = file.changed_ns
                if seen.get(name) != file.changed_ns and dataset not in datasets:
                    datasets.append(dataset)
        context.update_cursor(json.dumps(now))
        if not datasets:
            yield dg.SkipReason("No new files")
            return
        affected = dict.fromkeys(datasets)
        for dataset in datasets:
            affected.update(dict.fromkeys(intake.register.derived_from(dataset)))
        yield dg.RunRequest(
            run_key=hashlib.sha256(json.dumps(sorted(now.items())).encode()).hexdigest(),
            asset_selection=[asset_key(intake.register.contracts[d]) for d in affected],
            asset_check_keys=[key for d in affected for key in checks_of_a_load(intake.register.contracts[d])],
            tags={"kho/cause": "drop"},
        )

    return arrivals


def build_notices(intake: Intake) -> tuple[dg.JobDefinition, dg.SensorDefinition]:
    """Agencies are told of refused and held deliveries apart from the loading, which no mail server may hold up."""

    @dg.op(description="Tell agencies what was refused or held back")
    def tell(context: dg.OpExecutionContext) -> None:
        for delivery, error in send_due(intake.store, intake.register, intake.settings.catalogue_url):
            context.log.info(f"{delivery.dataset}: {error or 'told'}")

    @dg.job(name="thong_bao", description="Notices to agencies")
    def notices() -> None:
        tell()

    @dg.sensor(
        name="can_thong_bao", job=notices, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING,
        description="Deliveries that their agencies are to be told of",
    )  # fmt: skip
    def waiting() -> Iterator[dg.RunRequest | dg.SkipReason]:
        if reachable(intake.register) and due(intake.store, intake.register):
            yield dg.RunRequest(tags={"kho/cause": "notices"})
        else:
            yield dg.SkipReason("Nobody is to be told of anything")

    return notices, waiting


def build_upkeep(intake: Intake) -> tuple[dg.JobDefinition, dg.ScheduleDefinition]:
    @dg.op(description="Merge the small files of the ledger and its companions")
    def compact_ledger() -> None:
        intake.store.compact_system_tables()

    @dg.op(description="Remove what killed runs left half-written")
    def sweep_staging() -> None:
        staging = intake.settings.staging
        unfinished = intake.settings.drop.glob("*/*/.*.upload")
        for left in (*staging.glob("*"), *staging.glob("sources/*/*"), *unfinished):
            if left.name in ("sources", "duckdb") or left.stat().st_mtime > time() - STAGING_KEPT_SECONDS:
                continue
            if left.is_dir():
                shutil.rmtree(left)
            else:
                left.unlink()

    @dg.job(name="bao_tri_kho", description="Upkeep of the store")
    def upkeep() -> None:
        compact_ledger()
        sweep_staging()

    return upkeep, dg.ScheduleDefinition(
        job=upkeep, cron_schedule="0 2 * * *", execution_timezone=intake.register.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )  # fmt: skip
