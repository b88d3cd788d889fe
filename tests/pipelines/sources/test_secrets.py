"""A planted password is looked for wherever a run leaves something: store, archive, staging, Dagster's databases, messages, commands."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import adbc_driver_manager
import pytest
from adbc_driver_postgresql import dbapi
from typer.testing import CliRunner

from catalog.cli import app
from pipelines.contract import InvalidRegister, load_register
from pipelines.orchestration.build import build_defs
from pipelines.orchestration.run import run
from pipelines.sources.secrets import Secret
from tests.databases import OWNER, PASSWORD, Postgres
from tests.warehouse import Warehouse, column, contract

DATASET = "mot-cua/ho-so"
PLANTED = "Bi-mat-7f3a-khong-ai-thay"


def written(warehouse: Warehouse, port: int, **properties: Any) -> None:
    document = contract(DATASET, [column("ma", required=True, primaryKey=True)])
    given = {"user": OWNER, "secret": "MOT_CUA"} | properties
    document["servers"] = [
        {
            "server": "mot-cua", "type": "postgres", "host": "127.0.0.1", "port": port, "database": "postgres", "schema": "bi_mat",
            "customProperties": [{"property": k, "value": v} for k, v in given.items()],
        }
    ]  # fmt: skip
    warehouse.add(document)


def quoting(connect: Callable[..., Any]) -> Callable[..., Any]:
    """A driver that, when it fails, quotes what it was given, as drivers do."""

    def wrapped(uri: str, **options: Any) -> Any:
        try:
            return connect(uri, **options)
        except adbc_driver_manager.Error as error:
            raise adbc_driver_manager.OperationalError(f"{uri}: {error}", status_code=error.status_code) from error

    return wrapped


@pytest.mark.parametrize("secret", [PLANTED, PASSWORD])
def test_a_secret_is_nowhere_after_a_run_that_fails_or_goes_well(
    secret: str, postgres: Postgres, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    postgres.run(
        "CREATE SCHEMA IF NOT EXISTS bi_mat", "DROP TABLE IF EXISTS bi_mat.ho_so", "CREATE TABLE bi_mat.ho_so AS SELECT 'K1' AS ma"
    )
    monkeypatch.setenv("KHO_SECRET_MOT_CUA", secret)
    monkeypatch.setattr(dbapi, "connect", quoting(dbapi.connect))
    monkeypatch.setattr("pipelines.orchestration.assets.RETRIES", None)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.delenv("KHO_DAGSTER", raising=False)
    written(warehouse, postgres.port)
    intake = warehouse.intake()
    with caplog.at_level(logging.DEBUG):
        result = run(intake, build_defs(intake), [DATASET])
    intake.store.close()
    assert (DATASET in result.failed) == (secret == PLANTED)
    monkeypatch.setenv("KHO_HOME", str(warehouse.settings.home))
    monkeypatch.setenv("KHO_REGISTER", str(warehouse.settings.register))
    told = [CliRunner().invoke(app, words).output for words in (["sources", "--test", "--json"], ["status", "--json"], ["show", DATASET])]
    tables = warehouse.rows("SELECT CAST(s AS VARCHAR) FROM kho.sources s UNION ALL SELECT CAST(l AS VARCHAR) FROM kho.ledger l")
    assert tables, "something was written down"
    everything = "\n".join([caplog.text, str(result), *told, *(row for (row,) in tables)])
    # As it is, and as the connection string, JSON and `repr` would spell it.
    spellings = {secret, secret.replace("\\", "\\\\").replace("'", "\\'"), json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    found = [spelling for spelling in spellings if spelling in everything]
    files = [f for f in warehouse.settings.home.rglob("*") if f.is_file() and any(s.encode() in f.read_bytes() for s in spellings)]
    assert not found and not files
    assert any(f.suffix == ".db" for f in warehouse.settings.home.rglob("*")), "Dagster's databases were searched too"


@pytest.mark.parametrize(
    "properties", [{"password": PLANTED}, {"secret": PLANTED}, {"apiKey": PLANTED}, {"columns": {"ma": "ma", "pwd": PLANTED}}]
)
def test_a_secret_in_a_contract_is_a_mistake_that_is_named_and_not_repeated(warehouse: Warehouse, properties: dict[str, Any]) -> None:
    written(warehouse, 5432, **properties)
    with pytest.raises(InvalidRegister) as caught:
        load_register(warehouse.settings.register)
    said = "\n".join(map(str, caught.value.problems))
    assert "secret" in said and PLANTED not in said


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret(PLANTED)
    assert PLANTED not in f"{secret} {secret!r} {[secret]} {vars()['secret']}"
    assert secret.hidden_in(f"x {PLANTED} y") == "x ••• y"


def test_a_secret_comes_from_a_file_where_the_environment_has_none(
    postgres: Postgres, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    postgres.run(
        "CREATE SCHEMA IF NOT EXISTS bi_mat", "DROP TABLE IF EXISTS bi_mat.ho_so", "CREATE TABLE bi_mat.ho_so AS SELECT 'K1' AS ma"
    )
    (tmp_path / "MOT_CUA").write_text(f"{PASSWORD}\n", encoding="utf-8")
    monkeypatch.setenv("KHO_SECRETS", str(tmp_path))
    written(warehouse, postgres.port)
    assert warehouse.take(DATASET).verdict == "accepted"
