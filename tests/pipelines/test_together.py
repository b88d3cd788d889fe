"""What rows fail together and against the store: keys, groups, references, thresholds; and what only marks."""

import pytest

from tests.warehouse import Warehouse, column, contract, group_rule

KEY = {"required": True, "primaryKey": True}


def rules_of(warehouse: Warehouse, table: str = "quarantine") -> list[tuple]:
    return warehouse.rows(f"SELECT row_number, column_name, value, rule, error_group FROM kho.{table} ORDER BY ALL")


def severe(level: str) -> list[dict]:
    to = "../ho-tich/to-cong-tac.odcs.yaml#/schema/to_cong_tac/properties/ma_to"
    return [{"type": "foreignKey", "to": to, "customProperties": [{"property": "severity", "value": level}]}]


def test_append_takes_no_key_that_the_store_has(warehouse: Warehouse) -> None:
    warehouse.add(contract("ho-tich/so", [column("ma", **KEY), column("n", "integer")], loadMode="append"))
    warehouse.drop("ho-tich/so", "1.csv", "ma,n\nA,1\nB,2\n")
    assert warehouse.take("ho-tich/so").rows_accepted == 2
    warehouse.drop("ho-tich/so", "2.csv", "ma,n\nB,3\nC,4\nC,5\nD,6\n")
    outcome = warehouse.take("ho-tich/so")
    assert (outcome.rows_accepted, outcome.rows_quarantined, outcome.rows_total) == (2, 2, 4)
    assert rules_of(warehouse) == [(2, "ma", "B", "duplicate_key_store", "duplicate"), (4, "ma", "C", "duplicate_key", "duplicate")]
    assert warehouse.rows("SELECT * FROM ho_tich.so ORDER BY ma") == [("A", 1), ("B", 2), ("C", 4), ("D", 6)]


def test_merge_replaces_what_it_brings_again(warehouse: Warehouse) -> None:
    warehouse.add(contract("ho-tich/so", [column("ma", **KEY), column("n", "integer")], loadMode="merge"))
    for name, text in (("1.csv", "ma,n\nA,1\nB,2\n"), ("2.csv", "ma,n\nB,3\nC,4\n")):
        warehouse.drop("ho-tich/so", name, text)
        assert warehouse.take("ho-tich/so").rows_quarantined == 0
    assert warehouse.rows("SELECT * FROM ho_tich.so ORDER BY ma") == [("A", 1), ("B", 3), ("C", 4)]


@pytest.mark.parametrize("level", ["warning", "error"])
def test_a_reference_is_judged_once_its_target_was_delivered(warehouse: Warehouse, level: str) -> None:
    warehouse.add(
        contract(
            "ho-tich/so", [column("ma", **KEY), column("ma_to", relationships=severe(level))], loadMode="merge", quarantineThreshold=0.9
        )
    )
    warehouse.drop("ho-tich/so", "1.csv", "ma,ma_to\nA,T1\nB,T9\n")
    assert warehouse.take("ho-tich/so").rows_accepted == 2
    [(reading,)] = warehouse.rows("SELECT reading FROM kho.ledger")
    assert "ho-tich/to-cong-tac" in reading, "the ledger says that the reference was not judged"
    warehouse.drop("ho-tich/to-cong-tac", "1.csv", "ma_to\nT1\nT2\n")
    warehouse.take("ho-tich/to-cong-tac")
    warehouse.drop("ho-tich/so", "2.csv", "ma,ma_to\nC,T2\nD,T9\nE,\n")
    outcome = warehouse.take("ho-tich/so")
    assert outcome.rows_accepted == (3 if level == "warning" else 2)
    found = [(3, "ma_to", "T9", "reference", "broken reference")]
    assert (rules_of(warehouse), rules_of(warehouse, "marks")) == (([], found) if level == "warning" else (found, []))


