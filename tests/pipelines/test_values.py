"""How a column writes its numbers, dates and codes: decided with evidence, put right with a mark, held back where nothing decides."""

import json
import math
import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contract import Contract, load_register
from pipelines.gate import judge
from pipelines.gate.units import worth
from tests.warehouse import Warehouse, column, contract, make_warehouse

CODES = ["27694", "00001", "27712"]


def made(folder: Path, columns: list[dict[str, Any]], **facts: Any) -> Contract:
    warehouse = make_warehouse(folder)
    types = warehouse.settings.register / "semantic-types.yaml"
    types.write_text(
        types.read_text(encoding="utf-8")
        + f"xa: {{vi: Xã, en: Commune, type: string, pattern: '[0-9]{{5}}', values: {json.dumps(CODES)}}}\n"
        + "cccd: {vi: Số, en: Number, type: string, pattern: '[0-9]{12}', personal: basic}\n",
        encoding="utf-8",
    )
    key = column("ma", required=True, primaryKey=True)
    warehouse.add(contract("ho-tich/so", [key, *columns], personalData="basic", **{"quarantineThreshold": 1, **facts}))
    return load_register(warehouse.settings.register).contracts["ho-tich/so"]


class Judged:
    """What the gate made of a CSV with a running key and the given columns."""

    def __init__(self, contract: Contract, folder: Path, names: list[str], rows: list[tuple[str, ...]], delimiter: str = ";") -> None:
        file = folder / "a.csv"
        lines = [delimiter.join(["ma", *names]), *(delimiter.join([f"k{n}", *row]) for n, row in enumerate(rows))]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        with duckdb.connect() as connection:
            self.judgement = judge(connection, contract, file, folder / "staged")
            ask = lambda sql: connection.execute(sql).fetchall() if sql else []
            accepted = self.judgement.numbered or self.judgement.accepted
            self.rows = [row[2:] for row in ask(f"SELECT * FROM ({accepted}) ORDER BY row_number")] if self.judgement.accepted else []
            self.held = sorted((n, c, r) for n, c, _, r, *_ in ask(self.judgement.quarantine))
            self.marks = sorted((n, c, v, r) for n, c, v, r, *_ in ask(self.judgement.marks))
            self.decisions = {d.what: d.value for d in self.judgement.decisions}

    @property
    def values(self) -> list[Any]:
        return [row[0] for row in self.rows]


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1.234.567,8", "12,5", "1.234"], [1234567.8, 12.5, 1234]),  # comma evidence: 1.234 is thousands
        (["1,234,567.8", "12.5", "1,234"], [1234567.8, 12.5, 1234]),  # point evidence
        (["12.5", "1.234", "0.125"], [12.5, 1.234, 0.125]),
        (["12,5", "1,234", "0,125"], [12.5, 1.234, 0.125]),
        (["1 234 567", "12,5", "-7"], [1234567, 12.5, -7]),
        (["5", "17", "+3"], [5, 17, 3]),
    ],
)
def test_a_column_of_numbers_is_read_by_its_own_evidence(tmp_path: Path, texts: list[str], numbers: list[float]) -> None:
    judged = Judged(made(tmp_path, [column("so", "number")]), tmp_path, ["so"], [(t,) for t in texts])
    assert [float(v) for v in judged.values] == numbers and not judged.held


def test_what_no_value_of_the_column_decides_is_held_not_guessed(tmp_path: Path) -> None:
    contract = made(tmp_path, [column("so", "number")])
    judged = Judged(contract, tmp_path, ["so"], [("1.234",), ("5",), ("2.500",)])
    assert judged.held == [(2, "so", "ambiguous_number"), (4, "so", "ambiguous_number")]
    assert [float(v) for v in judged.values] == [5] and judged.decisions["so: decimal mark"] == "not known"
    pinned = made(tmp_path / "pinned", [column("so", "number")], reading={"decimal": ","})
    assert [float(v) for v in Judged(pinned, tmp_path, ["so"], [("1.234",), ("5",), ("2.500",)]).values] == [1234, 5, 2500]


def test_evidence_that_comes_late_counts_for_the_whole_column(tmp_path: Path) -> None:
    rows = [("1.234",), *[("7",)] * 25_000, ("1.234,5",)]
    judged = Judged(made(tmp_path, [column("so", "number")]), tmp_path, ["so"], rows)
    assert (float(judged.values[0]), float(judged.values[-1]), judged.held) == (1234, 1234.5, [])


def test_whole_numbers_have_thousands_and_no_other_decimals_than_zeros(tmp_path: Path) -> None:
    judged = Judged(made(tmp_path, [column("so", "integer")]), tmp_path, ["so"], [("1.234",), ("5.000",), ("12,0",), ("12,6",), ("ba",)])
    assert judged.values == [1234, 5000, 12]
    assert judged.held == [(5, "so", "type"), (6, "so", "type")]


