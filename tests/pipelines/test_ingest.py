"""The way of a delivery, seen from outside: files in, the store read by plain DuckDB."""

import json
from dataclasses import replace

import pytest

from pipelines.contract import load_register
from pipelines.store import SchemaChangeRefused, connect
from tests.warehouse import TEAMS, Warehouse, column, contract

TEAM = "ho-tich/to-cong-tac"
HEADER = "ma_to,loai,tu_ngay,den_ngay,so_nguoi,ty_le\n"
GOOD = HEADER + "A1,Xã,2023-01-01,2023-02-01,5,12.5\nA2,Phường,01/03/2023,,7,\n"


def test_a_good_file_becomes_a_release(warehouse: Warehouse) -> None:
    file = warehouse.drop(TEAM, "to.synthetic.csv", GOOD)
    outcome = warehouse.take(TEAM)
    assert (outcome.verdict, outcome.release, outcome.rows_total, outcome.synthetic) == ("accepted", 1, 2, True)
    assert not file.exists()
    rows = warehouse.rows("SELECT ma_to, CAST(tu_ngay AS VARCHAR), so_nguoi FROM ho_tich.to_cong_tac ORDER BY 1")
    assert rows == [("A1", "2023-01-01", 5), ("A2", "2023-03-01", 7)]
    archived = warehouse.settings.archive / outcome.sha256[:2] / f"{outcome.sha256}.csv"
    assert archived.read_text(encoding="utf-8") == GOOD


def test_broken_rows_are_quarantined_with_place_and_reason(warehouse: Warehouse) -> None:
    bad = (
        "B1,Tỉnh,2023-01-01,2023-02-01,5,1\n"  # not in the closed list
        "B2,Xã,2023-02-30,,5,1\n"  # no such day
        ",Xã,,,1,1\n"  # no key
        "A1,Xã,,,1,1\n"  # key of the first row
        "B3,Xã,2023-05-01,2023-04-01,101,mười\n"  # order of dates, maximum, not a number
    )
    warehouse.drop(TEAM, "to.csv", GOOD + "C1,Xã,,,,\nC2,Xã,,,,\nC3,Xã,,,,\n" + bad)
    outcome = warehouse.take(TEAM)
    assert (outcome.verdict, outcome.rows_read, outcome.rows_accepted, outcome.rows_quarantined) == ("partial", 10, 5, 5)
    held = warehouse.rows("SELECT row_number, column_name, rule, value, reason_vi FROM kho.quarantine ORDER BY ALL")
    assert [(n, c, r) for n, c, r, _, _ in held] == [
        (7, "loai", "closed_list"),
        (8, "tu_ngay", "type"),
        (9, "ma_to", "required"),
        (10, "ma_to", "duplicate_key"),
        (11, "", "thu_tu_ngay"),
        (11, "so_nguoi", "maximum"),
        (11, "ty_le", "type"),
    ]
    assert held[0][3] == "Tỉnh" and held[1][3] == "2023-02-30" and held[5][3] == "101"
    assert all(reason for *_, reason in held)


