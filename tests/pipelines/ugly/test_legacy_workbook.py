"""The whole of it at once: a workbook in a legacy font, under a title, with a two-row header, groups, totals and signatures."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.polluted import tcvn3, vni
from tests.pipelines.ugly.books import Grid, xlsx
from tests.warehouse import Warehouse, column, contract

CELLS = [
    ["ỦY BAN NHÂN DÂN HUYỆN", None, None, None],
    ["Báo cáo số hộ nghèo theo xã", None, None, None],
    ["Đơn vị tính: nghìn đồng", None, None, None],
    ["Số thứ tự", "Tên xã", "Số hộ", "Kinh phí"],
    ["(1)", "(2)", "(3)", "(4)"],
    ["I", "Khu vực thành thị", None, None],
    [1, "Thị trấn Bến Lức", 12, 1500],
    [2, "Xã Mỹ Yên", "-", 2500],
    ["II", "Khu vực nông thôn", None, None],
    [3, "Xã Thạnh Đức", 30, 3000],
    [None, "Tổng cộng", 42, 7000],
    ["Người lập biểu", None, None, "Thủ trưởng đơn vị"],
]


@pytest.mark.parametrize("encode", [tcvn3, vni])
def test_a_report_in_a_legacy_font_becomes_typed_rows(warehouse: Warehouse, tmp_path: Path, encode: Callable[[str], str]) -> None:
    units = column("kinh_phi", "number", title="Kinh phí")
    units["customProperties"].append({"property": "unit", "value": "triệu đồng"})
    columns = [
        column("ten_xa", title="Tên xã", required=True, primaryKey=True),
        column("so_ho", "integer", title="Số hộ"),
        units,
        column("khu_vuc", title="Khu vực"),
    ]
    warehouse.add(contract("ho-tich/ho-ngheo", columns, reading={"groupColumn": "khu_vuc"}))
    legacy = [[encode(cell) if isinstance(cell, str) else cell for cell in row] for row in CELLS]
    warehouse.drop("ho-tich/ho-ngheo", "bao-cao.xlsx", xlsx(tmp_path / "a.xlsx", Grid(legacy)).read_bytes())
    outcome = warehouse.take("ho-tich/ho-ngheo")
    assert (outcome.verdict, outcome.reasons) == ("accepted", ())
    rows = warehouse.rows("SELECT ten_xa, so_ho, CAST(kinh_phi AS DOUBLE), khu_vuc FROM ho_tich.ho_ngheo ORDER BY kinh_phi")
    assert rows == [
        ("Thị trấn Bến Lức", 12, 1.5, "Khu vực thành thị"),
        ("Xã Mỹ Yên", None, 2.5, "Khu vực thành thị"),
        ("Xã Thạnh Đức", 30, 3.0, "Khu vực nông thôn"),
    ]
    marks = warehouse.rows("SELECT row_number, column_name, rule, value FROM kho.marks ORDER BY ALL")
    assert (8, "so_ho", "missing_code", "-") in marks
    assert (8, "ten_xa", "legacy_text", encode("Xã Mỹ Yên")) in marks
    kinds = dict(warehouse.rows("SELECT kind, count(*) FROM kho.left_out GROUP BY kind"))
    assert kinds["total"] == 1 and kinds["group"] == 2 and kinds["title"] == 3
