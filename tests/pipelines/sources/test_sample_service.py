"""The service that stands in for agencies' own: what it serves, to whom, and that a pull brings all of it."""

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from pipelines.contract import load_register
from pipelines.sample_service import service
from pipelines.sources import Fetched
from pipelines.sources.rest import fetch
from pipelines.sources.secrets import Secret
from pipelines.sql import literal
from tests.warehouse import Warehouse

DATASET = "ho-tich/to-cong-tac"
ROWS = [{"ma_to": f"T{n}", "loai": "Xã"} for n in range(25)]
OPTIONS = {
    "auth": {"type": "bearer", "secret": "SAMPLES"},
    "records": "data",
    "total": "total",
    "conditional": True,
    "paging": {"by": "page", "param": "page", "sizeParam": "size", "size": 10},
}


@contextmanager
def running(folder: Path, token: str = "mo-ra") -> Iterator[str]:
    with service(folder, Secret(token)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "samples", ROWS)
    return tmp_path / "samples"


def write(folder: Path, rows: list[dict[str, Any]]) -> None:
    file = folder / DATASET / "to-cong-tac.synthetic.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.from_arrow(pa.Table.from_pylist(rows)).create("rows")
        connection.execute(f"COPY rows TO {literal(file)} (FORMAT json, ARRAY true)")


def get(address: str, token: str = "mo-ra", **headers: str) -> Any:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}", **headers})
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read()), answer.headers


def test_a_page_says_that_it_is_synthetic(folder: Path) -> None:
    with running(folder) as url:
        page, headers = get(f"{url}/api/{DATASET}?page=3&size=10")
        assert page["data"] == ROWS[20:] and page["total"] == 25
        assert page["synthetic"] is True and "giả lập" in page["note"] and headers["X-Kho-Synthetic"] == "true"
        assert get(f"{url}/api/{DATASET}?page=4&size=10")[0]["data"] == []


@pytest.mark.parametrize(
    ("address", "token", "status"),
    [
        (f"/api/{DATASET}", "khac", 401),
        ("/api/ho-tich/khong-co", "mo-ra", 404),
        ("/api/ho-tich/../../secrets", "mo-ra", 404),
        (f"/api/{DATASET}?page=0", "mo-ra", 400),
        (f"/api/{DATASET}?size=x", "mo-ra", 400),
    ],
)
def test_what_it_does_not_serve(folder: Path, address: str, token: str, status: int) -> None:
    (folder.parent / "secrets.synthetic.json").write_text("[]\n", encoding="utf-8")
    with running(folder) as url, pytest.raises(urllib.error.HTTPError) as caught:
        get(url + address, token)
    assert caught.value.code == status


def test_a_pull_brings_everything_once(folder: Path, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHO_SECRET_SAMPLES", "mo-ra")
    contract = load_register(warehouse.settings.register).contracts[DATASET]

    def pull(state: dict[str, Any]) -> list[tuple[Fetched, list[Any]]]:
        found = []
        for one in fetch(contract, state, warehouse.settings.staging):
            assert isinstance(one, Fetched) and one.synthetic
            found.append((one, json.loads(one.file.read_bytes())))
        return found

    with running(folder) as url:
        object.__setattr__(contract, "source", SimpleNamespace(kind="api", options={"location": f"{url}/api", "path": DATASET, **OPTIONS}))
        [(first, rows)] = pull({})
        assert rows == ROWS
        assert pull(first.state) == []
        write(folder, ROWS[:7])
        [(_, rows)] = pull(first.state)
        assert rows == ROWS[:7]


def test_it_runs_as_a_process_and_ends_when_told(folder: Path) -> None:
    with service(folder, Secret("")) as probe:
        port = probe.server_port
    command = [sys.executable, "-m", "pipelines.sample_service", "--folder", str(folder), "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, "KHO_SECRET_SAMPLES": "mo-ra"}, stderr=subprocess.PIPE)
    try:
        while True:
            try:
                page, _ = get(f"http://127.0.0.1:{port}/api/{DATASET}", "mo-ra")
                break
            except urllib.error.URLError:
                assert process.poll() is None
                time.sleep(0.02)
        assert page["data"] == ROWS
    finally:
        process.terminate()
        _, complaints = process.communicate(timeout=10)
    assert process.returncode == 0 and not re.search(rb"Traceback|mo-ra", complaints)
