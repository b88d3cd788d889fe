"""The whole way of a service's records: contract, pull, archive, gate, release, and the state that the next pull starts from."""

import json
import subprocess
from typing import Any

import pytest
import yaml

from pipelines.contract import load_register
from pipelines.samples import make_samples
from pipelines.samples.postgres import write_servers
from pipelines.samples.service import SampleService
from pipelines.sources import SourceUnavailable
from tests.pipelines.sources.service import Asked, Reply, service
from tests.warehouse import Warehouse, column, contract

DATASET = "ho-tich/dot-giao"
TOKEN = "b1-mat/khau+2023"


@pytest.fixture
def fetched(warehouse: Warehouse) -> Warehouse:
    """A dataset that a service has; where the service is says the installation's file of servers."""
    document = contract(DATASET, [column("ma", required=True, primaryKey=True), column("ngay", "date")], loadMode="merge")
    properties = {
        "path": "v1/dot-giao",
        "auth": {"type": "apiKey", "param": "key", "secret": "LGSP"},
        "records": "data",
        "since": {"param": "tu", "field": "ngay"},
        "retries": 0,
    }
    document["servers"] = [
        {
            "server": "stp-ho-tich",
            "type": "api",
            "location": "https://lgsp.invalid/api",
            "customProperties": [{"property": k, "value": v} for k, v in properties.items()],
        }
    ]
    warehouse.add(document)
    return warehouse


def at(warehouse: Warehouse, url: str) -> None:
    warehouse.settings.home.mkdir(parents=True, exist_ok=True)
    (warehouse.settings.home / "servers.yaml").write_text(
        yaml.safe_dump({"stp-ho-tich": {"location": url, "synthetic": True}}), encoding="utf-8"
    )


def test_records_become_a_release_and_the_next_pull_goes_on(fetched: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHO_SECRET_LGSP", TOKEN)
    stored = [{"ma": "A", "ngay": "2023-06-01"}, {"ma": "B", "ngay": "2023-06-30"}]

    def answer(asked: Asked) -> Any:
        assert asked.path == "/v1/dot-giao" and asked.query["key"] == TOKEN
        return {"data": [row for row in stored if row["ngay"] >= asked.query.get("tu", "")]}

    with service(answer) as here:
        at(fetched, here.url)
        first = fetched.take(DATASET)
        assert (first.verdict, first.release, first.synthetic) == ("accepted", 1, True)
        stored += [{"ma": "C", "ngay": "2023-07-02"}, {"ma": "", "ngay": "2023-07-03"}]
        second = fetched.take(DATASET)
        assert (second.verdict, second.rows_read, second.rows_total) == ("partial", 3, 3)
        assert here.queries("tu") == [None, "2023-06-30"]
        stored[0] = {"ma": "A", "ngay": "2023-07-09", "nguoi": "x"}  # type: ignore[dict-item]
        refused = fetched.take(DATASET)
        assert refused.verdict == "refused" and [(r.rule, r.column) for r in refused.reasons] == [("unknown_column", "nguoi")]
        assert fetched.rows("SELECT count(*) FROM ho_tich.dot_giao") == [(3,)]
        stored[0] = {"ma": "A", "ngay": "2023-07-09"}
        assert fetched.take(DATASET).verdict == "partial"
        assert here.queries("tu")[2:] == ["2023-07-03", "2023-07-03"]
    _hidden(fetched)


def test_samples_are_pulled_from_the_sample_service(fetched: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    register = load_register(fetched.settings.register)
    [file] = make_samples(register, fetched.settings, [DATASET])
    assert file.is_relative_to(fetched.settings.samples)
    sample = SampleService(fetched.settings)
    assert [c.id for c in sample.contracts(register)] == [DATASET]
    for name, value in sample.environment().items():
        monkeypatch.setenv(name, value)
    process = subprocess.Popen(sample.command())
    try:
        servers = sample.servers(register)
        # What the agency's service needs otherwise than the sample's is this test's alone.
        servers["stp-ho-tich"] |= {
            "path": DATASET,
            "since": None,
            "retries": 9,
            "paging": {"by": "page", "param": "page"},
            "total": "total",
        }
        write_servers(fetched.settings, [servers])
        outcome = fetched.take(DATASET)
    finally:
        process.terminate()
        process.wait()
    assert (outcome.verdict, outcome.synthetic) == ("accepted", True) and outcome.rows_total == len(json.loads(file.read_bytes()))


def test_a_service_that_does_not_answer_is_said_so(fetched: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHO_SECRET_LGSP", TOKEN)
    with service(lambda asked: Reply({"echo": asked.query}, status=403)) as here:
        at(fetched, here.url)
        with pytest.raises(SourceUnavailable, match="secret LGSP is not accepted"):
            fetched.take(DATASET)
    _hidden(fetched)


def _hidden(warehouse: Warehouse) -> None:
    """The key is in no file that the warehouse made, in none of the forms in which it travels."""
    forms = [form.encode() for form in (TOKEN, "b1-mat%2Fkhau%2B2023")]
    made = [file for file in warehouse.settings.home.rglob("*") if file.is_file()]
    assert made and [file for file in made if any(form in file.read_bytes() for form in forms)] == []
