"""The scan and the pandera schema it is compiled from give one verdict on the same rows, planted faults included."""

import csv
import io
import re
import unicodedata
import warnings
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pandera.errors
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stdnum.vn import mst

from pipelines.contract import Contract, load_register
from pipelines.formula_guard import GUARDED
from pipelines.gate import judge
from pipelines.gate.row_schema import POLARS_TYPES, delivery_schema, row_schema
from pipelines.gate.values import tidy
from tests.warehouse import column, contract, group_rule, make_warehouse, rule, with_real_types

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
    column("tren", "number", logicalTypeOptions={"exclusiveMinimum": 0, "exclusiveMaximum": 4, "multipleOf": 0.25}),
    column("luc", "timestamp", logicalTypeOptions={"exclusiveMinimum": "2023-01-01 08:00:00"}),
    column("ip", logicalTypeOptions={"format": "ipv4"}),
    column("khac", quality=[{"metric": "missingValues", "arguments": {"missingValues": ["N/A", ""]}, "mustBe": 0}]),
    column("hang", quality=[{"metric": "invalidValues", "arguments": {"pattern": "[A-C]"}, "mustBe": 0, "severity": "warning"}]),
    column("cccd", semantic="cccd"),
    column("ngay_sinh", "date", semantic="ngay_sinh"),
    column("gioi_tinh", semantic="gioi_tinh"),
    column("dien_thoai", semantic="dien_thoai"),
    column("bien_so", semantic="bien_so_xe"),
    column("kinh_do", "number", semantic="kinh_do"),
    column("vi_do", "number", semantic="vi_do"),
    column("ma_xa", semantic="dvhc_xa"),
    column("nganh", semantic="vsic"),
    column("so_van_ban", semantic="so_van_ban"),
    column("bhxh", semantic="bhxh"),
]
RULES = [
    rule("thu_tu", "den >= tu"),
    rule("phan", "so <= 2 * tien OR loai = 'Xã'"),
    rule("co_ten", "NOT (co AND ten IS NULL)"),
    rule("lech", "abs(tien - so) <= 8"),
    rule("khoang", "so BETWEEN 1 AND 9 OR coalesce(tien, 0) IN (0, 1, 2)"),
    rule("so_ngay", "den - tu <= 20"),
    rule("truong_hop", "CASE WHEN co THEN so > 1 ELSE true END"),
    rule("nam_sinh", "year(ngay_sinh) <= year(tu) OR month(tu) = 12 AND day(tu) > 5"),
    rule("mau", "regexp_full_match(ten, '[aă].*|â+') OR left(ten, 1) IN ('đ', 'ê')"),
    rule("chu", "upper(substring(ten, 2, 2)) <> 'ĐÊ' AND replace(ten, 'a', '') <> ''") | {"severity": "warning"},
    rule("luc_sau", "luc >= '2023-01-02'") | {"severity": "warning"},
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
        "tren": st.sampled_from([None, 0.0, 0.25, 0.3, 1.5, 3.75, 4.0, 4.25]),
        "luc": st.sampled_from([None, *(datetime.fromisoformat(f"2023-01-0{d} 0{h}:00") for d in (1, 2) for h in (8, 9))]),
        "ip": st.sampled_from([None, "10.0.0.1", "256.1.1.1", "1.2.3", "8.8.8.08"]),
        "khac": st.sampled_from([None, "N/A", "có"]),
        "hang": st.sampled_from([None, "A", "D", "AB"]),
        "cccd": st.sampled_from([None, "080190000123", "080090000123", "005190000123", "101190000123", "080203000123", "08019000012"]),
        "ngay_sinh": st.sampled_from([None, date(1990, 5, 1), date(2003, 12, 31), date(1890, 1, 1)]),
        "gioi_tinh": st.sampled_from([None, "Nam", "Nữ", "nam"]),
        "dien_thoai": st.sampled_from([None, "0903123456", "01689123456", "0723123456", "02723123456", "0953123456", "02003123456"]),
        "bien_so": st.sampled_from([None, "62A-12345", "62A-123.45", "13A-12345", "62O-12345", "62B1-12345", "6A-1"]),
        "kinh_do": st.sampled_from([None, 106.4, 105.2, 10.5, 111.0]),
        "vi_do": st.sampled_from([None, 10.5, 106.4, 12.0, 25.0]),
        "ma_xa": st.sampled_from([None, "27688", "27694", "25459", "00000"]),
        "nganh": st.sampled_from([None, "A", "01", "0118", "01181", "04", "0401", "V"]),
        "so_van_ban": st.sampled_from([None, "123/QĐ-UBND", "123/QD-UBND", "12/NQ-HDND", "123"]),
        "bhxh": st.sampled_from([None, "8012345678", "0512345678", "80123"]),
    }
)


