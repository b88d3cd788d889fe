"""Dagster around the pipeline: assets from contracts, through the project's own instance and event storage."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from pipelines.orchestration.assets import GATE_CHECK, asset_key
from pipelines.orchestration.automation import build_drop_sensor, build_upkeep
from pipelines.orchestration.build import build_defs
from pipelines.orchestration.event_storage import PooledSqliteEventLogStorage
from pipelines.orchestration.executors import DAEMON, AlreadyRunning, close_abandoned_runs, executing
from pipelines.orchestration.quality import EXPECTATIONS_CHECK
from pipelines.orchestration.run import run
from pipelines.settings import PROJECT
from tests.warehouse import TEAMS, Warehouse, column, contract

TEAM = "ho-tich/to-cong-tac"
GOOD = "ma_to,loai\nA,Xã\nB,Phường\n"


@pytest.fixture
def instance(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """The project's own dagster.yaml, its storage in the test's folder."""
    monkeypatch.setenv("DAGSTER_HOME", str(PROJECT))
    monkeypatch.setenv("KHO_DAGSTER", str(warehouse.settings.dagster))
    warehouse.add(
        contract("ho-tich/thong-ke", [column("loai", required=True, primaryKey=True), column("n", "integer")]),
        sql="SELECT loai, count(*) AS n FROM ho_tich.to_cong_tac GROUP BY loai",
    )
    yield warehouse


def test_every_contract_is_an_asset_with_its_facts(instance: Warehouse) -> None:
    intake = instance.intake()
    definitions = build_defs(intake)
    contracts = intake.register.contracts
    specs = {s.key: s for s in definitions.resolve_all_asset_specs()}
    assert set(specs) == {asset_key(c) for c in contracts.values()}
    spec = specs[dg.AssetKey(["ho_tich", "to_cong_tac"])]
    assert spec.owners == ["team:STP"] and spec.group_name == "ho_tich" and spec.tags["cycle"] == "monthly"
    assert [c.name for c in spec.metadata["dagster/column_schema"].columns] == [c.name for c in contracts[TEAM].columns]
    derived = specs[dg.AssetKey(["ho_tich", "thong_ke"])]
    assert {d.asset_key for d in derived.deps} == {spec.key}


def test_a_run_is_recorded_and_read_back(instance: Warehouse) -> None:
    instance.drop(TEAM, "a.synthetic.csv", GOOD + "C,Sai,\n".replace(",\n", "\n"))
    intake = instance.intake()
    result = run(intake, build_defs(intake), intake.register.order())
    assert result.success and not result.failed
    assert instance.rows("SELECT * FROM ho_tich.thong_ke ORDER BY loai") == [("Phường", 1), ("Xã", 1)]
    with dg.DagsterInstance.get() as dagster:
        assert isinstance(dagster.event_log_storage, PooledSqliteEventLogStorage)
        event = dagster.get_latest_materialization_event(dg.AssetKey(["ho_tich", "to_cong_tac"]))
        assert event and event.asset_materialization
        metadata = event.asset_materialization.metadata
        assert metadata["rows_quarantined"].value == 1 and metadata["dagster/row_count"].value == 2
        key = dg.AssetCheckKey(dg.AssetKey(["ho_tich", "to_cong_tac"]), GATE_CHECK)
        [record] = dagster.event_log_storage.get_asset_check_execution_history(key, limit=5)
        assert record.event and record.event.dagster_event and not record.event.dagster_event.asset_check_evaluation_data.passed


def test_a_broken_dataset_never_stops_the_others(instance: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    instance.add(contract("y-te/hong", [column("ma", required=True, primaryKey=True)], agency="SYT"))
    instance.drop(TEAM, "a.csv", GOOD)
    instance.drop("y-te/hong", "a.csv", "ma\n1\n")
    intake = instance.intake()
    monkeypatch.setattr("pipelines.orchestration.assets.RETRIES", dg.RetryPolicy(max_retries=1, delay=0))
    take = intake.take

    def broken(dataset: str, run_id: str) -> list:
        if dataset == "y-te/hong":
            raise OSError("No space left on device")
        return take(dataset, run_id)

    monkeypatch.setattr(intake, "take", broken)
    result = run(intake, build_defs(intake), intake.register.order())
    assert not result.success
    assert list(result.failed) == ["y-te/hong"] and "No space left" in result.failed["y-te/hong"]
    assert instance.rows("SELECT count(*) FROM ho_tich.to_cong_tac") == [(2,)]


def test_a_refused_delivery_is_a_failed_check_not_a_failed_run(instance: Warehouse) -> None:
    instance.drop(TEAM, "a.csv", GOOD)
    intake = instance.intake()
    run(intake, build_defs(intake), intake.register.order())
    instance.drop(TEAM, "b.csv", "sai_cot\n1\n")
    assert run(intake, build_defs(intake), intake.register.order()).success
    assert instance.rows("SELECT n FROM ho_tich.thong_ke ORDER BY loai") == [(1,), (1,)]
    assert instance.rows("SELECT outcome FROM kho.ledger WHERE dataset = 'ho-tich/to-cong-tac' ORDER BY finished_at") == [
        ("accepted",),
        ("refused",),
    ]


def test_the_sensor_asks_for_what_arrived_and_what_reads_it(instance: Warehouse) -> None:
    import os

    file: Path = instance.drop(TEAM, "a.csv", GOOD)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    intake = instance.intake()
    sensor = build_drop_sensor(intake)
    context = dg.build_sensor_context(instance=dg.DagsterInstance.ephemeral(), definitions=build_defs(intake))
    [request] = sensor.evaluate_tick(context).run_requests or []
    assert set(request.asset_selection or []) == {dg.AssetKey(["ho_tich", "to_cong_tac"]), dg.AssetKey(["ho_tich", "thong_ke"])}
    assert {k.name for k in request.asset_check_keys or []} == {GATE_CHECK}
    assert not sensor.evaluate_tick(context.with_cursor(context.cursor) if hasattr(context, "with_cursor") else context).run_requests


def test_the_sensor_leaves_what_is_being_written_and_no_closed_folder_stops_it(
    instance: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance.add(contract("y-te/kin", [column("ma", required=True, primaryKey=True)], agency="SYT"))
    closed = instance.drop("y-te/kin", "a.csv", "ma\n1\n").parent
    file = instance.drop(TEAM, "a.csv", GOOD)
    scandir = os.scandir

    def refuse(path: os.PathLike[str]) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    intake = instance.intake()
    sensor, definitions = build_drop_sensor(intake), build_defs(intake)
    look = lambda: sensor.evaluate_tick(dg.build_sensor_context(instance=dg.DagsterInstance.ephemeral(), definitions=definitions))
    with file.open("a"):
        assert not look().run_requests
    [request] = look().run_requests or []
    assert dg.AssetKey(["ho_tich", "to_cong_tac"]) in (request.asset_selection or [])


def test_a_schedule_for_each_update_cycle(instance: Warehouse) -> None:
    definitions = build_defs(instance.intake())
    assert {s.name for s in definitions.schedules or []} >= {"chu_ky_monthly"}
    dg.Definitions.validate_loadable(definitions)


def test_a_run_whose_process_was_killed_is_closed_and_a_living_one_left_alone(instance: Warehouse) -> None:
    settings = instance.settings
    with dg.DagsterInstance.get() as dagster:
        job = build_defs(instance.intake()).resolve_implicit_global_asset_job_def()
        start = lambda: dagster.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED).run_id
        killed, living, of_daemon = start(), start(), start()
        (settings.dagster / "executors").mkdir()
        (settings.dagster / "executors" / killed).touch()
        with executing(settings, living):
            with executing(settings, DAEMON):
                assert close_abandoned_runs(settings, dagster) == [killed]
                with pytest.raises(AlreadyRunning), executing(settings, DAEMON):
                    pass
            assert close_abandoned_runs(settings, dagster) == [of_daemon]
        run = dagster.get_run_by_id(killed)
        assert run and run.status == dg.DagsterRunStatus.FAILURE
        assert close_abandoned_runs(settings, dagster) == [living], "its executor left without ending it"


def test_upkeep_merges_small_files_and_forgets_what_killed_runs_left(instance: Warehouse) -> None:
    instance.drop(TEAM, "a.csv", GOOD)
    intake = instance.intake()
    intake.take(TEAM, "run")
    old, new = settings_staging(instance, "old.parquet"), settings_staging(instance, "new.parquet")
    cut, waiting = instance.drop(TEAM, ".x.upload", "nửa"), instance.drop(TEAM, "b.csv", GOOD)
    for file in (old, cut, waiting):
        os.utime(file, (0, 0))
    job, _ = build_upkeep(intake)
    assert job.execute_in_process().success
    assert not old.exists() and new.exists()
    assert not cut.exists() and waiting.exists()
    assert instance.rows("SELECT count(*) FROM kho.ledger") == [(1,)]


def settings_staging(instance: Warehouse, name: str) -> Path:
    path = instance.settings.staging / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_expectations_are_checked_by_their_own_job_and_no_load_waits_for_them(instance: Warehouse) -> None:
    instance.drop(TEAM, "a.csv", GOOD)
    intake = instance.intake()
    definitions = build_defs(intake)
    run(intake, definitions, intake.register.order())
    key = dg.AssetCheckKey(dg.AssetKey(["ho_tich", "to_cong_tac"]), EXPECTATIONS_CHECK)
    repository = definitions.get_repository_def()
    [schedule] = [s for s in repository.schedule_defs if s.name == "chu_ky_monthly"]
    assert key not in repository.get_job(schedule.job_name).asset_layer.asset_graph.asset_check_keys
    with dg.DagsterInstance.get() as dagster:
        assert not dagster.event_log_storage.get_asset_check_execution_history(key, limit=5)
        assert definitions.resolve_job_def("ky_vong").execute_in_process(instance=dagster).success
        [record] = dagster.event_log_storage.get_asset_check_execution_history(key, limit=5)
        assert record.event and record.event.dagster_event and record.event.dagster_event.asset_check_evaluation_data.passed
    assert {d for (d,) in instance.rows("SELECT DISTINCT dataset FROM kho.expectations")} == set(intake.register.contracts)


def test_a_blocking_expectation_holds_back_what_is_derived(instance: Warehouse) -> None:
    limit = {
        "name": "du_hang", "description": "Ít nhất hai hàng", "type": "library", "metric": "rowCount",
        "mustBeGreaterOrEqualTo": 2, "severity": "blocking",
    }  # fmt: skip
    instance.add(contract(TEAM, TEAMS["schema"][0]["properties"], quality=[limit]))
    instance.drop(TEAM, "a.csv", GOOD)
    intake = instance.intake()
    assert run(intake, build_defs(intake), intake.register.order()).success
    instance.drop(TEAM, "b.csv", "ma_to,loai\nA,Xã\n")
    result = run(intake, build_defs(intake), intake.register.order())
    assert result.held == {"ho-tich/thong-ke": TEAM} and not result.failed
    assert instance.rows("SELECT count(*) FROM ho_tich.to_cong_tac") == [(1,)], "the load itself stands"
    assert instance.rows("SELECT sum(n) FROM ho_tich.thong_ke") == [(2,)], "what is derived from it waits"
    assert instance.rows("SELECT passed FROM kho.expectations WHERE name = 'du_hang' ORDER BY checked_at") == [(True,), (False,)]
