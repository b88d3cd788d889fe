"""Delivering over HTTP: through the real server, into the drop folder, up to the verdict."""

import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.specs.openapi.checks import positive_data_acceptance
from typer.testing import CliRunner

from catalog.access.failures import ALLOWED, Failures
from catalog.access.tokens import Tokens
from catalog.cli import app
from pipelines.settings import PROJECT
from pipelines.sources.dropfolder import look
from tests.warehouse import Warehouse, column, contract, make_warehouse

TEAM, OTHER, DERIVED = "ho-tich/to-cong-tac", "y-te/co-so", "ho-tich/thong-ke"
GOOD = b"ma_to,loai\nA,X\xc3\xa3\n"
LIMIT = 40 << 20
MB = 1 << 20


@dataclass(frozen=True)
class Door:
    """The web process, and a token of the agency that owns `TEAM`."""

    warehouse: Warehouse
    port: int
    process: subprocess.Popen[bytes]
    token: str

    def send(
        self, dataset: str = TEAM, body: Any = GOOD, token: str | None = None, name: str = "to.csv", method: str = "POST",
        headers: dict[str, str] | None = None, address: str = "127.0.0.1", **query: str,
    ) -> "Answer":  # fmt: skip
        path = f"/api/v1/deliveries/{dataset}"
        if method == "POST":
            path += "?" + urllib.parse.urlencode({"filename": name, **query})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30, source_address=(address, 0))
        try:
            given = {"Authorization": f"Bearer {self.token if token is None else token}", **(headers or {})}
            connection.request(method, path, body if method == "POST" else None, given, encode_chunked="Transfer-Encoding" in given)
            response = connection.getresponse()
            return Answer(response.status, json.loads(response.read()), dict(response.headers))
        finally:
            connection.close()

    def raw(self, head: str, body: bytes) -> None:
        """Send a request and break the connection off."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as line:
            line.sendall(
                f"POST /api/v1/deliveries/{TEAM}?filename=a.csv HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\n{head}\r\n\r\n".encode()
                + body
            )
            line.shutdown(socket.SHUT_WR)
            line.recv(1 << 16)

    def dropped(self, dataset: str = TEAM) -> list[str]:
        folder = self.warehouse.settings.drop / dataset
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []

    def peak_memory(self) -> int:
        """Most bytes that any process of the server ever held."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        lines = [line for pid in children for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
        return max(int(line.split()[1]) * 1024 for line in lines)


@dataclass(frozen=True)
class Answer:
    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    warehouse = make_warehouse(tmp_path_factory.mktemp("door"))
    key = [column("ma", required=True, primaryKey=True)]
    warehouse.add(contract(OTHER, key, agency="SYT"))
    warehouse.add(contract(DERIVED, key), sql="SELECT ma_to AS ma FROM ho_tich.to_cong_tac")
    _, token = Tokens(warehouse.settings.tokens).issue("STP", timedelta(days=1))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = os.environ | {
        "KHO_HOME": str(warehouse.settings.home), "KHO_REGISTER": str(warehouse.settings.register), "KHO_UPLOAD_LIMIT": str(LIMIT),
    }  # fmt: skip
    command = [sys.executable, "-m", "catalog.cli", "serve", "--port", str(port)]
    with (
        (warehouse.settings.home / "serve.log").open("wb") as log,
        subprocess.Popen(command, cwd=PROJECT, env=environment, stderr=log) as process,
    ):
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None
                    time.sleep(0.1)
            yield Door(warehouse, port, process, token)
        finally:
            process.terminate()


@pytest.fixture
def door(running: Door) -> Door:
    """The running door over an empty drop folder."""
    for file in running.warehouse.settings.drop.rglob("*"):
        if file.is_file():
            file.unlink()
    return running


def test_a_delivery_is_taken_judged_and_asked_about(door: Door) -> None:
    sent = door.send()
    sha = hashlib.sha256(GOOD).hexdigest()
    assert sent.status == 202 and (sent.body["sha256"], sent.body["bytes"], sent.body["dataset"]) == (sha, len(GOOD), TEAM)
    assert sent.headers["Location"] == sent.body["verdict_url"] and sent.body["verdict_url"].endswith(f"/{TEAM}/{sha}")
    assert door.dropped() == [sent.body["file_name"]]
    asked = f"{TEAM}/{sha}"
    assert door.send(asked, method="GET").body["state"] == "waiting"
    assert door.warehouse.take(TEAM).file_name == sent.body["file_name"]
    told = door.send(asked, method="GET")
    assert told.status == 200
    assert (told.body["state"], told.body["outcome"], told.body["rows_accepted"], told.body["release"]) == ("judged", "accepted", 1, 1)
    assert told.body["received_at"].endswith(("Z", "+00:00"))


def test_a_refusal_comes_back_with_its_reasons(door: Door) -> None:
    wrong = b"sai_cot\n1\n"
    sha = door.send(body=wrong).body["sha256"]
    door.warehouse.take(TEAM)
    told = door.send(f"{TEAM}/{sha}", method="GET").body
    assert told["outcome"] == "refused" and all(reason["vi"] and reason["en"] for reason in told["reasons"])


