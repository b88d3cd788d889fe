"""The scan and the pandera schema it is compiled from give one verdict on the same rows, planted faults included."""

import csv
import io
import unicodedata
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pandera.errors
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stdnum.vn import mst

from pipelines.contract import load_register
from pipelines.gate import judge
from pipelines.gate.row_schema import POLARS_TYPES, row_schema
from pipelines.gate.values import tidy
from tests.warehouse import column, contract, make_warehouse, rule

COLUMNS = [
    column("ma", required=True, primaryKey=True),
    column("loai", values=["Xã", "Phường", "Thị trấn"]),
    column("ky", semantic="ky_thang"),
    column("mst", semantic="mst"),
    column("so", "integer", logicalTypeOptions={"minimum": 0, "maximum": 10}),
    column("tien", "number", logicalTypeOptions={"minimum": -1.5}),
    column("co", "boolean"),
    column("tu", "date", logicalTypeOptions={"minimum": "2023-01-01"}),
    column("den", "date"),
    column("ten", logicalTypeOptions={"minLength": 2, "maxLength": 5}),
]
RULES = [
    rule("thu_tu", "den >= tu"),
    rule("phan", "so <= 2 * tien OR loai = 'Xã'"),
    rule("co_ten", "NOT (co AND ten IS NULL)"),
    rule("lech", "abs(tien - so) <= 8"),
    rule("khoang", "so BETWEEN 1 AND 9 OR coalesce(tien, 0) IN (0, 1, 2)"),
    rule("so_ngay", "den - tu <= 20"),
    rule("truong_hop", "CASE WHEN co THEN so > 1 ELSE true END"),
]
NAMES = [str(c["name"]) for c in COLUMNS]
DAYS = st.dates(date(2022, 12, 1), date(2023, 3, 1))
ROWS = st.fixed_dictionaries(
    {
        "loai": st.sampled_from(["Xã", "Phường", "Thị trấn", "Tỉnh", "xã", None]),
        "ky": st.sampled_from(["202301", "202313", "2023", None]),
        "mst": st.sampled_from(["1100107301", "1100107302", "0100109106", "0100109106-001", "080190000123", "12", None]),
        "so": st.one_of(st.none(), st.integers(-2, 12)),
        "tien": st.one_of(st.none(), st.decimals(-3, 12, places=2).map(float)),
        "co": st.sampled_from([True, False, None]),
        "tu": st.one_of(st.none(), DAYS),
        "den": st.one_of(st.none(), DAYS),
        "ten": st.one_of(st.none(), st.text("aăâđê", min_size=1, max_size=7)),
    }
)


def pandera_verdict(made, rows: list[dict]) -> set[int]:
    """Places of the rows that pandera finds wrong, row by row so that nothing hides behind an index."""
    schema = row_schema(made)
    wrong = set()
    for i, row in enumerate(rows):
        frame = pl.DataFrame([row], schema={c.name: POLARS_TYPES[c.type] for c in made.columns})
        try:
            schema.validate(frame, lazy=True)
        except pandera.errors.SchemaErrors:
            wrong.add(i)
    return wrong


def scan_verdict(made, rows: list[dict], folder: Path) -> set[int]:
    text = io.StringIO()
    writer = csv.DictWriter(text, NAMES)
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    file = folder / "a.csv"
    file.write_text(text.getvalue(), encoding="utf-8")
    with duckdb.connect() as connection:
        judgement = judge(connection, made, file, folder / "staged")
        if judgement.quarantine is None:
            return set()
        return {n - 2 for (n,) in connection.execute(f"SELECT DISTINCT row_number FROM ({judgement.quarantine})").fetchall()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    warehouse = make_warehouse(tmp_path_factory.mktemp("gate"))
    warehouse.add(contract("ho-tich/moi", COLUMNS, quality=RULES, personalData="basic", quarantineThreshold=1))
    return load_register(warehouse.settings.register).contracts["ho-tich/moi"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, min_size=1, max_size=6))
def test_scan_and_pandera_agree(made, tmp_path: Path, rows: list[dict]) -> None:
    rows = [{"ma": f"R{i}"} | row for i, row in enumerate(rows)]
    assert scan_verdict(made, rows, tmp_path) == pandera_verdict(made, rows)


@pytest.mark.parametrize(
    "fault",
    [
        {"loai": "Tỉnh"}, {"ky": "202313"}, {"mst": "1100107302"}, {"so": 11}, {"so": -1}, {"tien": -2.0}, {"tu": date(2022, 12, 31)},
        {"tu": date(2023, 2, 2), "den": date(2023, 2, 1)}, {"ten": "a"}, {"ten": "abcdef"}, {"ma": None}, {"co": True, "ten": None},
    ],
)  # fmt: skip
def test_each_planted_fault_is_found_by_both(made, tmp_path: Path, fault: dict) -> None:
    good = {
        "ma": "A", "loai": "Xã", "ky": "202301", "mst": "0100109106", "so": 5, "tien": 3.0, "co": True, "tu": date(2023, 1, 5),
        "den": date(2023, 1, 5) + timedelta(9), "ten": "abc",
    }  # fmt: skip
    assert scan_verdict(made, [good], tmp_path) == pandera_verdict(made, [good]) == set()
    assert scan_verdict(made, [good | fault], tmp_path) == pandera_verdict(made, [good | fault]) == {0}


@given(st.from_regex(r"[0-9]{10}(-[0-9]{3})?", fullmatch=True))
@settings(max_examples=200, deadline=None)
def test_the_tax_code_check_agrees_with_an_outside_judge(code: str) -> None:
    digits = [int(d) for d in code[:10]]
    total = sum(d * w for d, w in zip(digits, (31, 29, 23, 19, 17, 13, 7, 5, 3), strict=False))
    ours = (10 - total % 11) == digits[9]
    try:
        mst.validate(code)
        theirs = True
    except mst.InvalidChecksum:
        theirs = False
    except mst.ValidationError:
        return  # rules beyond the checksum (all-zero serials) are not the checksum's business
    assert ours == theirs


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00") | st.sampled_from(" \u0301\u00a0ơẠỹ\u212b")))
)
def test_text_is_trimmed_and_composed_whatever_it_is(texts: list[str]) -> None:
    spaces = "".join(chr(c) for c in range(0x3001) if unicodedata.category(chr(c)) == "Zs")
    with duckdb.connect() as connection:
        for text in texts:
            row = connection.execute(f"SELECT {tidy('x')} FROM (SELECT CAST(? AS VARCHAR) AS x)", [text]).fetchone()
            assert row == (unicodedata.normalize("NFC", text).strip(spaces) or None,)