def test_a_reference_of_several_columns_and_one_into_the_own_table(warehouse: Warehouse) -> None:
    warehouse.add(contract("ho-tich/cha", [column("xa", **KEY), column("so", "integer", **KEY)]))
    child = contract("ho-tich/con", [column("ma", **KEY), column("xa"), column("so", "integer"), column("cha")])
    to = [f"../ho-tich/cha.odcs.yaml#/schema/cha/properties/{c}" for c in ("xa", "so")]
    child["schema"][0]["relationships"] = [{"type": "foreignKey", "from": ["con.xa", "con.so"], "to": to}]
    child["schema"][0]["properties"][3]["relationships"] = [{"to": "../ho-tich/con.odcs.yaml#/schema/con/properties/ma"}]
    warehouse.add(child)
    warehouse.drop("ho-tich/cha", "1.csv", "xa,so\nx,1\nx,2\ny,1\n")
    warehouse.take("ho-tich/cha")
    warehouse.drop("ho-tich/con", "1.csv", "ma,xa,so,cha\nA,x,1,B\nB,y,2,\nC,x,,Z\n")
    assert warehouse.take("ho-tich/con").rows_accepted == 3
    assert [row[:4] for row in rules_of(warehouse, "marks")] == [(3, "xa, so", "y · 2", "reference"), (4, "cha", "Z", "reference")]


def test_rules_over_groups_hold_the_rows_of_the_group(warehouse: Warehouse) -> None:
    columns = [
        column("ma", **KEY),
        column("xa"),
        column("ngheo", "integer"),
        column("ho", "integer"),
        column("tu", "date"),
        column("den", "date"),
    ]
    rules = [
        group_rule("tong_khop", ["xa"], condition="sum(ngheo) <= max(ho)"),
        group_rule("khong_trung", ["xa"], noOverlap=["tu", "den"]) | {"severity": "warning"},
    ]
    warehouse.add(contract("ho-tich/nhom", columns, quality=rules))
    warehouse.drop(
        "ho-tich/nhom",
        "1.csv",
        "ma,xa,ngheo,ho,tu,den\nA,x,3,5,,\nB,x,3,5,,\nC,y,2,5,2023-01-01,2023-01-31\nD,y,2,5,2023-01-31,\nE,y,1,5,2022-01-01,2022-12-31\n",
    )
    outcome = warehouse.take("ho-tich/nhom")
    assert (outcome.rows_accepted, outcome.rows_quarantined) == (3, 2)
    assert [row[:4] for row in rules_of(warehouse)] == [(2, "xa", "x", "tong_khop"), (3, "xa", "x", "tong_khop")]
    assert [row[:4] for row in rules_of(warehouse, "marks")] == [(5, "xa", "y", "khong_trung")]


def test_a_metric_with_a_threshold_is_asked_of_the_table(warehouse: Warehouse) -> None:
    quality = [
        {"metric": "nullValues", "mustBeLessThan": 50, "unit": "percent", "name": "trong"},
        {"metric": "duplicateValues", "mustBeLessOrEqualTo": 1, "name": "trung"},
        {"metric": "invalidValues", "arguments": {"validValues": ["a", "b"]}, "mustBeBetween": [0, 1], "name": "la"},
        {"type": "sql", "query": "SELECT count(${column}) FROM ${table}", "mustBeGreaterThan": 2, "name": "du", "description": "Đủ"},
    ]
    warehouse.add(contract("ho-tich/bang", [column("ma", **KEY), column("x", quality=quality)]))
    warehouse.drop("ho-tich/bang", "1.csv", "ma,x\nA,a\nB,\nC,a\nD,a\nE,c\n")
    assert {c.name: c.violations for c in warehouse.take("ho-tich/bang").checks} == {"trong": 0, "trung": 2, "la": 0, "du": 0}
    warehouse.drop("ho-tich/bang", "2.csv", "ma,x\nA,\nB,\nC,c\nD,d\n")
    assert {c.name: c.violations for c in warehouse.take("ho-tich/bang").checks} == {"trong": 2, "trung": 0, "la": 2, "du": 1}