def test_a_mostly_wrong_file_is_refused_and_the_last_release_stays(warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "1.csv", GOOD)
    warehouse.take(TEAM)
    warehouse.drop(TEAM, "2.csv", HEADER + "".join(f"X{i},Sai,,,,\n" for i in range(9)) + "Y,Xã,,,,\n")
    outcome = warehouse.take(TEAM)
    assert outcome.verdict == "refused" and outcome.release is None
    assert {r.rule for r in outcome.reasons} == {"threshold", "closed_list"}
    assert warehouse.rows("SELECT count(*) FROM ho_tich.to_cong_tac") == [(2,)]
    assert warehouse.rows("SELECT outcome, release FROM kho.ledger ORDER BY finished_at") == [("accepted", 1), ("refused", None)]


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("missing.csv", "loai,so_nguoi\nXã,1\n", "missing_column"),
        ("unknown.csv", "ma_to,so_ngoui\nA,1\n", "unknown_column"),
        ("empty.csv", "", "unreadable"),
        ("header.csv", HEADER, "empty"),
        ("nonsense.xlsx", b"not a zip file", "unreadable"),
        ("nonsense.json", "{{{", "unreadable"),
        ("nonsense.xml", "<a><b></a>", "unreadable"),
        ("picture.png", b"\x89PNG", "unreadable"),
        ("binary.csv", bytes(range(256)) * 10, "unreadable"),
    ],
)
def test_a_delivery_that_cannot_be_read_is_refused_with_a_reason(warehouse: Warehouse, name: str, content: str, rule: str) -> None:
    warehouse.drop(TEAM, name, content)
    outcome = warehouse.take(TEAM)
    assert outcome.verdict == "refused"
    assert rule in {r.rule for r in outcome.reasons}
    assert all(r.vi and r.en for r in outcome.reasons)
    assert not any(outcome.sha256 in r.vi + r.en or str(warehouse.settings.home) in r.vi + r.en for r in outcome.reasons)


def test_utf_16_is_read_and_other_encodings_are_named_wherever_they_show(warehouse: Warehouse) -> None:
    text = HEADER + "A,Xã,,,,\nB,Phường,,,,\n"
    for n, encoding in enumerate(("utf-8-sig", "utf-16")):
        warehouse.drop(TEAM, f"{n}.csv", text.encode(encoding))
        assert (outcome := warehouse.take(TEAM)).rows_accepted == 2, (encoding, outcome.reasons)
    assert warehouse.rows("SELECT ma_to, loai FROM ho_tich.to_cong_tac ORDER BY ma_to") == [("A", "Xã"), ("B", "Phường")]
    late = HEADER + "".join(f"T{n},Xã,,,,\n" for n in range(200_000))
    for n, content in enumerate((HEADER.encode() + b"A,X\xe3,,,,\n", late.encode() + b"Z,X\xe3,,,,\n")):
        warehouse.drop(TEAM, f"cp-{n}.csv", content)
        [reason] = warehouse.take(TEAM).reasons
        assert "CSV UTF-8" in reason.vi and "CSV UTF-8" in reason.en


def test_a_misspelt_column_is_named_with_the_nearest(warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "a.csv", "ma_to,so_ngoui\nA,1\n")
    [reason] = warehouse.take(TEAM).reasons
    assert "so_nguoi" in reason.vi and "so_ngoui" in reason.vi


def test_the_same_bytes_twice_are_a_recorded_no_op(warehouse: Warehouse) -> None:
    for _ in range(2):
        warehouse.drop(TEAM, "a.csv", GOOD)
        outcome = warehouse.take(TEAM)
    assert outcome.verdict == "duplicate"
    assert warehouse.rows("SELECT outcome, release FROM kho.ledger ORDER BY finished_at") == [("accepted", 1), ("duplicate", None)]
    assert warehouse.take(TEAM).verdict == "unchanged"


def test_an_older_file_sent_again_brings_its_rows_back(warehouse: Warehouse) -> None:
    for content in (GOOD, HEADER + "Z,Xã,,,,\n", GOOD):
        warehouse.drop(TEAM, "a.csv", content)
        outcome = warehouse.take(TEAM)
    assert (outcome.verdict, outcome.release, outcome.rows_total) == ("accepted", 3, 2)


def test_headers_match_by_title_and_without_accents(warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "a.csv", "Mã tổ;LOAI;Tu ngay;Đến ngày;Số người;Tỷ lệ\nA;Xã;;;3;\n")
    assert warehouse.take(TEAM).verdict == "accepted"


