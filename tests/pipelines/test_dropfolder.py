"""Half-written files are never read; whole ones are, once, in order, whatever they are called."""

import os
import stat
import threading
import time
import unicodedata
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import archive
from pipelines.ingest import pending
from pipelines.sources.dropfolder import UNSHOWN, Look, look, shown_name
from tests.warehouse import Warehouse, column, contract

TEAM = "ho-tich/to-cong-tac"
GOOD = "ma_to,loai\nA,Xã\n"
LONG_QUIET = 60.0


def names(found: Look) -> list[str]:
    return [d.path.name for d in found.ready]


def test_a_file_that_has_just_changed_is_not_yet_a_delivery_even_with_an_old_date(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text(GOOD)
    os.utime(file, (1_700_000_000, 1_700_000_000))  # a copy that keeps the sender's date
    found = look(tmp_path, LONG_QUIET)
    assert (found.ready, found.arriving) == ((), (file,)) and 0 < found.wait <= LONG_QUIET
    assert names(look(tmp_path, 0)) == ["a.csv"]


def test_a_file_that_somebody_has_open_for_writing_is_not_read_however_long_it_pauses(warehouse: Warehouse) -> None:
    file = warehouse.drop(TEAM, "a.csv", "ma_to,loai\nA,")
    with file.open("a", encoding="utf-8") as writer:
        assert warehouse.take(TEAM).verdict == "unchanged"
        assert pending(warehouse.intake().store, warehouse.intake().register.contracts[TEAM]).arriving == (file,)
        writer.write("Xã\n")
    outcome = warehouse.take(TEAM)
    assert (outcome.verdict, outcome.rows_accepted) == ("accepted", 1)


def test_taking_in_waits_for_the_quiet_of_a_file_put_there_a_moment_ago(warehouse: Warehouse) -> None:
    patient = Warehouse(replace(warehouse.settings, quiet_seconds=0.2))
    patient.drop(TEAM, "a.csv", GOOD)
    assert patient.take(TEAM).verdict == "accepted"


def test_a_file_written_again_and_again_is_taken_whole_or_not_at_all(warehouse: Warehouse) -> None:
    """A writer that opens and closes for every piece, as some network shares do, with pauses shorter than the quiet time."""
    patient = Warehouse(replace(warehouse.settings, quiet_seconds=0.5))
    file = patient.drop(TEAM, "a.csv", "ma_to,loai\n")
    pieces = 40

    def write() -> None:
        for n in range(pieces):
            time.sleep(0.03)
            with file.open("a", encoding="utf-8") as more:
                more.write(f"M{n},Xã\n")

    writer = threading.Thread(target=write)
    writer.start()
    outcomes = [patient.take(TEAM) for _ in range(2)]
    writer.join()
    outcomes.append(patient.take(TEAM))
    assert [o.rows_accepted for o in outcomes if o.verdict == "accepted"] == [pieces]


def test_a_file_that_changes_while_it_is_archived_is_left_for_the_next_look(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    file = warehouse.drop(TEAM, "a.csv", GOOD)
    fsync, grown = os.fsync, []

    def grow_once(descriptor: int) -> None:
        if not grown and ".arriving-" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            grown.append(file.write_text(GOOD + "B,Phường\n"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", grow_once)
    assert warehouse.take(TEAM).verdict == "unchanged" and file.exists()
    assert not list(warehouse.settings.archive.rglob("*.csv")), "half a file is no evidence"
    assert warehouse.take(TEAM).rows_accepted == 2


def test_a_new_file_under_the_same_name_is_not_removed_with_the_old_one(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    file = warehouse.drop(TEAM, "a.csv", GOOD)
    from pipelines import release

    judge = release.judge

    def replaced(*arguments: object, **named: object) -> object:
        other = file.with_name("~new")
        other.write_text("ma_to,loai\nC,Xã\nD,Xã\n")
        other.replace(file)
        return judge(*arguments, **named)

    monkeypatch.setattr(release, "judge", replaced)
    assert warehouse.take(TEAM).rows_accepted == 1
    monkeypatch.setattr(release, "judge", judge)
    assert warehouse.take(TEAM).rows_accepted == 2
    assert not file.exists()


@pytest.mark.parametrize("kind", ["xlsx", "parquet"])
def test_a_workbook_without_its_end_is_waited_for_and_then_refused(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"a.{kind}"
    if kind == "xlsx":
        with zipfile.ZipFile(file, "w") as book:
            book.writestr("xl/workbook.xml", "x" * 1000)
    else:
        file.write_bytes(b"PAR1" + bytes(100) + b"PAR1")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    quiet = 0.05
    time.sleep(quiet)
    assert look(tmp_path, quiet).arriving == (file,)
    assert names(look(tmp_path, 0.0)) == [file.name], "after thirty quiet times it goes to the gate"
    file.write_bytes(whole)
    time.sleep(quiet)
    assert names(look(tmp_path, quiet)) == [file.name]


@pytest.mark.parametrize(
    "name",
    [
        "a.csv.part", "a.xlsx.tmp", "a.xlsx.FILEPART", "~$a.xlsx", ".~lock.a.ods#", "a.csv.crdownload", ".a.csv.Xy12Zz", "a.csv~",
        "Thumbs.db", "desktop.ini", ".DS_Store", "a.csv.done",
    ],
)  # fmt: skip
def test_names_of_partial_copies_and_clutter_are_not_deliveries(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(GOOD)
    assert look(tmp_path, 0) == Look()


def test_only_regular_files_are_read_and_the_rest_is_named(warehouse: Warehouse) -> None:
    secret = warehouse.settings.home / "secret.csv"
    file = warehouse.drop(TEAM, "a.csv", GOOD)
    secret.write_text("ma_to,loai\nBÍMẬT,Xã\n")
    folder = file.parent
    (folder / "link.csv").symlink_to(secret)
    (folder / "dangling.csv").symlink_to("nowhere")
    (folder / "2023").mkdir()
    os.mkfifo(folder / "pipe.csv")
    warehouse.drop("ho-tich", "lost.csv", GOOD)
    warehouse.drop("y-te/khong-co", "lost.csv", GOOD)
    intake = warehouse.intake()
    assert len(intake.take(TEAM, "test")) == 1
    assert warehouse.rows("SELECT ma_to FROM ho_tich.to_cong_tac") == [("A",)]
    overlooked = {path.name for path, why in intake.overlooked() if why}
    assert overlooked == {"link.csv", "dangling.csv", "2023", "pipe.csv", "lost.csv", "y-te"}


def test_a_link_put_in_place_of_a_file_after_the_look_is_not_followed(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = warehouse.settings.home / "secret.csv"
    file = warehouse.drop(TEAM, "a.csv", GOOD)
    secret.write_text("ma_to,loai\nBÍMẬT,Xã\n")
    keep = archive.keep

    def swapped(*arguments: Path) -> object:
        file.unlink()
        file.symlink_to(secret)
        return keep(*arguments)

    monkeypatch.setattr(archive, "keep", swapped)
    assert warehouse.take(TEAM).verdict == "unchanged"


NAMES = [
    b"hai\ndong.csv", "số liệu \u202evsc.csv".encode(), b"khong phai utf8 \xff\xfe.csv", b"x" * 251 + b".csv", b"a." + b"d" * 253,
    b"'; DROP TABLE x; --.csv", b"[red].csv", "tổ công tác.csv".encode(), b"%s{0}$HOME.csv",
]  # fmt: skip


def test_any_name_is_taken_in_and_shown_harmlessly(warehouse: Warehouse) -> None:
    folder = warehouse.drop(TEAM, ".first", "").parent
    for n, name in enumerate(NAMES):
        file = warehouse.drop(TEAM, "plain.csv", f"ma_to,loai\nA{n},Xã\n")
        file.rename(folder / os.fsdecode(name))
    outcomes = warehouse.intake().take(TEAM, "test")
    assert sorted(o.verdict for o in outcomes) == ["accepted"] * (len(NAMES) - 1) + ["refused"], "only the one with no known suffix"
    assert [path.name for path in folder.iterdir()] == [".first"]
    for (shown,) in warehouse.rows("SELECT file_name FROM kho.ledger"):
        assert not any(unicodedata.category(letter) in UNSHOWN for letter in shown) and shown == unicodedata.normalize("NFC", shown)


@given(st.text())
def test_a_shown_name_is_one_line_of_utf_8_and_stays_as_it_is(name: str) -> None:
    shown = shown_name(name)
    assert len(shown.splitlines()) <= 1 and shown.encode("utf-8", "strict") is not None and shown_name(shown) == shown


def test_files_of_one_pass_come_in_the_order_of_their_dates(warehouse: Warehouse) -> None:
    for name, date, key in (("b.csv", 1000, "OLD"), ("a.csv", 2000, "NEW")):
        os.utime(warehouse.drop(TEAM, name, f"ma_to,loai\n{key},Xã\n"), (date, date))
    intake = warehouse.intake()
    assert [o.file_name for o in intake.take(TEAM, "test")] == ["b.csv", "a.csv"]
    assert warehouse.rows("SELECT ma_to FROM ho_tich.to_cong_tac") == [("NEW",)]


def test_a_copy_is_a_duplicate_and_a_late_revision_replaces_its_period_only(warehouse: Warehouse) -> None:
    columns = [column("ky", semantic="ky_thang", required=True, primaryKey=True), column("x", "integer")]
    warehouse.add(contract("ho-tich/ky", columns, loadMode="snapshot"))
    january, february, revised = "ky,x\n202301,1\n", "ky,x\n202302,2\n", "ky,x\n202301,100\n"
    for n, (name, text) in enumerate(
        [("thang 1.csv", january), ("thang 2.csv", february), ("thang 2 (1).csv", february), ("thang 1 (sua).csv", revised)]
    ):
        os.utime(warehouse.drop("ho-tich/ky", name, text), (n, n))
    outcomes = warehouse.intake().take("ho-tich/ky", "test")
    assert [o.verdict for o in outcomes] == ["accepted", "accepted", "duplicate", "accepted"]
    assert warehouse.rows("SELECT * FROM ho_tich.ky ORDER BY ky") == [("202301", 100), ("202302", 2)]


def test_thousands_of_files_are_looked_at_and_none_is_lost(tmp_path: Path) -> None:
    for n in range(3000):
        (tmp_path / f"{n}.csv").touch()
    assert len(look(tmp_path, 0).ready) == 3000


def test_a_file_that_cannot_be_removed_is_taken_in_once(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = warehouse.drop(TEAM, "a.csv", GOOD)
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(13, "Permission denied", str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    assert warehouse.take(TEAM).verdict == "accepted"
    warehouse.drop(TEAM, "b.csv", "ma_to,loai\nB,Xã\n")
    assert warehouse.take(TEAM).verdict == "accepted"
    assert warehouse.take(TEAM).verdict == "unchanged"
    assert warehouse.rows("SELECT ma_to FROM ho_tich.to_cong_tac") == [("B",)], "the old file must not come back"
    assert [(path, "removed" in why) for path, why in warehouse.intake().overlooked()] == [(stuck, True)]
    os.utime(stuck)
    assert warehouse.take(TEAM).verdict == "accepted", "touched, it is a delivery again"


def test_a_folder_that_cannot_be_read_is_said_and_stops_no_other(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse.add(contract("y-te/kin", [column("ma", required=True, primaryKey=True)], agency="SYT"))
    closed = warehouse.drop("y-te/kin", "a.csv", "ma\n1\n").parent
    warehouse.drop(TEAM, "a.csv", GOOD)
    scandir = os.scandir

    def refuse(path: os.PathLike[str]) -> object:
        if not isinstance(path, int) and Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    stale = warehouse.intake().stale()
    assert stale[TEAM] == "a delivery is waiting" and "cannot be read" in stale["y-te/kin"]
    with pytest.raises(PermissionError):
        warehouse.take("y-te/kin")
    assert warehouse.take(TEAM).verdict == "accepted"


def test_modes_of_archived_files_do_not_follow_the_sender(warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "a.csv", GOOD).chmod(0o777)
    outcome = warehouse.take(TEAM)
    kept = archive.find(warehouse.settings.archive, outcome.sha256, ".csv")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