@pytest.mark.parametrize(
    ("texts", "days", "said"),
    [
        (["13/04/2023", "03/04/2023"], ["2023-04-13", "2023-04-03"], "day first"),
        (["04/13/2023", "04/03/2023"], ["2023-04-13", "2023-04-03"], "month first"),
        (["03-04-2023", "2023-04-05"], ["2023-04-03", "2023-04-05"], "day first"),
        (["45029", "2023-04-13"], ["2023-04-13", "2023-04-13"], None),
        (["13.4.2023", "2023-04-13 00:00:00"], ["2023-04-13", "2023-04-13"], "day first"),
    ],
)
def test_a_column_of_dates_is_read_by_its_own_evidence(tmp_path: Path, texts: list[str], days: list[str], said: str | None) -> None:
    judged = Judged(made(tmp_path, [column("ngay", "date")]), tmp_path, ["ngay"], [(t,) for t in texts])
    assert [str(v) for v in judged.values] == days
    assert judged.decisions.get("ngay: order of dates") == said


def test_dates_that_a_locale_turned_round_are_turned_back_and_marked(tmp_path: Path) -> None:
    days = [date(2023, 4, 1) + timedelta(n) for n in range(30)]
    # A spreadsheet with month-first settings made dates of what it could, the wrong ones, and left the rest as text.
    texts = [f"{d.year}-{d.day:02}-{d.month:02}" if d.day <= 12 else f"{d:%d/%m/%Y}" for d in days]
    judged = Judged(made(tmp_path, [column("ngay", "date")]), tmp_path, ["ngay"], [(t,) for t in texts])
    assert judged.values == days and judged.decisions["ngay: order of dates"] == "swapped back"
    assert [m[2] for m in judged.marks] == texts[:12] and {m[3] for m in judged.marks} == {"swapped_date"}


def test_codes_of_missing_data_become_empty_with_the_reason_kept(tmp_path: Path) -> None:
    columns = [column("so", "integer"), column("ghi_chu"), column("co", "boolean"), column("bat_buoc", required=True)]
    contract = made(tmp_path, columns, reading={"missingCodes": {"k.s": "không khảo sát"}})
    rows = [("-", "-", "x", "a"), ("x", "CHUA_NHAP", "", "b"), ("k.s", "k.s", "không", "c"), ("1", "d", "1", "KHONG_RO")]
    judged = Judged(contract, tmp_path, ["so", "ghi_chu", "co", "bat_buoc"], rows)
    assert judged.rows == [(None, "-", True, "a"), (None, None, None, "b"), (None, None, False, "c")]
    assert judged.held == [(5, "bat_buoc", "required")]
    assert [(n, c, v) for n, c, v, r in judged.marks if r == "missing_code"] == [
        (2, "so", "-"), (3, "ghi_chu", "CHUA_NHAP"), (3, "so", "x"), (4, "ghi_chu", "k.s"), (4, "so", "k.s"),
    ]  # fmt: skip


def test_eaten_zeros_come_back_only_where_the_length_is_fixed(tmp_path: Path) -> None:
    columns = [column("xa", semantic="xa"), column("cccd", semantic="cccd"), column("so")]
    rows = [("1", "80190000123", "007"), ("27694", "1190000123", "7"), ("2", "190000123", "07")]
    judged = Judged(made(tmp_path, columns), tmp_path, ["xa", "cccd", "so"], rows)
    assert judged.rows == [("00001", "080190000123", "007"), ("27694", "001190000123", "7")]
    assert {(c, r) for _, c, r in judged.held} == {("xa", "closed_list"), ("cccd", "pattern")}
    assert {(n, c, v) for n, c, v, r in judged.marks if r == "restored_zero"} == {
        (2, "xa", "1"), (2, "cccd", "80190000123"), (3, "cccd", "1190000123"),
    }  # fmt: skip


def test_an_error_of_a_spreadsheet_is_no_text(tmp_path: Path) -> None:
    judged = Judged(made(tmp_path, [column("ten")]), tmp_path, ["ten"], [("#REF!",), ("# 5",)])
    assert judged.held == [(2, "ten", "error_cell")] and judged.values == ["# 5"]


@pytest.mark.parametrize(
    ("unit", "dong"),
    [("triệu đồng", 10**6), ("Nghìn đồng", 10**3), ("ngàn đồng", 10**3), ("tỷ đồng", 10**9), ("nghìn tỷ đồng", 10**12), ("đ", 1), ("VNĐ", 1),
     ("tr.đ", 10**6), ("1000đ", 10**3), ("người", None), ("triệu USD", None), ("triệu", None), ("", None)],
)  # fmt: skip
def test_units_of_money_are_known_by_their_words(unit: str, dong: int | None) -> None:
    assert worth(unit) == dong