def test_json_and_xml_carry_the_same_rows(warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "a.json", json.dumps([{"ma_to": "007", "loai": "Xã", "so_nguoi": 4, "tu_ngay": "2023-01-01"}]))
    assert warehouse.take(TEAM).verdict == "accepted"
    assert warehouse.rows("SELECT ma_to, so_nguoi FROM ho_tich.to_cong_tac") == [("007", 4)]
    warehouse.drop(TEAM, "a.xml", "<rows><row><ma_to>008</ma_to><so_nguoi>5</so_nguoi></row></rows>")
    assert warehouse.take(TEAM).verdict == "accepted"
    assert warehouse.rows("SELECT ma_to, so_nguoi FROM ho_tich.to_cong_tac") == [("008", 5)]


def test_merge_keeps_what_is_not_sent_again(warehouse: Warehouse) -> None:
    warehouse.add(contract("ho-tich/so", [column("ma", required=True, primaryKey=True), column("x", "integer")], loadMode="merge"))
    for content in ("ma,x\na,1\nb,2\n", "ma,x\nb,3\nc,4\n"):
        warehouse.drop("ho-tich/so", "a.csv", content)
        warehouse.take("ho-tich/so")
    assert warehouse.rows("SELECT * FROM ho_tich.so ORDER BY ma") == [("a", 1), ("b", 3), ("c", 4)]


def test_snapshot_replaces_only_the_periods_sent(warehouse: Warehouse) -> None:
    columns = [column("ky", semantic="ky_thang", required=True, primaryKey=True), column("x", "integer")]
    warehouse.add(contract("ho-tich/ky", columns, loadMode="snapshot"))
    for content in ("ky,x\n202301,1\n202302,2\n", "ky,x\n202302,9\n202303,3\n"):
        warehouse.drop("ho-tich/ky", "a.csv", content)
        warehouse.take("ho-tich/ky")
    assert warehouse.rows("SELECT * FROM ho_tich.ky ORDER BY ky") == [("202301", 1), ("202302", 9), ("202303", 3)]


def test_append_adds_and_takes_the_same_bytes_once(warehouse: Warehouse) -> None:
    warehouse.add(contract("ho-tich/log", [column("ma", required=True, primaryKey=True)], loadMode="append"))
    for content in ("ma\na\n", "ma\nb\n", "ma\na\n"):
        warehouse.drop("ho-tich/log", "a.csv", content)
        warehouse.take("ho-tich/log")
    assert warehouse.rows("SELECT ma FROM ho_tich.log ORDER BY ma") == [("a",), ("b",)]


def test_a_changed_rule_judges_the_last_delivery_again(warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "a.csv", GOOD + "A3,Xã,,,90,\n")
    warehouse.take(TEAM)
    stricter = json.loads(json.dumps(TEAMS))
    stricter["schema"][0]["properties"][4]["logicalTypeOptions"]["maximum"] = 50
    warehouse.add(stricter)
    outcome = warehouse.take(TEAM)
    assert (outcome.verdict, outcome.release, outcome.rows_total) == ("partial", 2, 2)


def test_a_new_column_is_added_and_a_changed_type_is_refused(warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "a.csv", GOOD)
    warehouse.take(TEAM)
    wider = json.loads(json.dumps(TEAMS))
    wider["schema"][0]["properties"].append(column("ghi_chu"))
    warehouse.add(wider)
    assert warehouse.take(TEAM).release == 2
    wider["schema"][0]["properties"][0]["logicalType"] = "integer"
    warehouse.add(wider)
    warehouse.drop(TEAM, "b.csv", "ma_to\n1\n")
    with pytest.raises(SchemaChangeRefused, match="ma_to"):
        warehouse.take(TEAM)