Verdict = tuple[set[int], set[int]]
"""Places of the rows that are held back, and of those that are taken in with a mark."""


def frame_of(made: Contract, rows: list[dict]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={c.name: POLARS_TYPES[c.type] for c in made.columns})


def pandera_verdict(made: Contract, rows: list[dict]) -> Verdict:
    """What pandera says, row by row so that nothing hides behind an index."""
    schema = row_schema(made)
    wrong, marked = set(), set()
    for i, row in enumerate(rows):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                schema.validate(frame_of(made, [row]), lazy=True)
            except pandera.errors.SchemaErrors:
                wrong.add(i)
            if any(issubclass(w.category, pandera.errors.SchemaWarning) for w in caught):
                marked.add(i)
    return wrong, marked - wrong


def scan_verdict(made: Contract, rows: list[dict], folder: Path) -> Verdict:
    text = io.StringIO()
    writer = csv.DictWriter(text, [c.name for c in made.columns])
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in row.items()} for row in rows)
    file = folder / "a.csv"
    file.write_text(text.getvalue(), encoding="utf-8")
    with duckdb.connect() as connection:
        judgement = judge(connection, made, file, folder / "staged")
        held, marked = (
            {n - 2 for (n,) in connection.execute(f"SELECT DISTINCT row_number FROM ({rows_sql})").fetchall()} if rows_sql else set()
            for rows_sql in (judgement.quarantine, judgement.marks)
        )
        assert judgement.rows_quarantined == len(held)
        return held, marked


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    warehouse = make_warehouse(tmp_path_factory.mktemp("gate"))
    with_real_types(warehouse)
    warehouse.add(contract("ho-tich/moi", COLUMNS, quality=RULES, personalData="basic", period="tu", quarantineThreshold=1))
    return load_register(warehouse.settings.register).contracts["ho-tich/moi"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(ROWS, min_size=1, max_size=6))
def test_scan_and_pandera_agree(made, tmp_path: Path, rows: list[dict]) -> None:
    rows = [{"ma": f"R{i}"} | row for i, row in enumerate(rows)]
    ours, theirs = scan_verdict(made, rows, tmp_path), pandera_verdict(made, rows)
    # A delivery refused whole marks nothing: no row of it is taken in.
    assert ours == (theirs if len(theirs[0]) < len(rows) else (theirs[0], set()))


GOOD = {
    "ma": "A", "loai": "Xã", "ky": "202301", "mst": "0100109106", "so": 5, "tien": 3.0, "co": True, "tu": date(2023, 1, 5),
    "den": date(2023, 1, 5) + timedelta(9), "ten": "abc", "tren": 1.25, "luc": datetime.fromisoformat("2023-01-02 09:00"), "ip": "10.0.0.1", "khac": "có",
    "hang": "A", "cccd": "080190000123", "ngay_sinh": date(1990, 5, 1), "gioi_tinh": "Nữ", "dien_thoai": "0903123456",
    "bien_so": "62A-12345", "kinh_do": 106.4, "vi_do": 10.5, "ma_xa": "27694", "nganh": "0118", "so_van_ban": "12/QĐ-UBND",
    "bhxh": "8012345678",
}  # fmt: skip


