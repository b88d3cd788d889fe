"""Files fetched by SFTP and from an S3-compatible bucket: whole, once, over broken lines, from nobody but the right server."""

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import asyncssh
import obstore
import pytest
import requests

from pipelines.archive import digest
from pipelines.contract import Contract, InvalidRegister, Source, load_register
from pipelines.contract.places import PLACES
from pipelines.sources import Fetched, SourceUnavailable, s3, sftp
from pipelines.sources.kinds import fetcher, prober
from pipelines.sources.secrets import MissingSecret
from tests.places import ACCOUNT, PASSPHRASE, PASSWORD, S3Server, SftpServer, put, s3_server, sftp_server
from tests.warehouse import Warehouse, column, contract

MB = 1 << 20
LEFT_BY_PARAMIKO = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
"""Its reading ahead dies in a thread of its own when a connection breaks off."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with sftp_server(tmp_path_factory.mktemp("sftp")) as server:
        yield server


@pytest.fixture
def server(files: SftpServer, monkeypatch: pytest.MonkeyPatch) -> SftpServer:
    for file in files.root.iterdir():
        file.unlink()
    files.on_listing, files.cut_after, files.listings, files.offsets = lambda _: None, None, 0, []
    monkeypatch.setenv("KHO_SECRET_SO_SFTP", PASSWORD)
    return files


def place(server: SftpServer, **more: Any) -> Contract:
    return source(
        "sftp",
        {
            "location": f"sftp://{ACCOUNT}@127.0.0.1:{server.port}/*.csv", "hostKey": server.fingerprint, "secret": "SO_SFTP",
            "steadySeconds": 0.05, **more,
        },
    )  # fmt: skip


def source(kind: str, options: dict[str, Any]) -> Contract:
    """As much of a contract as a place looks at."""
    given = {key: value for key, value in options.items() if value is not None}
    assert not PLACES[kind](given)[1]
    return cast(Contract, SimpleNamespace(source=Source(kind, "may-chu", given)))


def pull(contract: Contract, staging: Path, state: dict[str, Any] | None = None) -> tuple[dict[str, str], dict[str, Any]]:
    """What came, by name, and the state after it was committed."""
    came: dict[str, str] = {}
    state = state or {}
    assert contract.source
    for fetched in fetcher(contract.source.kind)(contract, state, staging):
        assert isinstance(fetched, Fetched) and fetched.file.parent == staging and fetched.judged_once
        came[fetched.name] = fetched.file.read_text()
        fetched.file.unlink()
        state = fetched.state
    assert not list(staging.glob("*")), "nothing is left behind"
    return came, state


# ---- SFTP


def test_new_files_come_once_and_changed_ones_again(server: SftpServer, tmp_path: Path) -> None:
    for n, name in enumerate(("b.csv", "a.csv", "so.xlsx", "c.csv.part", "~c.csv", ".c.csv")):
        os.utime(server.put(name, name), (n, n))
    came, state = pull(place(server), tmp_path)
    assert list(came.items()) == [("b.csv", "b.csv"), ("a.csv", "a.csv")], "the oldest first"
    assert pull(place(server), tmp_path, state) == ({}, state)
    server.put("a.csv", "mới")
    came, state = pull(place(server), tmp_path, state)
    assert came == {"a.csv": "mới"}
    (server.root / "b.csv").unlink()
    server.put("d.csv", "d")
    assert set(pull(place(server), tmp_path, state)[1]["taken"]) == {"a.csv", "d.csv"}, "what is gone is forgotten"


def test_a_file_that_grows_between_two_listings_is_left(server: SftpServer, tmp_path: Path) -> None:
    growing = server.put("a.csv", "1\n")
    server.put("b.csv", "b")
    server.on_listing = lambda n: growing.write_text("1\n2\n") if n == 1 else None
    came, state = pull(place(server), tmp_path)
    assert came == {"b.csv": "b"}
    assert pull(place(server), tmp_path, state)[0] == {"a.csv": "1\n2\n"}


def test_a_file_that_changes_while_it_is_read_is_left(server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = server.put("a.csv", "1\n")
    unchanged = sftp.Folder.unchanged

    def rewritten(folder: sftp.Folder, listed: Any) -> bool:
        os.utime(file, (5, 5))
        return unchanged(folder, listed)

    monkeypatch.setattr(sftp.Folder, "unchanged", rewritten)
    assert pull(place(server), tmp_path) == ({}, {})


def test_a_file_taken_away_while_it_is_read_is_left(server: SftpServer, tmp_path: Path) -> None:
    server.put("a.csv", "a")
    gone = server.put("b.csv", "b")
    fetching = sftp.fetch(place(server), {}, tmp_path)
    gone.touch()  # the later one
    next(fetching)
    gone.unlink()
    assert list(fetching) == []


def test_with_a_done_mark_only_marked_files_are_whole(server: SftpServer, tmp_path: Path) -> None:
    options = place(server, doneMark=".done", removeTaken=True)
    server.put("a.csv", "a")
    assert pull(options, tmp_path) == ({}, {})
    server.put("a.csv.done", "")
    came, state = pull(options, tmp_path)
    assert came == {"a.csv": "a"}
    assert (server.root / "a.csv").exists(), "nothing is removed before the delivery is known to be committed"
    assert pull(options, tmp_path, state)[0] == {}
    assert list(server.root.iterdir()) == []


def test_without_being_told_to_nothing_is_removed_there(server: SftpServer, tmp_path: Path) -> None:
    server.put("a.csv", "a")
    _, state = pull(place(server), tmp_path)
    pull(place(server), tmp_path, state)
    assert (server.root / "a.csv").exists()


def test_a_changed_file_is_never_removed_unread(server: SftpServer, tmp_path: Path) -> None:
    server.put("a.csv", "a")
    options = place(server, removeTaken=True)
    _, state = pull(options, tmp_path)
    server.put("a.csv", "aa")
    assert pull(options, tmp_path, state)[0] == {"a.csv": "aa"}


@LEFT_BY_PARAMIKO
def test_a_cut_download_goes_on_where_it_ended(server: SftpServer, tmp_path: Path) -> None:
    content = os.urandom(20 * MB)
    file = server.put("a.csv", content)
    server.cut_after = 13 * MB
    with pytest.raises(SourceUnavailable):
        list(sftp.fetch(place(server), {}, tmp_path))
    [part] = tmp_path.glob("*.part")
    kept = part.stat().st_size
    assert 0 < kept < len(content)
    server.offsets.clear()
    [fetched] = sftp.fetch(place(server), {}, tmp_path)
    assert min(server.offsets) == kept
    assert digest(fetched.file) == digest(file)


@LEFT_BY_PARAMIKO
def test_two_pulls_of_one_file_do_not_mix(server: SftpServer, tmp_path: Path) -> None:
    server.put("a.csv", os.urandom(MB))
    server.cut_after = 0
    with pytest.raises(SourceUnavailable):
        list(sftp.fetch(place(server), {}, tmp_path))
    [part] = tmp_path.glob("*.part")
    with part.open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(SourceUnavailable, match="another run"):
            list(sftp.fetch(place(server), {}, tmp_path))


def test_a_server_with_another_host_key_is_not_told_the_password(server: SftpServer, tmp_path: Path) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").get_fingerprint()
    with pytest.raises(SourceUnavailable, match=r"SHA256:.*does not name"):
        list(sftp.fetch(place(server, hostKey=other), {}, tmp_path))
    server.put("a.csv", "a")
    assert pull(place(server, hostKey=[other, server.fingerprint]), tmp_path)[0]


def test_a_private_key_lets_in(server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHO_SECRET_SO_KEY", server.client_key)
    monkeypatch.setenv("KHO_SECRET_SO_PHRASE", PASSPHRASE)
    server.put("a.csv", "a")
    options = place(server, keySecret="SO_KEY", passphraseSecret="SO_PHRASE", secret=None)
    assert pull(options, tmp_path)[0] == {"a.csv": "a"}
    monkeypatch.setenv("KHO_SECRET_SO_PHRASE", "sai")
    with pytest.raises(SourceUnavailable, match="keySecret"):
        list(sftp.fetch(options, {}, tmp_path))


@pytest.mark.parametrize("trouble", ["password", "no secret", "nobody there", "no folder"])
def test_trouble_is_explained_without_the_secret(
    server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    caplog.set_level(logging.DEBUG)
    port = 1 if trouble == "nobody there" else server.port
    options = place(server, location=f"sftp://{ACCOUNT}@127.0.0.1:{port}/{'khong-co/' if trouble == 'no folder' else ''}*.csv")
    if trouble == "password":
        monkeypatch.setenv("KHO_SECRET_SO_SFTP", "sai-mật-khẩu")
    elif trouble == "no secret":
        monkeypatch.delenv("KHO_SECRET_SO_SFTP")
    with pytest.raises((SourceUnavailable, MissingSecret)) as caught:
        list(sftp.fetch(options, {}, tmp_path))
    told = f"{caught.value!r} {caught.value.__cause__!r} {caplog.text}"
    assert str(caught.value) and "sai-mật-khẩu" not in told and PASSWORD not in told
    assert caught.value.__context__ is None or caught.value.__suppress_context__


# ---- S3


@pytest.fixture(scope="module")
def cloud() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHO_SECRET_S3_ID", "khóa-truy-cập")
    monkeypatch.setenv("KHO_SECRET_S3_KEY", "khóa-bí-mật-chớ-nói")


def objects(server: S3Server, location: str, **more: Any) -> Contract:
    return source("s3", {"location": location, "endpointUrl": server.url, "idSecret": "S3_ID", "secret": "S3_KEY", **more})


@pytest.mark.usefixtures("keys")
def test_new_objects_come_once_and_changed_ones_again(cloud: S3Server, tmp_path: Path) -> None:
    store = cloud.bucket("giao")
    for key in ("so-y-te/a.csv", "so-y-te/số liệu 1%.csv", "so-y-te/b.xlsx", "so-y-te/cu/c.csv", "so-y-te/.d.csv", "so-y-te-2/e.csv"):
        put(store, key, key)
    options = objects(cloud, "s3://giao/so-y-te/*.csv")
    came, state = pull(options, tmp_path)
    assert came == {"a.csv": "so-y-te/a.csv", "số liệu 1%.csv": "so-y-te/số liệu 1%.csv"}
    assert pull(options, tmp_path, state) == ({}, state)
    put(store, "so-y-te/a.csv", "so-y-te/A.csv")  # as long as before
    came, state = pull(options, tmp_path, state)
    assert came == {"a.csv": "so-y-te/A.csv"}
    assert pull(objects(cloud, "s3://giao/so-y-te/*.csv", removeTaken=True), tmp_path, state)[0] == {}
    left = sorted(one["path"] for page in obstore.list(store) for one in page)
    assert left == ["so-y-te-2/e.csv", "so-y-te/.d.csv", "so-y-te/b.xlsx", "so-y-te/cu/c.csv"]


@pytest.mark.usefixtures("keys")
def test_a_listing_of_several_pages_is_read_to_its_end(cloud: S3Server, tmp_path: Path) -> None:
    store = cloud.bucket("nhieu")
    for n in range(1005):
        put(store, f"{n:04}.csv", str(n))
    assert prober("s3")(objects(cloud, "s3://nhieu/*.csv")).startswith("1005 files")


@pytest.mark.usefixtures("keys")
def test_an_object_replaced_after_the_listing_is_left_for_the_next_pull(cloud: S3Server, tmp_path: Path) -> None:
    store = cloud.bucket("thay")
    put(store, "a.csv", "a")
    time.sleep(1.1)  # S3 tells times in seconds: the order of the two shall be certain
    put(store, "b.csv", "cũ")
    options = objects(cloud, "s3://thay/*.csv")
    fetching = s3.fetch(options, {}, tmp_path)
    first = next(fetching)
    put(store, "b.csv", "mới")
    assert first.name == "a.csv" and list(fetching) == []
    first.file.unlink()
    assert pull(options, tmp_path, first.state)[0] == {"b.csv": "mới"}


@pytest.mark.usefixtures("keys")
def test_a_cut_object_goes_on_where_it_ended(cloud: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = os.urandom(9 * MB)
    put(cloud.bucket("lon"), "a.csv", content)
    options = objects(cloud, "s3://lon/*.csv")
    read, offsets = s3.Objects.read, []

    def cut(place: s3.Objects, file: Any, offset: int) -> Iterator[bytes]:
        offsets.append(offset)
        for n, chunk in enumerate(read(place, file, offset)):
            if n == 1 and len(offsets) == 1:
                raise SourceUnavailable("broken off")
            yield chunk

    monkeypatch.setattr(s3.Objects, "read", cut)
    with pytest.raises(SourceUnavailable):
        list(s3.fetch(options, {}, tmp_path))
    [fetched] = s3.fetch(options, {}, tmp_path)
    assert offsets[0] == 0 and offsets[1] >= s3.CHUNK
    assert fetched.file.read_bytes() == content


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("trouble", ["no bucket", "nobody there", "no secret"])
def test_trouble_with_a_bucket_is_explained_without_the_secret(
    cloud: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(s3, "RETRIES", 0)
    options = objects(cloud, "s3://khong-co/*.csv", endpointUrl="http://127.0.0.1:1" if trouble == "nobody there" else cloud.url)
    if trouble == "no secret":
        monkeypatch.delenv("KHO_SECRET_S3_KEY")
    with pytest.raises((SourceUnavailable, MissingSecret)) as caught:
        list(s3.fetch(options, {}, tmp_path))
    assert "chớ-nói" not in f"{caught.value!r} {caplog.text}" and "\n" not in str(caught.value)


def test_a_public_bucket_needs_no_key(cloud: S3Server, tmp_path: Path) -> None:
    cloud.bucket("cong-khai")
    for address, content in (("cong-khai?acl", ""), ("cong-khai/a.csv", "a")):
        requests.put(f"{cloud.url}/{address}", content, headers={"x-amz-acl": "public-read"}, timeout=20).raise_for_status()
    assert pull(objects(cloud, "s3://cong-khai/*.csv", idSecret=None, secret=None), tmp_path)[0] == {"a.csv": "a"}


# ---- the whole way


SFTP = {
    "server": "so-y-te", "type": "sftp", "location": "sftp://u@h/in/*.csv",
    "customProperties": [{"property": "hostKey", "value": "SHA256:" + "a" * 43}, {"property": "secret", "value": "P"}],
}  # fmt: skip
S3 = {"server": "kho-so", "type": "s3", "location": "s3://kho/in/*.csv"}


def described(server: dict[str, Any]) -> dict[str, Any]:
    return {**contract("y-te/co-so", [column("ma", required=True, primaryKey=True)], agency="SYT"), "servers": [server]}


def test_files_of_a_server_go_the_whole_way_and_are_not_judged_twice(server: SftpServer, warehouse: Warehouse) -> None:
    own = {
        "location": f"sftp://{ACCOUNT}@127.0.0.1:{server.port}/*.csv",
        "hostKey": server.fingerprint,
        "secret": "SO_SFTP",
        "steadySeconds": 0,
    }
    properties = [{"property": name, "value": value} for name, value in own.items() if name != "location"]
    warehouse.add(described({**SFTP, "location": own["location"], "customProperties": properties}))
    for n, (name, text) in enumerate((("1.csv", "ma\nA\n"), ("2.csv", "sai_cot\n1\n"), ("3.csv", "ma\nB\nC\n"))):
        os.utime(server.put(name, text), (n, n))
    intake = warehouse.intake()
    assert [o.verdict for o in intake.take("y-te/co-so", "test")] == ["accepted", "refused", "accepted"]
    assert warehouse.rows("SELECT ma FROM y_te.co_so ORDER BY ma") == [("B",), ("C",)]
    assert [o.verdict for o in intake.take("y-te/co-so", "test")] == ["unchanged"]
    assert not [file for file in warehouse.settings.staging.iterdir() if file.is_file()], "nothing stays in staging"
    os.utime(server.put("4.csv", "sai_cot\n1\n"), (9, 9))
    assert [o.verdict for o in warehouse.intake().take("y-te/co-so", "test")] == ["refused"], "after a restart too"
    assert [o.verdict for o in warehouse.intake().take("y-te/co-so", "test")] == ["unchanged"]
    changed = described({**SFTP, "location": own["location"], "customProperties": properties})
    changed["schema"][0]["properties"][0]["logicalTypeOptions"] = {"maxLength": 1}
    warehouse.add(changed)
    outcomes = warehouse.intake().take("y-te/co-so", "test")
    assert [o.file_name for o in outcomes] == ["3.csv"], "a changed rule judges the last delivery again, and fetches no old one"


# ---- what a contract may say


def problems_of(warehouse: Warehouse, server: dict[str, Any]) -> str:
    warehouse.add(described(server))
    try:
        load_register(warehouse.settings.register)
    except InvalidRegister as invalid:
        return "\n".join(map(str, invalid.problems))
    return ""


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"location": "ftp://u@h/in/*.csv"}, "location"),
        ({"location": "sftp://u@h:x/in/*.csv"}, "port"),
        ({"location": "sftp://u@h/in/"}, "location"),
        ({"location": "sftp://u:P4ss@h/in/*.csv"}, "user and password"),
        ({"location": "sftp://h/in/*.csv"}, "user"),
        ({"secret": None}, "neither"),
        ({"secret": "mật khẩu thật"}, "name of a secret"),
        ({"password": "mật khẩu thật"}, "holds a secret"),
        ({"hostKey": None}, "hostKey"),
        ({"hostKey": "MD5:aa"}, "hostKey"),
        ({"doneMark": "/done"}, "doneMark"),
        ({"steadySeconds": -1}, "steadySeconds"),
        ({"removeTaken": "yes"}, "removeTaken"),
        ({"hostkey": "x"}, "hostkey"),
    ],
)
def test_a_mistake_in_an_sftp_entry_is_named(warehouse: Warehouse, change: dict[str, Any], word: str) -> None:
    assert not problems_of(warehouse, SFTP)
    properties = {p["property"]: p["value"] for p in SFTP["customProperties"]} | {k: v for k, v in change.items() if k != "location"}
    entry = {**SFTP, "location": change.get("location", SFTP["location"])}
    entry["customProperties"] = [{"property": k, "value": v} for k, v in properties.items() if v is not None]
    told = problems_of(warehouse, entry)
    assert word in told and "thật" not in told and "P4ss" not in told


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"location": "s3://Kho/in/*.csv"}, "location"),
        ({"location": "s3://kho"}, "location"),
        ({"endpointUrl": "kho.local"}, "endpointUrl"),
        ({"customProperties": [{"property": "idSecret", "value": "A"}]}, "go together"),
        ({"customProperties": [{"property": "accessKey", "value": "khóa thật"}]}, "holds a secret"),
        ({"customProperties": [{"property": "virtualHosted", "value": 1}]}, "virtualHosted"),
        ({"regoin": "x"}, "regoin"),
    ],
)
def test_a_mistake_in_an_s3_entry_is_named(warehouse: Warehouse, change: dict[str, Any], word: str) -> None:
    assert not problems_of(warehouse, S3)
    told = problems_of(warehouse, {**S3, **change})
    assert word in told and "thật" not in told