def test_derived_datasets_follow_their_sources(warehouse: Warehouse) -> None:
    columns = [column("loai", required=True, primaryKey=True), column("so_to", "integer")]
    query = "SELECT loai, count(*) AS so_to FROM ho_tich.to_cong_tac GROUP BY loai"
    check = {
        "name": "du",
        "type": "sql",
        "description": "Thiếu",
        "mustBe": 0,
        "query": "SELECT count(*) FROM ho_tich.thong_ke WHERE so_to > 5",
    }
    warehouse.add(contract("ho-tich/thong-ke", columns, quality=[check]), sql=query)
    register = load_register(warehouse.settings.register)
    assert register.upstream == {"ho-tich/thong-ke": (TEAM,)}
    warehouse.drop(TEAM, "a.synthetic.csv", GOOD)
    warehouse.take(TEAM)
    outcome = warehouse.take("ho-tich/thong-ke")
    assert outcome.verdict == "accepted" and outcome.synthetic and [c.passed for c in outcome.checks] == [True]
    assert warehouse.take("ho-tich/thong-ke").verdict == "unchanged"
    warehouse.drop(TEAM, "b.csv", HEADER + "".join(f"Q{i},Xã,,,,\n" for i in range(6)))
    warehouse.take(TEAM)
    assert [c.violations for c in warehouse.take("ho-tich/thong-ke").checks] == [1]


def test_the_snapshot_says_what_made_it(warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "a.csv", GOOD)
    outcome = warehouse.take(TEAM)
    info = warehouse.rows("SELECT commit_extra_info FROM lake.snapshots() ORDER BY snapshot_id DESC LIMIT 1")[0][0]
    assert json.loads(info) == {"run": "test", "dataset": TEAM, "delivery": outcome.delivery_id, "sha256": outcome.sha256}


def test_a_derived_dataset_waits_for_its_first_source_and_is_refused_only_once(warehouse: Warehouse) -> None:
    warehouse.add(
        contract("ho-tich/tong-so", [column("loai", primaryKey=True), column("so", "integer", logicalTypeOptions={"maximum": 5})]),
        sql="SELECT loai, sum(so_nguoi) AS so FROM ho_tich.to_cong_tac GROUP BY loai",
    )
    assert warehouse.take("ho-tich/tong-so").verdict == "unchanged", "nothing to compute from is no refusal"
    warehouse.drop("ho-tich/to-cong-tac", "a.csv", "ma_to,loai,so_nguoi\nA,Xã,9\n")
    warehouse.take("ho-tich/to-cong-tac")
    assert [warehouse.take("ho-tich/tong-so").verdict for _ in range(2)] == ["refused", "unchanged"]
    assert warehouse.rows("SELECT count(*) FROM kho.ledger WHERE dataset = 'ho-tich/tong-so'") == [(1,)]


def test_a_warehouse_that_was_moved_is_read_and_written_where_it_is(warehouse: Warehouse) -> None:
    warehouse.drop(TEAM, "a.csv", GOOD)
    warehouse.take(TEAM)
    moved = Warehouse(replace(warehouse.settings, home=warehouse.settings.home.rename(warehouse.settings.home.with_name("restored"))))
    before = moved.rows("SELECT * FROM ho_tich.to_cong_tac ORDER BY ma_to")
    assert len(before) == 2 and before[0][0]
    moved.drop(TEAM, "b.csv", "ma_to,loai\nZ,Xã\n")
    assert moved.take(TEAM).release == 2
    assert moved.rows("SELECT ma_to FROM ho_tich.to_cong_tac") == [("Z",)]
    with connect() as plain:  # as docs/run.md tells other programs
        home = moved.settings.home
        plain.execute(
            f"ATTACH 'ducklake:sqlite:{home}/store/catalogue.sqlite' AS kho (DATA_PATH '{home}/store/data/', OVERRIDE_DATA_PATH true, READ_ONLY)"
        )
        assert plain.execute("SELECT ma_to FROM kho.ho_tich.to_cong_tac").fetchall() == [("Z",)]
        [(first,)] = plain.execute("SELECT min(snapshot_id) FROM kho.snapshots() WHERE commit_message LIKE 'ho-tich/%'").fetchall()
        assert plain.execute(f"SELECT * FROM kho.ho_tich.to_cong_tac AT (VERSION => {first}) ORDER BY ma_to").fetchall() == before
