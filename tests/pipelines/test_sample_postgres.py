"""The PostgreSQL of a first run: filled with the synthetic rows of what comes from databases, read like an agency's."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.contract import load_register
from pipelines.samples import make_samples
from pipelines.samples.postgres import SamplePostgres, write_servers
from tests.databases import running
from tests.warehouse import Warehouse, column, contract

DATASET = "tai-san/tai-san-cong"


def add(warehouse: Warehouse) -> None:
    columns = [
        column("ma", required=True, primaryKey=True, sample="code:TS"), column("gia", "number", sample="number:1..9"),
        column("ngay", "date", sample="date:2023-01-01..2023-06-30"), column("con", "boolean"),
    ]  # fmt: skip
    document = contract(DATASET, columns, delivery="sqlserver", loadMode="merge", sample={"rows": 30})
    properties = {"secret": "TAI_SAN", "user": "doc", "table": "TaiSan", "columns": {"gia": "GiaTri"}, "cursor": "SuaLuc"}
    document["servers"] = [
        {
            "server": "stc-tai-san", "type": "sqlserver", "host": "tai-san.invalid", "port": 1433, "database": "TS", "schema": "dbo",
            "customProperties": [{"property": k, "value": v} for k, v in properties.items()],
        }
    ]  # fmt: skip
    warehouse.add(document)


@contextmanager
def serving(warehouse: Warehouse, log: Path) -> Iterator[SamplePostgres]:
    register = load_register(warehouse.settings.register)
    server = SamplePostgres(warehouse.settings)
    with running(server.prepare(), log):
        assert server.fill(register) == 1
        write_servers(warehouse.settings, [server.servers(register)])
        yield server


def test_it_stands_in_for_the_agencys_system_and_says_so(warehouse: Warehouse, tmp_path: Path) -> None:
    add(warehouse)
    (file,) = make_samples(load_register(warehouse.settings.register), warehouse.settings, [DATASET])
    assert warehouse.settings.drop not in file.parents and "synthetic" in file.name
    with serving(warehouse, tmp_path / "log") as first:
        outcome = warehouse.take(DATASET)
        assert (outcome.verdict, outcome.rows_accepted, outcome.synthetic) == ("accepted", 30, True)
        assert "synthetic" in outcome.file_name
    with serving(warehouse, tmp_path / "log") as second:
        assert second.port == first.port, "the address stays, so that the source's state holds"
        assert warehouse.take(DATASET).verdict == "unchanged"
    assert "SYNTHETIC" in warehouse.settings.servers.read_text()
