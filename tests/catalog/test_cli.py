"""The command line as scripts and people use it: exit codes, JSON, and messages that say what to do next."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest
from typer.testing import CliRunner, Result

from catalog.cli import app
from tests.warehouse import Warehouse, column, contract

TEAM = "ho-tich/to-cong-tac"
COMMANDS = (
    "up",
    "run",
    "serve",
    "status",
    "check",
    "quality",
    "register",
    "samples",
    "search",
    "show",
    "sql",
    "rejects",
    "sources",
    "token",
)


@pytest.fixture
def kho(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KHO_HOME", str(warehouse.settings.home))
    monkeypatch.setenv("KHO_REGISTER", str(warehouse.settings.register))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.delenv("KHO_DAGSTER", raising=False)

    def run(*words: str) -> Result:
        try:
            return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
        finally:  # what `kho run` set for its own process would outlive the test
            os.environ.pop("DAGSTER_HOME", None)
            os.environ.pop("KHO_DAGSTER", None)

    return run


def test_help_names_every_command_and_each_explains_itself(kho) -> None:
    said = kho("--help").stdout
    for name in COMMANDS:
        assert name in said
        own = kho(name, "--help")
        assert own.exit_code == 0 and "Usage" in own.stdout and len(own.stdout.splitlines()) > 8


def test_quality_says_what_is_not_met_and_what_to_do(kho, warehouse: Warehouse) -> None:
    assert kho("quality").exit_code == 2, "nothing was ever stored"
    warehouse.drop(TEAM, "a.csv", "ma_to,loai\nA,Xã\nB,Phường\nC,Xã\n")
    kho("run")
    good = kho("quality", TEAM, "--json")
    assert good.exit_code == 0
    assert {r["name"]: r["passed"] for r in json.loads(good.stdout)}["freshness"] is True
    warehouse.drop(TEAM, "b.csv", "ma_to,loai\nA,Xã\n")
    kho("run")
    bad = kho("quality")
    assert bad.exit_code == 1 and "volume" in bad.stdout and "-66.7%" in bad.stdout and "deliver again" in bad.stdout
    assert kho("quality", "ho-tich/khong-co").exit_code == 2


def test_run_says_what_happened_in_words_json_and_exit_code(kho, warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "a.csv", "ma_to,loai\nA,Xã\nB,Phường\n")
    good = kho("run", "--json")
    assert good.exit_code == 0
    [outcome] = json.loads(good.stdout)["outcomes"]
    assert (outcome["verdict"], outcome["rows_accepted"], outcome["release"]) == ("accepted", 2, 1)
    again = kho("run")
    assert again.exit_code == 0 and "1 unchanged" in again.stderr
    assert "nothing to do" in kho("run", "--stale").stderr
    warehouse.drop(TEAM, "b.csv", "ma_to,loai\nA,Sai\nB,Phường\n")
    partial = kho("run", TEAM)
    assert partial.exit_code == 1 and "1 held back" in partial.stderr and "không có trong danh mục" in partial.stderr
    warehouse.drop(TEAM, "c.csv", "khac\n1\n")
    refused = kho("run", "--agency", "STP", "--json")
    assert refused.exit_code == 1
    [outcome] = json.loads(refused.stdout)["outcomes"]
    assert outcome["verdict"] == "refused" and {r["rule"] for r in outcome["reasons"]} == {"missing_column", "unknown_column"}
    assert json.loads(kho("run", "--domain", "ho-tich", "--json").stdout)["outcomes"][0]["verdict"] == "unchanged"


def test_a_broken_system_has_its_own_exit_code_and_stops_no_other(kho, warehouse: Warehouse) -> None:
    warehouse.add(contract("ho-tich/hong", [column("x", primaryKey=True)]), sql="SELECT error('đĩa hỏng') AS x")
    warehouse.drop(TEAM, "a.csv", "ma_to,loai\nA,Xã\n")
    done = kho("run", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 3 and "đĩa hỏng" in told["broken"]["ho-tich/hong"]
    assert [o["verdict"] for o in told["outcomes"]] == ["accepted"]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("run", "ho-tich/to-cong-tc"), f"Did you mean {TEAM}"),
        (("show", "xyz"), "There is no dataset xyz"),
        (("run", "--domain", "xyz"), "There is no domain xyz"),
        (("run", "--agency", "xyz"), "There is no agency xyz"),
        (("samples", "xyz"), "There is no dataset xyz"),
        (("check", "/khong/co.yaml"), "No such file"),
        (("register",), "Name a sample FILE"),
        (("register", "/khong/co.csv", "--id", "a/b"), "No such file"),
        (("sql", "SELECT 1"), "kho run"),
    ],
)
def test_a_mistaken_command_says_what_to_do(kho, words: tuple[str, ...], hint: str) -> None:
    done = kho(*words)
    assert done.exit_code == 2 and hint in done.stderr and "Traceback" not in done.stderr


def test_check_explains_and_its_exit_code_tells(kho, warehouse: Warehouse) -> None:
    assert kho("check").exit_code == 0
    warehouse.add(contract("ho-tich/sai", [column("x", "strng", primaryKey=True)]))
    done = kho("check")
    assert done.exit_code == 1 and "sai.odcs.yaml:" in done.stdout and "did you mean `string`" in done.stdout
    [problem] = json.loads(kho("check", "--json").stdout)
    assert problem["line"] > 1 and problem["fix"]
    assert kho("check", str(warehouse.settings.register / f"{TEAM}.odcs.yaml")).exit_code == 0, "only the named file is reported on"
    run = kho("run")
    assert run.exit_code == 1 and "kho check" in run.stderr, "nothing runs with a mistaken register"


def test_register_drafts_a_contract_and_check_lists_it(kho, warehouse: Warehouse, tmp_path: Path) -> None:
    sample = tmp_path / "mau.csv"
    sample.write_text("ma,ten\nA,Một\nB,Hai\n", encoding="utf-8")
    done = kho("register", str(sample), "--id", "ho-tich/moi", "--agency", "STP")
    assert done.exit_code == 0 and "2 of 2 rows would be accepted" in done.stderr
    assert "draft ho-tich/moi: no mistakes" in kho("check").stderr
    again = kho("register", str(sample), "--id", "ho-tich/moi")
    assert again.exit_code == 1 and "exists already" in again.stderr
    inventory = tmp_path / "kiem-ke.csv"
    inventory.write_text("ten,don_vi\nBệnh viện,SYT\nTrạm y tế,SYT\n", encoding="utf-8")
    done = kho("register", "--inventory", str(inventory))
    assert done.exit_code == 0 and "2 draft(s) written" in done.stderr
    assert {p.name for p in (warehouse.settings.register / "syt").iterdir()} == {"benh-vien.odcs.yaml", "tram-y-te.odcs.yaml"}


def test_looking_works_for_people_and_machines(kho, warehouse: Warehouse) -> None:
    before = json.loads(kho("status", "--json").stdout)
    assert [(r["dataset"], r["release"]) for r in before] == [(TEAM, None)]
    warehouse.drop(TEAM, "a.csv", "ma_to,loai\nA,Xã\n")
    assert json.loads(kho("status", "--json").stdout)[0]["waiting"]
    kho("run")
    assert TEAM in kho("status").stdout
    shown = json.loads(kho("show", TEAM, "--json").stdout)
    assert shown["rows"] == 1 and [c["name"] for c in shown["columns"]][:2] == ["ma_to", "loai"]
    assert kho("show", "ho_tich.to_cong_tac").exit_code == 0, "its SQL name is a name too"
    assert json.loads(kho("search", "to", "cong", "tac", "--json").stdout)[0]["dataset"] == TEAM
    nothing = kho("search", "zzzzqqq")
    assert nothing.exit_code == 1 and "nothing found" in nothing.stderr


def test_sql_reads_the_store_and_never_writes_it(kho, warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.drop(TEAM, "a.csv", "ma_to,loai,tu_ngay\nA,Xã,2023-01-02\n")
    kho("run")
    assert json.loads(kho("sql", "--json", "SELECT ma_to, tu_ngay FROM ho_tich.to_cong_tac").stdout) == [
        {"ma_to": "A", "tu_ngay": "2023-01-02"}
    ]
    assert "ma_to" in kho("sql", "SELECT ma_to FROM ho_tich.to_cong_tac").stdout
    own = tmp_path / "own.csv"
    own.write_text("a\n1\n")
    assert kho("sql", f"SELECT * FROM '{own}'").exit_code == 0, "an operator may join a file of his own"
    for query in (
        "DELETE FROM ho_tich.to_cong_tac", "CREATE TABLE ho_tich.x AS SELECT 1", "DROP TABLE ho_tich.to_cong_tac", "SELEC 1",
        "INSERT INTO kho.ledger SELECT * FROM kho.ledger", "SELECT * FROM khong.co",
    ):  # fmt: skip
        done = kho("sql", query)
        assert done.exit_code == 2 and done.stderr.strip() and "Traceback" not in done.stderr, query
    assert warehouse.rows("SELECT count(*) FROM ho_tich.to_cong_tac") == [(1,)]
    # Into a real file that holds something already: CSV for other programs.
    target = tmp_path / "target.csv"
    with target.open("w") as sink:
        sink.write("first\n")
        sink.flush()
        query = "SELECT ma_to, loai, NULL AS trong, true AS co FROM ho_tich.to_cong_tac"
        subprocess.run([sys.executable, "-m", "catalog.cli", "sql", "--csv", query], stdout=sink, check=True)
    assert target.read_text(encoding="utf-8") == 'first\n"ma_to","loai","trong","co"\n"A","Xã",,true\n'


def test_samples_are_made_labelled_and_taken_in(kho, warehouse: Warehouse) -> None:
    done = kho("samples", TEAM)
    assert done.exit_code == 0 and "1 synthetic deliveries" in done.stderr
    [file] = (warehouse.settings.drop / TEAM).iterdir()
    assert "synthetic" in file.name
    assert kho("run").exit_code in (0, 1)
    assert warehouse.rows("SELECT synthetic FROM kho.ledger") == [(True,)]


def test_up_refuses_a_port_in_use_before_it_starts_anything(kho, warehouse: Warehouse) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        done = kho("up", "--port", str(listener.getsockname()[1]))
    assert done.exit_code == 2 and "in use" in done.stderr and "--port" in done.stderr
    assert not warehouse.settings.drop.exists()


def test_sql_writes_no_formula_into_a_csv(kho, warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.drop(TEAM, "a.csv", "ma_to,loai\n=1+1,Xã\n-5,Xã\n")
    warehouse.take(TEAM)
    target = tmp_path / "x.csv"
    with target.open("w") as sink:
        query = "SELECT ma_to AS a, loai AS a, 1 AS n FROM ho_tich.to_cong_tac ORDER BY 1"
        subprocess.run([sys.executable, "-m", "catalog.cli", "sql", "--csv", query], stdout=sink, check=True)
    assert target.read_text(encoding="utf-8") == '"a","a","n"\n"-5","Xã",1\n"\'=1+1","Xã",1\n'


def test_rejects_explains_writes_the_fix_sheet_and_takes_it_in(kho, warehouse: Warehouse, tmp_path: Path) -> None:
    assert kho("rejects").exit_code == 2, "no store yet"
    warehouse.drop(TEAM, "a.csv", "ma_to,loai,so_nguoi\nA,Xã,5\nB,=Xóm,5\nC,Xã,năm\n" + "".join(f"D{n},Xã,1\n" for n in range(5)))
    kho("run")
    assert "2 " in kho("rejects").stdout and TEAM in kho("rejects").stdout
    said = kho("rejects", TEAM)
    assert said.exit_code == 0
    for word in ("2 of 8 rows held", "không có trong danh mục", "not in the list", "=Xóm", "wrong format", "--xlsx"):
        assert word in said.stdout + said.stderr, word
    told = json.loads(kho("rejects", TEAM, "--json").stdout)
    assert told["open_rows"] == 2 and {f["rule"] for f in told["faults"]} == {"closed_list", "type"} and told["groups"]
    listed, sheet = tmp_path / "loi.csv", tmp_path / "sua.xlsx"
    assert kho("rejects", TEAM, "--csv", str(listed), "--xlsx", str(sheet), "--delivery", told["delivery_id"][:6]).exit_code == 0
    text = listed.read_text(encoding="utf-8-sig")
    assert text.splitlines()[0].startswith('"row_number","column_name","value"') and '"\'=Xóm"' in text
    book = openpyxl.load_workbook(sheet)
    for row in book.worksheets[0].iter_rows(min_row=3):
        row[4].value, row[7].value = "Xã", "5"
    book.save(sheet)
    done = kho("rejects", TEAM, "--submit", str(sheet))
    assert done.exit_code == 0 and "1 accepted" in done.stderr, done.stderr
    assert warehouse.rows("SELECT count(*) FROM ho_tich.to_cong_tac") == [(8,)]
    assert "No rows" in kho("rejects", TEAM).stderr and "Nothing waits" in kho("rejects").stderr
    for words in (("rejects", TEAM, "--delivery", "zzz"), ("rejects", "--csv", "x"), ("rejects", TEAM, "--submit", "/khong/co"),
                  ("rejects", TEAM, "--set-aside")):  # fmt: skip
        assert kho(*words).exit_code in (0, 2) and "Traceback" not in kho(*words).stderr


def test_rejects_are_set_aside_and_opened_again(kho, warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "a.csv", "ma_to,loai\nA,Xã\nB,Xóm\n")
    warehouse.take(TEAM)
    [delivery] = json.loads(kho("rejects", "--json").stdout)
    assert kho("rejects", TEAM, "--set-aside", "--delivery", delivery["delivery_id"][:8]).exit_code == 0
    assert json.loads(kho("rejects", "--json").stdout) == []
    assert kho("rejects", TEAM, "--reopen", "--delivery", delivery["delivery_id"][:8]).exit_code == 0
    assert json.loads(kho("rejects", "--json").stdout)[0]["open_rows"] == 1
