"""Search over the shipped register: in the index, and as a whole page out of a running server."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from benchmarks.measure import Figure, middle, milliseconds, percentile
from catalog.publish import index_of
from pipelines.contract import load_register
from pipelines.settings import PROJECT

QUERIES = (
    "bo du lieu", "Bộ dữ liệu", "dang ky kinh doanh", "duong bo", "hoà giải", "hòa giải", "1022", "public services", "xe buyr", "khai sinh",
    "giấy phép xây dựng", "giay phep xay dunh", "HTX", "mot_cua.ho_so", "benh vien", "asdkjh qwe", "d", "cho", "road traffic accidents",
    "tram BTS", "ho ngheo", "thu chi ngan sach", "to cong nghe so cong dong", "Long An", "so",
)  # fmt: skip
ROUNDS = 20
START_SECONDS = 60


def measure(folder: Path) -> list[Figure]:
    """``folder`` holds the warehouse that `benchmarks.whole` has loaded."""
    index = index_of(load_register(PROJECT / "datasets"))
    queries = [q for _ in range(ROUNDS) for q in QUERIES]
    alone = [milliseconds(lambda q=q: index.search(q)) for q in queries]
    with _server(folder) as get:
        pages = [milliseconds(lambda q=q: get(f"/search?q={quote(q)}")) for q in queries]
        health = [milliseconds(lambda: get("/healthz")) for _ in queries]
    note = f"{len(QUERIES)} queries × {ROUNDS}"
    served = "search page over HTTP"
    return [
        Figure("search in the index, p95", percentile(alone, 0.95), "ms", 20, note=note),
        Figure(f"{served}, p95", percentile(pages, 0.95), "ms", 20, "`/healthz` of the same server, p95", percentile(health, 0.95), note),
        Figure(f"{served}, median", middle(pages), "ms", None, "the same, median", middle(health), note),
    ]


@contextmanager
def _server(folder: Path) -> Iterator:
    """`kho serve` on a free port; yields a GET over one kept connection."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {"KHO_HOME": str(folder / "var"), "KHO_REGISTER": str(PROJECT / "datasets")}
    process = subprocess.Popen([sys.executable, "-m", "catalog.cli", "serve", "--port", str(port)], env=environment)
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port)

        def get(path: str) -> bytes:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise RuntimeError(f"{path}: {response.status}")
            return body

        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                get("/healthz")
                break
            except OSError:
                connection.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        yield get
    finally:
        process.terminate()
        process.wait(15)