def test_a_kind_of_file_that_the_gate_does_not_read_is_its_refusal(door: Door) -> None:
    sha = door.send(name="a.exe", body=b"MZ").body["sha256"]
    assert door.warehouse.take(TEAM).verdict == "refused"
    assert ".exe" in door.send(f"{TEAM}/{sha}", method="GET").body["reasons"][0]["vi"]


def test_the_same_bytes_again_are_the_same_delivery(door: Door) -> None:
    body = b"ma_to,loai\nLAI,X\xc3\xa3\n"
    assert [door.send(body=body).status for _ in range(3)] == [202] * 3
    assert len(door.dropped()) == 1
    assert door.warehouse.take(TEAM).verdict == "accepted"
    sha = door.send(body=body).body["sha256"]
    assert door.warehouse.take(TEAM).verdict == "duplicate"
    assert door.send(f"{TEAM}/{sha}", method="GET").body["outcome"] == "accepted"


def test_two_files_of_one_name_do_not_overwrite_each_other(door: Door) -> None:
    door.send(body=b"ma_to\n1\n")
    door.send(body=b"ma_to\n2\n")
    assert len(door.dropped()) == 2


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"token": ""}, 401),
        ({"token": "kho_00000000_x"}, 401),
        ({"dataset": OTHER}, 403),
        ({"dataset": "ho-tich/khong-co"}, 404),
        ({"dataset": DERIVED}, 409),
        ({"body": b""}, 422),
        ({"name": "khong-duoi"}, 422),
        ({"name": "~$a.xlsx"}, 422),
        ({"name": ".csv"}, 422),
        ({"sha256": "0" * 64}, 422),
        ({"sha256": "x"}, 422),
        ({"headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 415),
        ({"dataset": f"{TEAM}/{'0' * 64}", "method": "GET"}, 404),
        ({"dataset": f"{TEAM}/x", "method": "GET"}, 422),
        ({"dataset": f"{OTHER}/{'0' * 64}", "method": "GET"}, 403),
        ({"dataset": f"{TEAM}/{'0' * 64}", "method": "GET", "token": ""}, 401),
    ],
)
def test_what_cannot_be_taken_is_answered_with_a_problem_and_leaves_nothing(door: Door, request_: dict[str, Any], status: int) -> None:
    answer = door.send(**request_)
    assert answer.status == status and answer.body["status"] == status and answer.body["detail"]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert [door.dropped(d) for d in (TEAM, OTHER, DERIVED)] == [[], [], []]


@pytest.mark.parametrize(
    "name", ["../../../x.csv", "C:\\gửi\\x.csv", "a\nb.csv", "\u202evsc.csv", "x" * 300 + ".csv", "%2e%2e%2fx.csv", "\x00.csv"]
)
def test_any_name_stays_in_the_datasets_folder(door: Door, name: str) -> None:
    assert door.send(name=name).status == 202
    [kept] = door.dropped()
    assert kept.endswith(f".{hashlib.sha256(GOOD).hexdigest()[:16]}.csv") and kept.isprintable()
    assert len(look(door.warehouse.settings.drop / TEAM, 0).ready) == 1


def test_a_big_file_never_is_in_memory_whole(door: Door) -> None:
    before = door.peak_memory()
    sent = door.send(body=(bytes(MB) for _ in range(39)), headers={"Content-Length": str(39 * MB)})
    assert (sent.status, sent.body["bytes"]) == (202, 39 * MB)
    assert door.peak_memory() - before < 15 * MB


def test_a_chunked_body_of_unknown_length_is_taken(door: Door) -> None:
    sent = door.send(body=iter([GOOD[:5], GOOD[5:]]), headers={"Transfer-Encoding": "chunked"}, sha256=hashlib.sha256(GOOD).hexdigest())
    assert (sent.status, sent.body["bytes"]) == (202, len(GOOD))


def test_a_file_above_the_limit_is_refused_before_it_is_sent_or_as_soon_as_it_shows(door: Door) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", door.port, timeout=30)
    connection.putrequest("POST", f"/api/v1/deliveries/{TEAM}?filename=a.csv")
    for header, value in (("Authorization", f"Bearer {door.token}"), ("Content-Length", str(LIMIT + 1))):
        connection.putheader(header, value)
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()
    with socket.create_connection(("127.0.0.1", door.port), timeout=30) as line:
        head = f"POST /api/v1/deliveries/{TEAM}?filename=a.csv HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {door.token}\r\n"
        line.sendall((head + "Transfer-Encoding: chunked\r\n\r\n").encode())
        for _ in range(LIMIT // MB + 1):
            line.sendall(b"100000\r\n" + bytes(MB) + b"\r\n")
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 413 ")
    assert door.dropped() == []


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (f"Content-Length: {len(GOOD) + 100}", GOOD),
        ("Transfer-Encoding: chunked", b"100\r\n" + GOOD),
        ("Transfer-Encoding: chunked", b"%x\r\n" % len(GOOD) + GOOD + b"\r\n"),
        ("Transfer-Encoding: chunked", b"zz\r\n" + GOOD),
    ],
)
def test_an_upload_that_breaks_off_leaves_nothing_to_read(door: Door, head: str, body: bytes) -> None:
    door.raw(head, body)
    for _ in range(50):
        if not door.dropped():
            break
        time.sleep(0.1)
    assert door.dropped() == []


