"""Semantic types judge what their values mean: against a list, the row's other columns, its period, the province."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contract import Column, Contract, load_register
from pipelines.contract.model import Code
from pipelines.contract.semantic import valid_in_period
from pipelines.gate import judge
from tests.warehouse import column, contract, make_warehouse, with_real_types

PEOPLE = [
    column("ma", required=True, primaryKey=True),
    column("ky", semantic="ky_thang"),
    column("so_dinh_danh_chong", semantic="cccd"),
    column("ngay_sinh_chong", "date", semantic="ngay_sinh"),
    column("so_dinh_danh_vo", semantic="cccd"),
    column("ngay_sinh_vo", "date", semantic="ngay_sinh"),
    column("gioi_tinh_vo", semantic="gioi_tinh"),
    column("dien_thoai", semantic="dien_thoai"),
    column("longitude", "number", semantic="kinh_do"),
    column("latitude", "number", semantic="vi_do"),
    column("ma_xa", semantic="dvhc_xa"),
    column("so_the", semantic="the_bhyt"),
    column("ma_bhxh", semantic="bhxh"),
    column("email", semantic="email"),
    column("so_van_ban", semantic="so_van_ban"),
    column("dan_toc", semantic="dan_toc"),
    column("quoc_tich", semantic="quoc_gia"),
    column("nganh", semantic="vsic"),
    column("ma_thua", semantic="ma_thua"),
    column("hang", "date", logicalTypeOptions={"format": "dd/MM/yyyy"}),
    column("luc", "timestamp", logicalTypeOptions={"format": "dd.MM.yyyy HH:mm"}),
]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    warehouse = make_warehouse(tmp_path_factory.mktemp("types"))
    with_real_types(warehouse)
    warehouse.add(contract("ho-tich/nguoi", PEOPLE, personalData="sensitive", access="restricted", licence="", period="ky"))
    return load_register(warehouse.settings.register).contracts["ho-tich/nguoi"]


def said(made: Contract, folder: Path, **cells: str) -> list[tuple[str, str, str, str]]:
    """(level, column, rule, group — and what was suggested) for one row."""
    file = folder / "a.csv"
    file.write_text(",".join(["ma", *cells]) + "\n" + ",".join(["A", *cells.values()]) + "\n", encoding="utf-8")
    found = []
    with duckdb.connect() as connection:
        judgement = judge(connection, made, file, folder / "staged")
        for level, rows in (("error", judgement.quarantine), ("warning", judgement.marks)):
            if rows:
                query = f"SELECT column_name, rule, error_group || coalesce(': ' || nullif(split_part(reason_en, '; is it ', 2), ''), '') FROM ({rows})"
                found += [(level, *row) for row in connection.execute(query).fetchall()]
    return sorted(found)


def test_a_person_is_compared_with_the_columns_of_the_same_person(people: Contract, tmp_path: Path) -> None:
    right = {"so_dinh_danh_vo": "080190000123", "ngay_sinh_vo": "1990-05-20", "gioi_tinh_vo": "Nữ"}
    assert said(people, tmp_path, **right) == []
    assert said(people, tmp_path, **right, so_dinh_danh_chong="080085000111", ngay_sinh_chong="1985-01-01") == []
    assert said(people, tmp_path, **right | {"gioi_tinh_vo": "Nam"}) == [("error", "so_dinh_danh_vo", "cccd_gioi_tinh", "contradiction")]
    assert said(people, tmp_path, **right | {"ngay_sinh_vo": "2090-05-20"}) == [
        ("error", "so_dinh_danh_vo", "cccd_nam_sinh", "contradiction")
    ]
    # The husband's number does not answer for the wife's birth.
    assert said(people, tmp_path, so_dinh_danh_chong="080085000111", ngay_sinh_vo="1990-05-20") == []


@pytest.mark.parametrize(
    "cells, expected",
    [
        ({"dien_thoai": "01689123456"}, [("error", "dien_thoai", "so_di_dong_cu", "stale: 0389123456?")]),
        ({"dien_thoai": "01208123456"}, [("error", "dien_thoai", "so_di_dong_cu", "stale: 0708123456?")]),
        ({"dien_thoai": "0723826123"}, [("error", "dien_thoai", "ma_vung_cu", "stale: 02723826123?")]),
        ({"dien_thoai": "02723826123"}, []),
        ({"dien_thoai": "0953123456"}, [("error", "dien_thoai", "dau_so", "wrong format")]),
        ({"dien_thoai": "903123456"}, [("error", "dien_thoai", "pattern", "wrong format")]),
        ({"longitude": "106.41", "latitude": "10.53"}, []),
        (
            {"longitude": "10.53", "latitude": "106.41"},
            [
                ("error", "latitude", "maximum", "outlier"), ("error", "latitude", "toa_do_doi_cho", "contradiction: 10.53?"),
                ("error", "longitude", "minimum", "outlier"), ("error", "longitude", "toa_do_doi_cho", "contradiction: 106.41?"),
            ],
        ),
        ({"longitude": "105.84", "latitude": "10.53"}, []),
        ({"longitude": "105.2", "latitude": "10.53"}, [("error", "longitude", "kinh_do_ngoai_tinh", "outlier")]),
        ({"so_the": "DN4808012345678", "ma_bhxh": "8012345678"}, []),
        ({"so_the": "DN4808012345678", "ma_bhxh": "8012345679"}, [("error", "so_the", "the_bhyt_ma_bhxh", "contradiction")]),
        ({"ma_bhxh": "0512345678"}, [("warning", "ma_bhxh", "bhxh_tinh", "wrong format")]),
        ({"email": "an.nguyen@longan.gov.vn"}, []),
        ({"email": "an@longan"}, [("error", "email", "pattern", "wrong format")]),
        ({"email": "an..@-longan.vn"}, [("error", "email", "pattern", "wrong format")]),
        ({"so_van_ban": "12/QD-UBND"}, [("warning", "so_van_ban", "chu_d_thieu_gach", "wrong format: 12/QĐ-UBND?")]),
        ({"so_van_ban": "12/HD-UBND"}, []),
        ({"dan_toc": "25"}, []),
        ({"dan_toc": "56"}, [("error", "dan_toc", "closed_list", "mismatch")]),
        ({"quoc_tich": "VN"}, []),
        ({"quoc_tich": "XX"}, [("error", "quoc_tich", "closed_list", "mismatch")]),
        ({"nganh": "01181"}, []),
        ({"nganh": "04110"}, [("error", "nganh", "vsic_ngoai_danh_muc", "mismatch")]),
        ({"ma_thua": "27694_12_345", "ma_xa": "27694"}, []),
        ({"ma_thua": "27694_12_345", "ma_xa": "27688"}, [("error", "ma_thua", "thua_theo_xa", "contradiction")]),
        ({"hang": "05/06/2023"}, []),
        ({"hang": "2023-06-05"}, []),
        ({"hang": "20230605"}, [("error", "hang", "type", "wrong format")]),
        ({"luc": "5.6.2023 8:30"}, []),
        ({"luc": "05/06/2023 08:30"}, [("error", "luc", "format", "wrong format")]),
        # A value that is of no form is said once, whatever else follows from it.
        ({"so_dinh_danh_vo": "x", "gioi_tinh_vo": "Nam"}, [("error", "so_dinh_danh_vo", "pattern", "wrong format")]),
    ],
)  # fmt: skip
def test_what_a_value_means_is_judged_and_named(people: Contract, tmp_path: Path, cells: dict[str, str], expected: list) -> None:
    assert said(people, tmp_path, **cells) == expected


@pytest.mark.parametrize(
    "ky, code, expected",
    [
        ("202306", "27688", []),
        ("202411", "27688", []),
        ("202412", "27688", [("error", "ma_xa", "dvhc_xa_het_hieu_luc", "stale")]),
        ("202506", "27703", []),
        ("202507", "27703", [("error", "ma_xa", "dvhc_xa_het_hieu_luc", "stale")]),
        ("202507", "27694", []),
        ("201901", "27688", []),  # the list does not speak of the time before it begins
        ("", "27688", []),  # the register's day
        ("202306", "99999", [("error", "ma_xa", "closed_list", "mismatch")]),
    ],
)
def test_a_commune_code_is_valid_in_the_period_of_its_row(people: Contract, tmp_path: Path, ky: str, code: str, expected: list) -> None:
    assert said(people, tmp_path, ky=ky, ma_xa=code) == expected


DAYS = st.dates(date(2022, 6, 1), date(2026, 6, 1)).map(str)
CODES = st.lists(
    st.tuples(st.sampled_from("ABC"), DAYS, st.one_of(st.just(""), DAYS)).filter(lambda c: not c[2] or c[1] < c[2]), min_size=1, max_size=6
)


def days_of(kind: str, period: date) -> list[str]:
    """The days of the month or year, or the one day, that a row's period column speaks of."""
    if kind == "date":
        return [period.isoformat()]
    start = period.replace(day=1) if kind == "ky_thang" else period.replace(month=1, day=1)
    same = lambda day: day.year == start.year and (kind == "nam" or day.month == start.month)
    return [day.isoformat() for n in range(366) if same(day := start + timedelta(n))]


