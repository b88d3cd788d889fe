"""Sheets made dirty from a clean truth: whatever surrounds the rows, the rows read are the truth, and every row of the file is explained."""

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contract import Contract
from pipelines.gate.headers import match
from pipelines.gate.readers import Unreadable, read
from tests.pipelines.ugly.books import Grid, Rows, html, ods, xls, xlsx, xml2003
from tests.warehouse import column, contract, make_warehouse

HEADERS = {
    "ten_xa": ("Tên xã", "TÊN XÃ", "Ten xa", "ten_xa", "Đơn vị\nhành chính", "Tên  xã (1)"),
    "ma_xa": ("Mã xã", "MA XA", "ma_xa", "Mã ĐVHC"),
    "so_ho": ("Số hộ", "SO HO", "so_ho", "Tổng số hộ"),
    "kinh_phi": ("Kinh phí", "kinh phi", "KINH PHÍ (*)"),
}
WORDS = (
    "An Thạnh",
    "Bình Đức",
    "Cộng Hòa",
    "Công Lý",
    "Tổng Cọt",
    "Nguồn Xá",
    "Đức Hòa Đông",
    "Ghi Tơ",
    "Ký Phú",
    "Ngày Mới",
    "Long Hựu",
    "Q. Nhất",
)


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Contract:
    warehouse = make_warehouse(tmp_path_factory.mktemp("dirty"))
    columns = [
        column("ten_xa", title="Tên xã", required=True, primaryKey=True, synonyms=["Đơn vị hành chính"]),
        column("ma_xa", title="Mã xã", required=True, synonyms=["Mã ĐVHC"]),
        column("so_ho", "integer", title="Số hộ", synonyms=["Tổng số hộ"]),
        column("kinh_phi", "number", title="Kinh phí"),
        column("huyen", title="Huyện"),
    ]
    warehouse.add(contract("ugly/dirty", columns, reading={"groupColumn": "huyen"}))
    return warehouse.intake().register.contracts["ugly/dirty"]


@dataclass
class Dirty:
    grid: Grid
    truth: list[tuple[int, tuple[str | None, ...]]]
    """(row in the file, values) of each row of data."""


def text_of(value: Any) -> str | None:
    return None if value is None else str(value)