@pytest.mark.parametrize(
    "fault",
    [
        {"loai": "Tỉnh"}, {"ky": "202313"}, {"mst": "1100107302"}, {"mst": "0100109106-000"}, {"mst": "005190000123"}, {"so": 11}, {"so": -1},
        {"tien": -2.0}, {"tu": date(2022, 12, 31)}, {"tu": date(2023, 2, 2), "den": date(2023, 2, 1)}, {"ten": "a"}, {"ten": "abcdef"},
        {"ma": None}, {"co": True, "ten": None}, {"tren": 0.0}, {"tren": 4.0}, {"tren": 1.3}, {"luc": datetime.fromisoformat("2023-01-01 08:00")},
        {"ip": "300.1.1.1"}, {"khac": "N/A"}, {"khac": None}, {"cccd": "005190000123"}, {"cccd": "080990000123"}, {"cccd": "080090000123"},
        {"gioi_tinh": "Nam"}, {"ngay_sinh": date(1991, 5, 1)}, {"ngay_sinh": date(2090, 5, 1)}, {"dien_thoai": "01689123456"},
        {"dien_thoai": "0723123456"}, {"dien_thoai": "0953123456"}, {"bien_so": "13A-12345"}, {"bien_so": "62O-12345"}, {"kinh_do": 105.2},
        {"vi_do": 12.0}, {"kinh_do": 10.5, "vi_do": 106.4}, {"ma_xa": "00000"}, {"nganh": "0401"}, {"nganh": "04"},
    ],
)  # fmt: skip
def test_each_planted_fault_is_found_by_both(made: Contract, tmp_path: Path, fault: dict) -> None:
    assert scan_verdict(made, [GOOD], tmp_path) == pandera_verdict(made, [GOOD]) == (set(), set())
    wrong = GOOD | fault
    assert scan_verdict(made, [wrong], tmp_path)[0] == pandera_verdict(made, [wrong])[0] == {0}


@pytest.mark.parametrize(
    "oddity", [{"hang": "D"}, {"so_van_ban": "12/QD-UBND"}, {"bhxh": "0512345678"}, {"luc": datetime.fromisoformat("2023-01-01 09:00")}]
)
def test_a_warning_lets_the_row_in_and_marks_it_in_both(made: Contract, tmp_path: Path, oddity: dict) -> None:
    odd = GOOD | oddity
    assert scan_verdict(made, [odd], tmp_path) == pandera_verdict(made, [odd]) == (set(), {0})


TOGETHER = contract(
    "ho-tich/nhom",
    [
        column("ma", required=True, primaryKey=True),
        column("xa"),
        column("ky", "integer"),
        column("stt", "integer"),
        column("so", "number"),
        column("tong", "number"),
        column("tu", "date"),
        column("den", "date"),
        column("so_giay", unique=True),
    ],
    quality=[
        group_rule("tong_khop", ["xa", "ky"], condition="sum(so) <= max(tong)"),
        group_rule("lien_tuc", ["xa"], condition="max(stt) - min(stt) + 1 = count(DISTINCT stt) AND count(*) < 5"),
        group_rule("khong_trung", ["xa"], noOverlap=["tu", "den"]),
        {"metric": "duplicateValues", "arguments": {"properties": ["xa", "ky", "stt"]}, "mustBe": 0},
    ],
    quarantineThreshold=1,
)
GROUPED = st.fixed_dictionaries(
    {
        "ma": st.sampled_from("ABCDEFGH"),
        "xa": st.sampled_from(["x", "y", None]),
        "ky": st.sampled_from([1, 2, None]),
        "stt": st.sampled_from([1, 2, 3, 4, None]),
        "so": st.sampled_from([0.1, 0.2, 0.3, 1.0, None]),
        "tong": st.sampled_from([0.3, 0.6, 2.0, None]),
        "tu": st.one_of(st.none(), st.dates(date(2023, 1, 1), date(2023, 1, 9))),
        "den": st.one_of(st.none(), st.dates(date(2023, 1, 4), date(2023, 1, 12))),
        "so_giay": st.sampled_from(["1", "2", "3", "4", "5", None]),
    }
)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    warehouse = make_warehouse(tmp_path_factory.mktemp("together"))
    warehouse.add(TOGETHER)
    return load_register(warehouse.settings.register).contracts["ho-tich/nhom"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(GROUPED, min_size=2, max_size=9))
def test_what_rows_fail_together_is_found_by_both(together: Contract, tmp_path: Path, rows: list[dict]) -> None:
    """The scan asks one question after the other, each of the rows that the earlier ones left; so does pandera here."""
    left = frame_of(together, rows).with_row_index("place")
    for check in delivery_schema(together).checks:
        left = left.filter(check._check_fn(SimpleNamespace(lazyframe=left.lazy())).collect().to_series())
    held = set(range(len(rows))) - set(left["place"].to_list())
    assert scan_verdict(together, rows, tmp_path) == (held, set())


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
            plain = text[1:] if re.fullmatch(GUARDED, text) else text
            assert row == (unicodedata.normalize("NFC", plain).strip(spaces) or None,)