@settings(max_examples=150, deadline=None)
@given(CODES, st.sampled_from(["date", "ky_thang", "nam"]), st.dates(date(2021, 1, 1), date(2027, 1, 1)))
def test_validity_in_a_period_agrees_with_looking_at_every_day(listed: list, kind: str, period: date) -> None:
    codes = tuple(Code(code, "", since, until) for code, since, until in listed)
    first = min(c.since for c in codes)
    valid = {
        c.code for c in codes for day in days_of(kind, period) if (c.since <= day or c.since == first) and (not c.until or day < c.until)
    }
    types = {"date": "date", "ky_thang": "string", "nam": "integer"}
    dated = Column("ky", "", "", "", types[kind], "", semantic=None if kind == "date" else kind)
    expression = valid_in_period(Column("ma", "", "", "", "string", "VARCHAR"), codes, dated, "2023-06-30") or "true"
    value = {"date": f"DATE '{period}'", "ky_thang": f"'{period:%Y%m}'", "nam": str(period.year)}[kind]
    rows = duckdb.sql(f"SELECT ma, {expression} FROM (SELECT unnest(['A', 'B', 'C']) AS ma, {value} AS ky)").fetchall()
    known = {c.code for c in codes}
    assert {ma for ma, holds in rows if holds and ma in known} == valid