def test_nothing_of_a_running_upload_can_be_read(door: Door) -> None:
    with socket.create_connection(("127.0.0.1", door.port), timeout=30) as line:
        line.sendall(
            f"POST /api/v1/deliveries/{TEAM}?filename=a.csv HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {door.token}\r\n"
            f"Content-Length: {len(GOOD) + 10}\r\n\r\n".encode()
            + GOOD
        )
        for _ in range(100):
            if door.dropped():
                break
            time.sleep(0.05)
        [name] = door.dropped()
        assert look(door.warehouse.settings.drop / TEAM, 0).ready == () and name.endswith(".upload")
        line.sendall(b"x" * 10)
        assert line.recv(1 << 16).startswith(b"HTTP/1.1 202 ")


def test_a_revoked_or_expired_token_is_none(door: Door) -> None:
    tokens = Tokens(door.warehouse.settings.tokens)
    revoked, text = tokens.issue("STP", timedelta(days=1))
    assert door.send(token=text).status == 202
    tokens.revoke(revoked.id)
    assert door.send(token=text).status == 401
    assert door.send(token=tokens.issue("STP", timedelta(seconds=-1))[1]).status == 401
    assert door.send(token=tokens.issue("SYT", timedelta(days=1))[1]).status == 403


def test_guessing_is_slowed_and_a_right_token_is_not(door: Door) -> None:
    guesser = "127.0.0.2"
    answers = [door.send(token=f"kho_00000000_{n}", address=guesser) for n in range(ALLOWED + 5)]
    assert answers[-1].status == 429 and int(answers[-1].headers["Retry-After"]) > 0
    assert door.send(address=guesser).status == 202


def test_failures_are_counted_per_address_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("catalog.access.failures.time.monotonic", lambda: clock[0])
    failures = Failures()
    assert [failures.note("a") for _ in range(ALLOWED)] == [0] * ALLOWED
    assert failures.note("a") == 60 and failures.note("b") == 0
    clock[0] = 61.0
    assert failures.note("a") == 0


def test_the_api_does_what_its_description_says(door: Door) -> None:
    described = schemathesis.openapi.from_url(f"http://127.0.0.1:{door.port}/api/v1/openapi.json").include(path_regex="/deliveries/")
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) == 2
    for operation in operations:

        @hypothesis.settings(max_examples=20, deadline=None)
        @hypothesis.given(operation.as_strategy())
        def answers(case: schemathesis.Case) -> None:
            case.path_parameters |= {"domain": "ho-tich", "dataset": "to-cong-tac"}  # a guessed name is never there
            # A name's suffix, an empty body, a wrong hash: a schema cannot say all that is refused.
            case.call_and_validate(headers={"Authorization": f"Bearer {door.token}"}, excluded_checks=[positive_data_acceptance])

        answers()


# ---- tokens


def test_only_a_hash_is_kept_and_its_owner_alone_reads_it(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path / "access" / "tokens.sqlite")
    issued, text = tokens.issue("STP", timedelta(days=1), "phần mềm hộ tịch")
    secret = text.split("_", 2)[2]
    assert len(secret) >= 43 and secret.encode() not in tokens.file.read_bytes()
    assert tokens.file.stat().st_mode & 0o077 == 0
    assert secret not in repr(tokens.all()) and tokens.all()[0].last_used_at is None
    held = tokens.holder(text)
    assert held is not None and held.id == issued.id and held.agency == "STP"
    assert tokens.all()[0].last_used_at is not None
    for wrong in ("", "kho", "kho_", f"kho_{issued.id}", f"kho_{issued.id}_", f"{text}x", text[:-1], text.replace("kho", "KHO"), "\udcff"):
        assert tokens.holder(wrong) is None, wrong


def test_tokens_are_issued_listed_and_revoked_by_command(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHO_HOME", str(warehouse.settings.home))
    monkeypatch.setenv("KHO_REGISTER", str(warehouse.settings.register))
    kho = lambda *words: CliRunner().invoke(app, ["token", *words])
    issued = kho("STP", "--note", "hộ tịch")
    text = issued.stdout.strip()
    assert issued.exit_code == 0 and text.startswith("kho_")
    held = Tokens(warehouse.settings.tokens).holder(text)
    assert held is not None and held.agency == "STP"
    listed = kho("--list", "--json")
    assert [t["id"] for t in json.loads(listed.stdout)] == [held.id] and text not in listed.output and "hộ tịch" in kho("--list").output
    assert kho("--revoke", held.id).exit_code == 0 and "revoked" in kho("--list").output
    assert Tokens(warehouse.settings.tokens).holder(text) is None
    assert [kho(*words).exit_code for words in (("KHONGCO",), (), ("--revoke", "00000000"))] == [2, 2, 2]