@st.composite
def dirty_sheets(draw: st.DrawFn) -> Dirty:
    order = draw(st.permutations(list(HEADERS)))
    counter = draw(st.booleans())
    left = draw(st.integers(0, 2))
    names = {name: draw(st.sampled_from(forms)) for name, forms in HEADERS.items()}
    header = (["STT"] if counter else []) + [names[name] for name in order]
    rows: Rows = []
    truth: list[tuple[int, tuple[str | None, ...]]] = []

    def put(cells: list[Any]) -> None:
        rows.append([None] * left + cells)

    def put_header() -> None:
        put(header)
        if numbered:
            put([f"({n})" for n in range(1, len(header) + 1)])

    def put_total(label: str, figures: dict[str, Any]) -> None:
        cells: dict[str, Any] = {"ten_xa": None if counter else label, **figures}
        put(([label] if counter else []) + [cells.get(name) for name in order])

    numbered = draw(st.booleans())
    for title in draw(st.sampled_from([[], ["BÁO CÁO"], ["SỞ Y TẾ", "", "BÁO CÁO QUÝ II"], ["", "Biểu 1", "(ĐVT: triệu đồng)"]])):
        put([title] if title else [])
    put_header()
    groups = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    grouped = draw(st.booleans())
    number = 0
    total = 0
    for n, size in enumerate(groups):
        if grouped:
            roman = ("I", "II", "III", "IV")[n]
            put([roman, f"Huyện {n}"] if counter else [f"{roman}. Huyện {n}"])
        elif n and draw(st.booleans()):
            put_header()  # the next printed page
        subtotal = 0
        for _ in range(size):
            number += 1
            households = draw(st.none() | st.integers(0, 10_000))
            values = {
                "ten_xa": f"{draw(st.sampled_from(WORDS))} {number}",
                "ma_xa": f"{number:05d}",
                "so_ho": households,
                "kinh_phi": draw(st.none() | st.integers(-1000, 10**9).map(lambda n: n / 4 if n % 4 else n // 4)),
            }
            subtotal += households or 0
            put(([number] if counter else []) + [values[name] for name in order])
            truth.append((len(rows), (*(text_of(values[name]) for name in HEADERS), f"Huyện {n}" if grouped else None)))
            if draw(st.integers(0, 9)) == 0:
                put([])
        total += subtotal
        if grouped and draw(st.booleans()):
            put_total("Cộng", {"so_ho": subtotal})
    if draw(st.booleans()):
        put_total("Tổng cộng", {"so_ho": total})
    for foot in draw(
        st.sampled_from([[], [["Ghi chú: số liệu sơ bộ"]], [[], ["Nơi nhận:", None, "NGƯỜI LẬP BIỂU"], ["- Lưu VT", None, "Lê Văn C"]]])
    ):
        put(foot)
    return Dirty(Grid(rows), truth)


def mutated(content: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """The bytes with some of them cut out and others put in their place."""
    for place, length, other in changes:
        at = place % (len(content) + 1)
        content = content[:at] + other + content[at + length :]
    return content


DAMAGE = st.lists(
    st.tuples(st.integers(0, 1 << 16), st.integers(0, 12), st.binary(max_size=12) | st.just(b"9999999")), min_size=1, max_size=12
)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    damage=DAMAGE,
    part=st.integers(0, 20),
    kind=st.sampled_from([(xlsx, ".xlsx"), (xls, ".xls"), (ods, ".ods"), (html, ".xls"), (xml2003, ".xls")]),
)
def test_a_damaged_workbook_is_read_or_refused_and_nothing_else(
    damage: list[tuple[int, int, bytes]], part: int, kind: Any, wanted: Contract, tmp_path: Path
) -> None:
    write, suffix = kind
    file = write(tmp_path / f"a{suffix}", Grid([["BÁO CÁO"], ["Tên xã", "Mã xã", "Số hộ"], ["An Thạnh", "1", 2], ["Tổng cộng", None, 2]]))
    if suffix in (".xlsx", ".ods"):  # the damage goes inside one part of the package, where it is not just a broken zip
        with zipfile.ZipFile(file) as package:
            parts = {name: package.read(name) for name in package.namelist()}
        name = sorted(parts)[part % len(parts)]
        with zipfile.ZipFile(file, "w") as package:
            for other, content in parts.items():
                package.writestr(other, mutated(content, damage) if other == name else content)
    else:
        file.write_bytes(mutated(file.read_bytes(), damage))
    with duckdb.connect() as connection:
        try:
            source = read(connection, file, wanted)
        except Unreadable as refused:
            assert refused.vi and refused.en
        else:
            connection.execute(f"SELECT count(*) FROM {source.relation}").fetchall()


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(dirty=dirty_sheets(), kind=st.sampled_from([(xlsx, ".xlsx"), (xls, ".xls"), (ods, ".ods"), (html, ".xls"), (xml2003, ".xls")]))
def test_the_rows_read_are_the_truth_and_every_row_is_explained(dirty: Dirty, kind: Any, wanted: Contract, tmp_path: Path) -> None:
    write, suffix = kind
    file = write(tmp_path / f"a{suffix}", dirty.grid)
    with duckdb.connect() as connection:
        source = read(connection, file, wanted)
        mapping = match(wanted, source.header)
        assert not mapping.unknown and not mapping.missing
        names = ", ".join('"' + mapping.columns[c.name].replace('"', '""') + '"' for c in wanted.columns)
        found = [(row[0], row[1:]) for row in connection.execute(f"SELECT {source.row}, {names} FROM {source.relation}").fetchall()]
        left = connection.execute(source.left_out or "SELECT 0 WHERE false").fetchall()
    assert found == dirty.truth
    assert sorted([*(n for n, _ in found), *(row[0] for row in left)]) == sorted(dirty.grid.filled)
    assert all(row[1] in ("title", "header", "number_row", "group", "total", "subtotal", "note", "signature") for row in left)
