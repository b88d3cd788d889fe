"""A small service that stands in for agencies' own in a first run: made-up records over HTTP, and says so in every answer.

    python -m pipelines.sample_service --folder var/samples --port 8090

serves each file ``<domain>/<dataset>/<dataset>.synthetic.json`` below the folder, as `kho samples` writes them, at
``/api/<domain>/<dataset>?page=1&size=1000``, to whoever shows the bearer token, which is the secret ``SAMPLES``. A module of its own, away from `pipelines.samples`, so that it starts at once.
"""

import argparse
import hmac
import json
import re
import signal
from array import array
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from types import FrameType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pipelines.sources.secrets import Secret, secret

TOKEN = "SAMPLES"  # noqa: S105 (the secret's name)
PAGE_SIZE, LARGEST_PAGE = 1_000, 10_000
NOTE = "Dữ liệu giả lập, không phải số liệu thật / Synthetic records, not real data"
ADDRESS = re.compile(r"/api/([a-z0-9-]+)/([a-z0-9-]+)")


@dataclass(frozen=True)
class Records:
    """One file: a JSON list with a record to a line. Holds where the records start, not what they say."""

    file: Path
    version: str
    starts: "array[int]"
    """In the file, one for each record and one for the list's end."""

    @property
    def total(self) -> int:
        return len(self.starts) - 1

    def page(self, number: int, size: int) -> bytes:
        """The records of a page, counted from 1, as the inside of a JSON list."""
        first = min((number - 1) * size, self.total)
        last = min(first + size, self.total)
        with self.file.open("rb") as lines:
            lines.seek(self.starts[first])
            return lines.read(self.starts[last] - self.starts[first]).strip(b", \t\n").replace(b"\n\t", b"")


class Shelf:
    """The folder's files, each indexed when first asked for and again when it changed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Records] = {}
        self._lock = Lock()

    def find(self, dataset: str) -> Records | None:
        """The dataset's records; None where there are none. The name was checked by `ADDRESS`."""
        file = self._folder / dataset / f"{dataset.rpartition('/')[2]}.synthetic.json"
        try:
            facts = file.stat()
        except FileNotFoundError:
            return None
        version = f"{facts.st_mtime_ns:x}-{facts.st_size:x}"
        with self._lock:
            if dataset not in self._known or self._known[dataset].version != version:
                self._known[dataset] = Records(file, version, _starts(file))
            return self._known[dataset]


def _starts(file: Path) -> "array[int]":
    starts, place = array("Q"), 0
    with file.open("rb") as lines:
        for line in lines:
            if line.lstrip().startswith((b"{", b"]")):
                starts.append(place)
            place += len(line)
    return starts


class Handler(BaseHTTPRequestHandler):
    """Answers one request after another on a connection."""

    protocol_version = "HTTP/1.1"
    server_version = "KhoSamples"
    disable_nagle_algorithm = True  # head and body are two writes: one would wait for the other's receipt

    def __init__(self, *arguments: Any, shelf: Shelf, token: Secret) -> None:
        self._shelf, self._token = shelf, token
        super().__init__(*arguments)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/":
            self._answer(HTTPStatus.OK, json.dumps({"synthetic": True, "note": NOTE}, ensure_ascii=False).encode())
        elif not hmac.compare_digest(self.headers.get("Authorization", "").encode(), f"Bearer {self._token.reveal()}".encode()):
            self._answer(HTTPStatus.UNAUTHORIZED, b'{"error": "bearer token"}', {"WWW-Authenticate": "Bearer"})
        elif (found := ADDRESS.fullmatch(parts.path)) and (records := self._shelf.find(f"{found[1]}/{found[2]}")):
            self._page(records, parse_qs(parts.query))
        else:
            self._answer(HTTPStatus.NOT_FOUND, b'{"error": "no such dataset"}')

    def _page(self, records: Records, query: dict[str, list[str]]) -> None:
        if self.headers.get("If-None-Match") == f'"{records.version}"':
            self._answer(HTTPStatus.NOT_MODIFIED)
            return
        try:
            number, size = int(query.get("page", ["1"])[0]), int(query.get("size", [str(PAGE_SIZE)])[0])
        except ValueError:
            number = size = 0
        if number < 1 or size < 1:
            self._answer(HTTPStatus.BAD_REQUEST, b'{"error": "page and size are numbers from 1"}')
            return
        size = min(size, LARGEST_PAGE)
        facts = {"synthetic": True, "note": NOTE, "total": records.total, "page": number, "size": size}
        envelope = json.dumps(facts, ensure_ascii=False).encode().removesuffix(b"}")
        self._answer(HTTPStatus.OK, envelope + b', "data": [' + records.page(number, size) + b"]}", {"ETag": f'"{records.version}"'})

    def _answer(self, status: HTTPStatus, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        about = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body)), "X-Kho-Synthetic": "true"}
        for name, value in (about | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form: str, *arguments: Any) -> None:
        """Silent: the pulls are logged by who makes them."""


def service(folder: Path, token: Secret, port: int = 0) -> ThreadingHTTPServer:
    """A server on this machine's own address, not yet running; port 0 takes a free one (`server_port`)."""
    server = ThreadingHTTPServer(("127.0.0.1", port), partial(Handler, shelf=Shelf(folder), token=token))
    server.daemon_threads = True
    return server


def main() -> None:
    parser = argparse.ArgumentParser(prog="pipelines.sample_service", description="Serve synthetic records as an agency's service would.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with service(options.folder, secret(TOKEN), options.port) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