FORMS = {
    ",": lambda n: f"{n:,.2f}".replace(",", " ").replace(".", ",").replace(" ", "."),
    ".": lambda n: f"{n:,.2f}",
}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.decimals(-(10**9), 10**9, places=2, allow_nan=False), min_size=1, max_size=12),
    st.sampled_from(",."),
    st.sampled_from(["%d/%m/%Y", "%m/%d/%Y"]),
    st.lists(st.dates(date(1960, 1, 1), date(2060, 1, 1)), min_size=1, max_size=12),
    st.sets(st.integers(0, 11)),
)
def test_what_is_accepted_is_the_truth_and_every_row_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[Any], mark: str, order: str, days: list[date], spoilt: set[int]
) -> None:
    folder = tmp_path_factory.mktemp("truth")
    count = max(len(numbers), len(days))
    truth = [(numbers[n % len(numbers)], days[n % len(days)]) for n in range(count)]
    rows = [(FORMS[mark](number), f"{day:{order}}") for number, day in truth]
    rows = [("không rõ", day) if n in spoilt else (number, day) for n, (number, day) in enumerate(rows)]
    judged = Judged(
        made(folder, [column("so", "number", physicalType="DECIMAL(18,2)"), column("ngay", "date")]), folder, ["so", "ngay"], rows, ";"
    )
    kept = [pair for n, pair in enumerate(truth) if n not in spoilt]
    shown = any(day.day > 12 for _, day in kept) or any(day.day > 12 for _, day in truth)
    if order == "%d/%m/%Y" or shown:
        assert judged.rows == kept
    else:  # nothing shows that the month comes first: the contract's word holds, and is flagged
        assert "ngay: order of dates" in judged.decisions
    assert judged.judgement.rows_read == count == len(judged.rows) + len({n for n, *_ in judged.held})


def test_a_total_that_does_not_add_up_is_said_and_nothing_is_held(warehouse: Warehouse) -> None:
    warehouse.add(contract("ho-tich/thu", [column("ma", required=True, primaryKey=True), column("so", "integer")]))
    warehouse.drop("ho-tich/thu", "a.csv", "ma,so\nA,10\nB,20\nTổng cộng,31\n")
    outcome = warehouse.take("ho-tich/thu")
    assert (outcome.verdict, outcome.rows_accepted) == ("accepted", 2)
    assert warehouse.rows("SELECT row_number, kind FROM kho.left_out ORDER BY 1") == [(1, "header"), (4, "total")]
    [reason] = outcome.reasons
    assert (reason.rule, reason.column) == ("total_mismatch", "so") and "31" in reason.vi and "30" in reason.vi
    assert warehouse.rows("SELECT row_number, rule FROM kho.marks") == [(4, "total_mismatch")]
    warehouse.drop("ho-tich/thu", "b.csv", "ma,so\nA,10\nB,20\nTổng cộng,30\n")
    assert warehouse.take("ho-tich/thu").reasons == ()


def test_a_clean_delivery_becomes_the_release_without_a_second_copy_and_survives_a_move(warehouse: Warehouse, tmp_path: Path) -> None:
    chance = random.Random(5)
    warehouse.add(contract("ho-tich/to", [column("ma", required=True, primaryKey=True), column("so", "number")]))
    numbers = [round(chance.random() * 1000, 2) for _ in range(2000)]
    warehouse.drop("ho-tich/to", "a.csv", "ma,so\n" + "".join(f"K{n},{x}\n" for n, x in enumerate(numbers)))
    assert warehouse.take("ho-tich/to").verdict == "accepted"
    assert len(list((warehouse.settings.data / "ho_tich" / "to").glob("*.parquet"))) == 1
    assert not list(warehouse.settings.staging.glob("*/*.parquet"))
    warehouse.drop("ho-tich/to", "b.csv", "ma,so\nK1,1\n")
    warehouse.take("ho-tich/to")
    moved = Warehouse(type(warehouse.settings)(register=warehouse.settings.register, home=tmp_path / "moved"))
    warehouse.settings.home.rename(moved.settings.home)
    assert moved.rows("SELECT count(*) FROM ho_tich.to") == [(1,)]
    [(version,)] = moved.rows("SELECT max(snapshot_id) - 1 FROM lake.snapshots()")
    [(count, total)] = moved.rows(f"SELECT count(*), sum(so) FROM ho_tich.to AT (VERSION => {version})")
    assert count == 2000 and math.isclose(float(total), sum(numbers))
