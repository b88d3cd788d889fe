"""A corpus of ugly workbooks: what agencies really send, each with what must come of it."""

import datetime as dt
import struct
import unicodedata
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import pytest

from pipelines.contract import Contract
from pipelines.gate.headers import match
from pipelines.gate.readers import Source, Unreadable, read
from pipelines.gate.readers.spreadsheet import calamine
from tests.pipelines.ugly.books import Grid, Rows, html, ods, xls, xlsb, xlsx, xml2003
from tests.warehouse import Warehouse, column, contract, make_warehouse

COLUMNS = [
    column("ten_xa", title="Tên xã", required=True, primaryKey=True, synonyms=["Xã, phường", "Đơn vị hành chính"]),
    column("ma_xa", title="Mã xã"),
    column("so_ho", "integer", title="Số hộ"),
    column("kinh_phi", "number", title="Kinh phí"),
    column("ngay", "date", title="Ngày báo cáo"),
]
TWO_LEVELS = [
    column("ten_xa", title="Tên xã", required=True, primaryKey=True),
    column("ngheo_ho", "integer", title="Số hộ (hộ nghèo)"),
    column("ngheo_khau", "integer", title="Hộ nghèo / Số khẩu"),
    column("can_ngheo_ho", "integer", title="Hộ cận nghèo - Số hộ"),
    column("can_ngheo_khau", "integer", title="Hộ cận nghèo - Số khẩu"),
    column("ghi_chu", title="Ghi chú"),
]
RATES = [
    column("ten_xa", title="Tên xã", required=True, primaryKey=True),
    column("ty_le", "number", title="Tỷ lệ", unit="%"),
    column("he_so", "number", title="Hệ số"),
]
PAIRS = [column("ky", required=True, primaryKey=True), column("ma", required=True, primaryKey=True), column("so", "integer")]
CONTRACTS = {
    "plain": (COLUMNS, {}),
    "grouped": ([*COLUMNS, column("huyen", title="Huyện")], {"groupColumn": "huyen"}),
    "sheets": ([*COLUMNS, column("huyen", title="Huyện", required=True)], {"sheets": ["*"], "sheetColumn": "huyen"}),
    "named": (COLUMNS, {"sheets": ["Số liệu"]}),
    "positions": (COLUMNS, {"byPosition": True}),
    "pinned": (COLUMNS, {"headerRow": 4}),
    "levels": (TWO_LEVELS, {}),
    "rates": (RATES, {}),
    "pairs": (PAIRS, {}),
    "closed": ([column("nhom", required=True, primaryKey=True, values=["Nam", "Nữ", "Tổng số"]), column("so", "integer")], {}),
    "counted": ([column("stt", "integer", title="STT", required=True, primaryKey=True), column("ten", title="Tên")], {}),
}


def _raw_unit(columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A unit is a custom property in ODCS."""
    made = []
    for fields in columns:
        fields = dict(fields)
        if unit := fields.pop("unit", None):
            fields["customProperties"] = [*fields["customProperties"], {"property": "unit", "value": unit}]
        made.append(fields)
    return made


@pytest.fixture(scope="module")
def contracts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Contract]:
    warehouse = make_warehouse(tmp_path_factory.mktemp("ugly"))
    for name, (columns, reading) in CONTRACTS.items():
        facts = {"reading": reading} if reading else {}
        warehouse.add(contract(f"ugly/{name}", _raw_unit(columns), **facts))
    return {name: warehouse.intake().register.contracts[f"ugly/{name}"] for name in CONTRACTS}


@dataclass
class Ugly:
    """``rows`` are the expected values of the contract's columns that the file has, in the contract's order, None at the end cut.

    ``left`` are the expected (row, kind) of what is no data; ``said`` decisions that must be among those taken; ``sums`` the expected
    totals as (row, column, text, first row, last row).
    """

    what: str
    grids: list[Grid]
    rows: list[tuple[Any, ...]]
    left: list[tuple[int, str]]
    contract: str = "plain"
    write: Callable[..., Path] = xlsx
    suffix: str = ".xlsx"
    said: list[tuple[str, str]] = field(default_factory=list)
    unit: str | None = None
    unknown: list[str] = field(default_factory=list)
    sums: list[tuple[int, str, str, int, int]] | None = None

    def __str__(self) -> str:
        return self.what


HEAD = ["STT", "Tên xã", "Mã xã", "Số hộ", "Kinh phí"]
BODY: Rows = [[1, "An Thạnh", "07001", 120, 1.5], [2, "Bình Đức", "07002", 80, 2.25], [3, "Cần Đốt", "07003", 40, 3]]
GOOD = [("An Thạnh", "07001", "120", "1.5"), ("Bình Đức", "07002", "80", "2.25"), ("Cần Đốt", "07003", "40", "3")]
MOTTO: Rows = [
    ["ỦY BAN NHÂN DÂN", None, None, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM"],
    ["HUYỆN BẾN LỨC", None, None, "Độc lập - Tự do - Hạnh phúc"],
    [],
    ["BÁO CÁO TÌNH HÌNH HỘ NGHÈO QUÝ II NĂM 2023"],
    ["(Kèm theo Công văn số 123/UBND-VX ngày 05 tháng 7 năm 2023)"],
]
SIGNATURE: Rows = [
    [],
    [None, None, None, "Bến Lức, ngày 05 tháng 7 năm 2023"],
    ["Nơi nhận:", None, "NGƯỜI LẬP BIỂU", "CHỦ TỊCH"],
    ["- Như trên;", None, "(Ký, ghi rõ họ tên)", "(Ký tên, đóng dấu)"],
    ["- Lưu: VT.", None, "Trần Thị B", "Nguyễn Văn A"],
]


def nfd(text: str) -> str:
    return unicodedata.normalize("NFD", text)


def titles(rows: Rows, kind: str = "title", start: int = 1) -> list[tuple[int, str]]:
    return [(n, kind) for n, row in enumerate(rows, start) if row]


def hide_rows_and_columns(sheet: Any) -> None:
    sheet.row_dimensions[3].hidden = True
    sheet.column_dimensions["C"].hidden = True


def percent(sheet: Any) -> None:
    for row in (2, 3):
        for column_letter in "BC":
            sheet[f"{column_letter}{row}"].number_format = "0.0%"


def errors(sheet: Any) -> None:
    for place, text in (("D2", "#REF!"), ("E3", "#DIV/0!")):
        sheet[place] = text
        sheet[place].data_type = "e"


def dates(sheet: Any) -> None:
    sheet["B2"] = dt.date(2023, 6, 30)
    sheet["B3"] = dt.datetime.combine(dt.date(2023, 6, 30), dt.time(14, 30))
    sheet["B4"] = 45107  # a serial in a cell without a date's format stays the number that it is
    sheet["B5"] = dt.time(7, 30)


def noise(sheet: Any) -> None:
    sheet["C2"] = 0.1 + 0.2
    sheet["C3"] = 1234567.8
    sheet["C4"] = 1e15
    sheet["C5"] = 4.35 * 100


def wide(sheet: Any) -> None:
    sheet["XFD1"].number_format = "0.00"  # formatting without a value is no column
    sheet["A1048576"].number_format = "0.00"


UGLY = [
    Ugly("clean", [Grid([HEAD, *BODY])], GOOD, [(1, "header")], said=[("ignored_column", "STT")]),
    Ugly("title block and motto", [Grid([*MOTTO, HEAD, *BODY])], GOOD, [*titles(MOTTO), (6, "header")], said=[("header_row", "6")]),
    Ugly(
        "signatures under the table",
        [Grid([HEAD, *BODY, *SIGNATURE])],
        GOOD,
        [(1, "header"), *titles(SIGNATURE, "signature", 5)],
    ),
    Ugly(
        "numbers under the header",
        [Grid([HEAD, ["(1)", "(2)", "(3)", "(4)", "(5)=(3)+(4)"], *BODY])],
        GOOD,
        [(1, "header"), (2, "number_row")],
    ),
    Ugly("letters and bare numbers under the header", [Grid([HEAD, ["A", "B", 1, 2, 3], *BODY])], GOOD, [(1, "header"), (2, "number_row")]),
    Ugly("bare numbers under the header", [Grid([HEAD, [1, 2, 3, 4, 5], *BODY])], GOOD, [(1, "header"), (2, "number_row")]),
    Ugly(
        "a first row that only looks like numbers of columns",
        [Grid([["stt", "ten"], [1, 2], [2, 3]])],
        [("1", "2"), ("2", "3")],
        [(1, "header")],
        contract="counted",
        said=[],
    ),
    Ugly(
        "total at the end",
        [Grid([HEAD, *BODY, [None, "Tổng cộng", None, 240, 6.75]])],
        GOOD,
        [(1, "header"), (5, "total")],
        sums=[(5, "Số hộ", "240", 2, 4), (5, "Kinh phí", "6.75", 2, 4)],
    ),
    Ugly(
        "total first, in the counter's column, merged",
        [Grid([HEAD, ["TỔNG SỐ", None, None, 240, 6.75], *BODY], merged=[(2, 1, 2, 3)])],
        GOOD,
        [(1, "header"), (2, "total")],
        sums=[(2, "Số hộ", "240", 3, 5), (2, "Kinh phí", "6.75", 3, 5)],
    ),
    Ugly(
        "subtotals in the middle",
        [Grid([HEAD, BODY[0], ["Cộng", None, None, 120], *BODY[1:], ["Cộng", None, None, 120], ["Tổng cộng", None, None, 240]])],
        GOOD,
        [(1, "header"), (3, "total"), (6, "total"), (7, "total")],
        sums=[(3, "Số hộ", "120", 2, 2), (6, "Số hộ", "120", 4, 5), (7, "Số hộ", "240", 2, 5)],
    ),
    Ugly(
        "named subtotals",
        [Grid([HEAD, *BODY, [None, "Cộng huyện Bến Lức", None, 240, 6.75]])],
        GOOD,
        [(1, "header"), (5, "subtotal")],
    ),
    Ugly(
        "roman groups become a column",
        [Grid([HEAD, ["I", "Huyện Bến Lức"], *BODY[:2], ["II", "Huyện Cần Đước"], BODY[2]])],
        [(*GOOD[0], None, "Huyện Bến Lức"), (*GOOD[1], None, "Huyện Bến Lức"), (*GOOD[2], None, "Huyện Cần Đước")],
        [(1, "header"), (2, "group"), (5, "group")],
        contract="grouped",
    ),
    Ugly(
        "groups with figures and no contract column",
        [Grid([HEAD, ["I", "Huyện Bến Lức", None, 200, 3.75], *BODY[:2], ["II", "Huyện Cần Đước", None, 40, 3], BODY[2]])],
        GOOD,
        [(1, "header"), (2, "group"), (5, "group")],
        said=[("groups", "2")],
        sums=[(2, "Số hộ", "200", 3, 4), (2, "Kinh phí", "3.75", 3, 4), (5, "Số hộ", "40", 6, 6), (5, "Kinh phí", "3", 6, 6)],
    ),
    Ugly(
        "groups with figures in the first column, and names that only look numbered",
        [Grid([HEAD[1:], ["I. Huyện Bến Lức", None, 200, 4], ["H. Hưng", "1", 120, 1.5], ["Đ. Hùng Vương", "2", 80, 2.5]])],
        [("H. Hưng", "1", "120", "1.5", None, "Huyện Bến Lức"), ("Đ. Hùng Vương", "2", "80", "2.5", None, "Huyện Bến Lức")],
        [(1, "header"), (2, "group")],
        contract="grouped",
    ),
    Ugly(
        "groups where the header has their column too",
        [Grid([[*HEAD, "Huyện"], ["I", "Huyện Bến Lức"], [*BODY[0], None], [*BODY[1], "Thị xã Kiến Tường"]])],
        [(*GOOD[0], None, "Huyện Bến Lức"), (*GOOD[1], None, "Thị xã Kiến Tường")],
        [(1, "header"), (2, "group")],
        contract="grouped",
    ),
    Ugly(
        "formulas without a result where nothing is lost",
        [Grid([HEAD, ["=ROW()-1", *BODY[0][1:]], ["Tổng cộng", None, None, "=SUM(D2:D2)", "=SUM(E2:E2)"]])],
        GOOD[:1],
        [(1, "header"), (3, "total")],
    ),
    Ugly(
        "headers that differ only in signs",
        [Grid([["Tên xã", "Số hộ", "Số hộ!"], ["An Thạnh", 1, None]])],
        [("An Thạnh", None, "1")],
        [(1, "header")],
        unknown=["Số hộ!"],
    ),
    Ugly(
        "groups in one cell, merged across",
        [Grid([HEAD[1:], ["I. Huyện Bến Lức"], *(row[1:] for row in BODY[:2]), ["Huyện Cần Đước"], BODY[2][1:]], merged=[(5, 1, 5, 4)])],
        [(*GOOD[0], None, "Huyện Bến Lức"), (*GOOD[1], None, "Huyện Bến Lức"), (*GOOD[2], None, "Huyện Cần Đước")],
        [(1, "header"), (2, "group"), (5, "group")],
        contract="grouped",
    ),
    Ugly(
        "header repeated on every printed page",
        [
            Grid(
                [
                    MOTTO[3],
                    HEAD,
                    ["(1)", "(2)", "(3)", "(4)", "(5)"],
                    BODY[0],
                    ["Trang 1/2"],
                    MOTTO[3],
                    HEAD,
                    ["(1)", "(2)", "(3)", "(4)", "(5)"],
                    *BODY[1:],
                    ["Trang 2/2"],
                ]
            )
        ],
        GOOD,
        [(1, "title"), (2, "header"), (3, "number_row"), (5, "title"), (6, "title"), (7, "header"), (8, "number_row"), (11, "note")],
    ),
    Ugly(
        "notes and sources",
        [Grid([HEAD, *BODY, ["Ghi chú: số liệu ước tính"], ["Nguồn: Phòng Lao động"], ["(*) kể cả tạm trú"]])],
        GOOD,
        [(1, "header"), (5, "note"), (6, "note"), (7, "note")],
    ),
    Ugly(
        "two header rows, merged",
        [
            Grid(
                [
                    ["TT", "Tên xã", "Hộ nghèo", None, "Hộ cận nghèo", None, "Ghi chú"],
                    [None, None, "Số hộ", "Số khẩu", "Số hộ", "Số khẩu", None],
                    [1, "An Thạnh", 1, 2, 3, 4, "x"],
                ],
                merged=[(1, 1, 2, 1), (1, 2, 2, 2), (1, 3, 1, 4), (1, 5, 1, 6), (1, 7, 2, 7)],
            )
        ],
        [("An Thạnh", "1", "2", "3", "4", "x")],
        [(1, "header"), (2, "header")],
        contract="levels",
    ),
    Ugly(
        "two header rows that say no merging (XLS)",
        [
            Grid(
                [
                    ["Tên xã", "Hộ nghèo", None, "Hộ cận nghèo", None, "Ghi chú"],
                    [None, "Số hộ", "Số khẩu", "Số hộ", "Số khẩu", None],
                    ["An Thạnh", 1, 2, 3, 4, "x"],
                ]
            )
        ],
        [("An Thạnh", "1", "2", "3", "4", "x")],
        [(1, "header"), (2, "header")],
        contract="levels",
        write=xls,
        suffix=".xls",
    ),
    Ugly(
        "three header rows under a title",
        [
            Grid(
                [
                    ["BIỂU SỐ 2"],
                    ["Tên xã", "Kết quả rà soát"],
                    [None, "Hộ nghèo", None, "Hộ cận nghèo"],
                    [None, "Số hộ", "Số khẩu", "Số hộ", "Số khẩu"],
                    ["An Thạnh", 1, 2, 3, 4],
                ],
                merged=[(1, 1, 1, 5), (2, 1, 4, 1), (2, 2, 2, 5), (3, 2, 3, 3), (3, 4, 3, 5)],
            )
        ],
        [("An Thạnh", "1", "2", "3", "4")],
        [(1, "title"), (2, "header"), (3, "header"), (4, "header")],
        contract="levels",
    ),
    Ugly("headers without accents, in capitals", [Grid([["stt", "TEN XA", "MA XA", "SO HO", "KINH PHI"], *BODY])], GOOD, [(1, "header")]),
    Ugly(
        "headers by synonym, broken over lines",
        [Grid([["Số\nTT", "Xã,\n phường", "Mã  xã", "Số\nhộ", "Kinh phí (*)"], *BODY])],
        GOOD,
        [(1, "header")],
    ),
    Ugly(
        "columns in another order",
        [Grid([["Kinh phí", "Số hộ", "Tên xã"], [1.5, 120, "An Thạnh"]])],
        [("An Thạnh", None, "120", "1.5")],
        [(1, "header")],
    ),
    Ugly("the table starts at C4", [Grid([[], [], [], [None, None, *HEAD], *([None, None, *row] for row in BODY)])], GOOD, [(4, "header")]),
    Ugly(
        "the table starts at C4 (XLS)",
        [Grid([[], [], [], [None, None, *HEAD], *([None, None, *row] for row in BODY)])],
        GOOD,
        [(4, "header")],
        write=xls,
        suffix=".xls",
    ),
    Ugly(
        "the table starts at C4 (ODS)",
        [Grid([[], [], [], [None, None, *HEAD], *([None, None, *row] for row in BODY)])],
        GOOD,
        [(4, "header")],
        write=ods,
        suffix=".ods",
    ),
    Ugly(
        "the table starts at C4 (XLSB)",
        [Grid([[], [], [], [None, None, *HEAD], *([None, None, *row] for row in BODY)])],
        GOOD,
        [(4, "header")],
        write=xlsb,
        suffix=".xlsb",
    ),
    Ugly(
        "decomposed letters, as Macs write them",
        [Grid([[nfd(text) for text in HEAD], [1, "An", "1", 5, 1], [None, nfd("Tổng cộng"), None, 5, 1], [nfd("Người lập biểu")]])],
        [("An", "1", "5", "1")],
        [(1, "header"), (3, "total"), (4, "signature")],
    ),
    Ugly("blank rows inside", [Grid([HEAD, BODY[0], [], [" "], BODY[1], [], BODY[2]])], GOOD, [(1, "header")]),
    Ugly(
        "a note beside the table",
        [Grid([HEAD, *BODY, [None, None, None, None, None, None, "kiểm tra lại"]])],
        GOOD,
        [(1, "header"), (5, "note")],
    ),
    Ugly(
        "hidden rows and columns are read",
        [Grid([HEAD, *BODY], touch=hide_rows_and_columns)],
        GOOD,
        [(1, "header")],
        said=[("hidden_rows", "1"), ("hidden_columns", "C")],
    ),
    Ugly(
        "a name merged over several rows",
        [Grid([["ky", "ma", "so"], ["202306", "a", 1], [None, "b", 2], ["202307", "a", 3]], merged=[(2, 1, 3, 1)])],
        [("202306", "a", "1"), ("202306", "b", "2"), ("202307", "a", "3")],
        [(1, "header")],
        contract="pairs",
        said=[("merged_cells", "A")],
    ),
    Ugly(
        "hidden sheets and other sheets",
        [
            Grid([["Danh mục"], ["x"]], name="Bìa"),
            Grid([HEAD, *BODY]),
            Grid([HEAD, *BODY], name="Cũ", state="hidden"),
            Grid([HEAD], name="Rất ẩn", state="veryHidden"),
        ],
        GOOD,
        [(1, "header")],
        said=[("sheet", "Biểu 1"), ("hidden_sheet", "Cũ"), ("hidden_sheet", "Rất ẩn"), ("other_sheet", "Bìa")],
    ),
    Ugly(
        "a sheet for each district, the header written differently",
        [Grid([HEAD, *BODY[:2]], name="Bến Lức"), Grid([["Ten xa", "ma_xa", "SỐ HỘ", "kinh phi"], BODY[2][1:]], name="Cần Đước")],
        [(*GOOD[0], None, "Bến Lức"), (*GOOD[1], None, "Bến Lức"), (*GOOD[2], None, "Cần Đước")],
        [(1, "header"), (1, "header")],
        contract="sheets",
        said=[("sheet", "Bến Lức"), ("sheet", "Cần Đước")],
    ),
    Ugly(
        "several sheets that fit are one",
        [Grid([HEAD, *BODY[:2]], name="1"), Grid([HEAD, BODY[2]], name="2")],
        GOOD,
        [(1, "header"), (1, "header")],
    ),
    Ugly(
        "the contract names the sheet, hidden though it is",
        [Grid([HEAD, [9, "Khác"]], name="Bìa"), Grid([HEAD, *BODY], name="Số liệu", state="hidden")],
        GOOD,
        [(1, "header")],
        contract="named",
    ),
    Ugly(
        "the unit in the title",
        [Grid([["BIỂU 1"], [None, None, None, "ĐVT: triệu đồng"], HEAD, *BODY])],
        GOOD,
        [(1, "title"), (2, "title"), (3, "header")],
        unit="triệu đồng",
    ),
    Ugly(
        "the unit beside the agency",
        [Grid([["Đơn vị: Sở Tư pháp", None, None, "(Đơn vị tính: 1.000 đồng)"], HEAD, *BODY])],
        GOOD,
        [(1, "title"), (2, "header")],
        unit="1.000 đồng",
    ),
    Ugly("an agency is no unit", [Grid([["Đơn vị: Sở Tư pháp"], HEAD, *BODY])], GOOD, [(1, "title"), (2, "header")], unit=None),
    Ugly(
        "error cells are seen",
        [Grid([HEAD, *BODY], touch=errors)],
        [("An Thạnh", "07001", "#REF!", "1.5"), ("Bình Đức", "07002", "80", "#DIV/0!"), GOOD[2]],
        [(1, "header")],
    ),
    Ugly(
        "dates, times and serials",
        [Grid([["Tên xã", "Ngày báo cáo"], ["a"], ["b"], ["c"], ["d"]], touch=dates)],
        [
            ("a", None, None, None, "2023-06-30"),
            ("b", None, None, None, "2023-06-30 14:30:00"),
            ("c", None, None, None, "45107"),
            ("d", None, None, None, "07:30:00"),
        ],
        [(1, "header")],
    ),
    Ugly(
        "binary noise in numbers",
        [Grid([["Tên xã", "Mã xã", "Kinh phí"], ["a"], ["b"], ["c"], ["d"]], touch=noise)],
        [("a", None, None, "0.3"), ("b", None, None, "1234567.8"), ("c", None, None, "1000000000000000"), ("d", None, None, "435")],
        [(1, "header")],
    ),
    Ugly(
        "percentages follow the contract's unit",
        [Grid([["Tên xã", "Tỷ lệ", "Hệ số"], ["a", 0.125, 0.125], ["b", 0.07, 1.1], ["c", 12.5, 2]], touch=percent)],
        [("a", "12.5", "0.125"), ("b", "7", "1.1"), ("c", "12.5", "2")],
        [(1, "header")],
        contract="rates",
        said=[("percent", "B")],
    ),
    Ugly("formatting far beyond the data", [Grid([HEAD, *BODY], touch=wide)], GOOD, [(1, "header")]),
    Ugly(
        "by position, whatever the header says",
        [Grid([["Col1", "Col2", "Col3", "Col4"], *(row[1:] for row in BODY)])],
        GOOD,
        [(1, "header")],
        contract="positions",
    ),
    Ugly(
        "the header's row is pinned",
        [Grid([HEAD, [], ["Bảng đúng"], HEAD[1:], *(row[1:] for row in BODY)])],
        GOOD,
        [(1, "title"), (3, "title"), (4, "header")],
        contract="pinned",
    ),
    Ugly(
        "`Tổng số` where the closed list has it",
        [Grid([["nhom", "so"], ["Nam", 1], ["Nữ", 2], ["Tổng số", 3]])],
        [("Nam", "1"), ("Nữ", "2"), ("Tổng số", "3")],
        [(1, "header")],
        contract="closed",
    ),
    Ugly(
        "names that begin like totals",
        [Grid([HEAD, [1, "Cộng Hòa", "1", 5, 1], [2, "Công Lý", "2", 6, 1], [None, "Tổng Cọt", "3", 7, 1]])],
        [("Cộng Hòa", "1", "5", "1"), ("Công Lý", "2", "6", "1"), ("Tổng Cọt", "3", "7", "1")],
        [(1, "header")],
    ),
    Ugly(
        "an incomplete row stays, to be judged",
        [Grid([HEAD, BODY[0], [2, "Bình Đức"], BODY[2], [4, None, "07004", 12, 1]])],
        [GOOD[0], ("Bình Đức",), GOOD[2], (None, "07004", "12", "1")],
        [(1, "header")],
    ),
    Ugly(
        "XLS",
        [Grid([*MOTTO, HEAD, *BODY, *SIGNATURE])],
        GOOD,
        [*titles(MOTTO), (6, "header"), *titles(SIGNATURE, "signature", 10)],
        write=xls,
        suffix=".xls",
    ),
    Ugly(
        "XLS with a hidden sheet and a date",
        [Grid([["Tên xã", "Ngày báo cáo"], ["a", dt.date(2023, 6, 30)]]), Grid([HEAD, *BODY], name="Ẩn", state="hidden")],
        [("a", None, None, None, "2023-06-30")],
        [(1, "header")],
        write=xls,
        suffix=".xls",
        said=[("hidden_sheet", "Ẩn")],
    ),
    Ugly(
        "ODS",
        [Grid([*MOTTO, HEAD, *BODY, [None, "Tổng cộng", None, 240], *SIGNATURE])],
        GOOD,
        [*titles(MOTTO), (6, "header"), (10, "total"), *titles(SIGNATURE, "signature", 11)],
        write=ods,
        suffix=".ods",
    ),
    Ugly(
        "ODS with dates",
        [Grid([["Tên xã", "Ngày báo cáo"], ["a", dt.date(2023, 6, 30)]])],
        [("a", None, None, None, "2023-06-30")],
        [(1, "header")],
        write=ods,
        suffix=".ods",
    ),
    Ugly("XLSM", [Grid([HEAD, *BODY])], GOOD, [(1, "header")], suffix=".xlsm"),
    Ugly(
        "XLSB",
        [Grid([MOTTO[3], HEAD, *BODY, [None, "Tổng cộng", None, 240]])],
        GOOD,
        [(1, "title"), (2, "header"), (6, "total")],
        write=xlsb,
        suffix=".xlsb",
    ),
    Ugly(
        "ODS with a hidden sheet",
        [Grid([HEAD, *BODY]), Grid([HEAD, *BODY], name="Ẩn", state="hidden")],
        GOOD,
        [(1, "header")],
        write=ods,
        suffix=".ods",
        said=[("hidden_sheet", "Ẩn")],
    ),
    Ugly(
        "the unit in the header",
        [Grid([["Tên xã", "TỶ LỆ (%)", "Hệ số"], ["a", 5, 1.5]])],
        [("a", "5", "1.5")],
        [(1, "header")],
        contract="rates",
    ),
    Ugly(
        "a web page called .xls",
        [Grid([*MOTTO[3:], HEAD, *BODY])],
        GOOD,
        [(1, "title"), (2, "title"), (3, "header")],
        write=html,
        suffix=".xls",
        said=[("kind", "html")],
    ),
    Ugly(
        "a web page with spans",
        [
            Grid(
                [
                    ["Tên xã", "Hộ nghèo", None, "Hộ cận nghèo", None],
                    [None, "Số hộ", "Số khẩu", "Số hộ", "Số khẩu"],
                    ["An Thạnh", 1, 2, 3, 4],
                ],
                merged=[(1, 1, 2, 1), (1, 2, 1, 3), (1, 4, 1, 5)],
            )
        ],
        [("An Thạnh", "1", "2", "3", "4")],
        [(1, "header"), (2, "header")],
        contract="levels",
        write=html,
        suffix=".xls",
    ),
    Ugly(
        "XML of Excel 2003",
        [Grid([*MOTTO, HEAD, *BODY])],
        GOOD,
        [*titles(MOTTO), (6, "header")],
        write=xml2003,
        suffix=".xls",
        said=[("kind", "xml")],
    ),
    Ugly("an XLSX called .xls", [Grid([HEAD, *BODY])], GOOD, [(1, "header")], suffix=".xls"),
    Ugly("an XLS called .xlsx", [Grid([HEAD, *BODY])], GOOD, [(1, "header")], write=xls),
]


@pytest.mark.parametrize("ugly", UGLY, ids=str)
def test_what_an_agency_sends_is_read_as_it_is_meant(ugly: Ugly, contracts: dict[str, Contract], tmp_path: Path) -> None:
    file = ugly.write(tmp_path / f"báo cáo{ugly.suffix}", *ugly.grids)
    with duckdb.connect() as connection:
        source = read(connection, file, contracts[ugly.contract])
        found, numbers = values(connection, source, contracts[ugly.contract], ugly.unknown)
        left = connection.execute(source.left_out or "SELECT 0, '', '' WHERE false").fetchall()
    width = len(contracts[ugly.contract].columns)
    assert found == [row + (None,) * (width - len(row)) for row in ugly.rows]
    assert [(number, kind) for number, kind, _ in left] == ugly.left
    assert source.unit == ugly.unit
    decided = {(decision.what, decision.value) for decision in source.decisions}
    assert {(what, value) for what, value in ugly.said} <= decided
    if ugly.sums is not None:
        assert [(t.row_number, t.column, t.text, t.first_row, t.last_row) for t in source.totals] == ugly.sums
    # Nothing is lost and nothing is there twice: each row with anything in it is data or left out.
    read_sheets = [grid for grid in ugly.grids if ("sheet", grid.name) in decided] or ugly.grids
    assert sorted([*numbers, *(number for number, _, _ in left)]) == sorted(
        n for grid in read_sheets for n in grid.filled if grid.rows[n - 1] != [" "]
    )


def values(
    connection: duckdb.DuckDBPyConnection, source: Source, wanted: Contract, unknown: list[str]
) -> tuple[list[tuple[Any, ...]], list[int]]:
    """The rows as the contract's columns, all of which must be there, and their numbers in the file."""
    mapping = match(wanted, source.header)
    assert ([name for name, _ in mapping.unknown], mapping.missing) == (unknown, []), source.header
    names = ['"' + mapping.columns[c.name] + '"' if c.name in mapping.columns else "NULL" for c in wanted.columns]
    rows = connection.execute(f"SELECT {', '.join(names)}, {source.row} FROM {source.relation}").fetchall()
    return [row[:-1] for row in rows], [row[-1] for row in rows]


def test_without_a_contract_the_row_that_looks_like_a_header_is_one(tmp_path: Path) -> None:
    grid = Grid([*MOTTO, HEAD, ["(1)", "(2)", "(3)", "(4)", "(5)"], *BODY, [None, "Tổng cộng", None, 240], *SIGNATURE])
    with duckdb.connect() as connection:
        source = read(connection, xlsx(tmp_path / "a.xlsx", grid))
        names = ", ".join(f'"{name}"' for name in source.header)
        rows = connection.execute(f"SELECT {names} FROM {source.relation}").fetchall()
    assert (source.header, rows) == (HEAD[1:], GOOD)


def test_an_unknown_column_keeps_its_place_in_the_report(contracts: dict[str, Contract], tmp_path: Path) -> None:
    grid = Grid([[*HEAD, "Ghi chú"], [*BODY[0], "x", "không tên"]])
    with duckdb.connect() as connection:
        source = read(connection, xlsx(tmp_path / "a.xlsx", grid), contracts["plain"])
    assert [name for name, _ in match(contracts["plain"], source.header).unknown] == ["Ghi chú", "(cột G)"]


def test_a_csv_called_xls_is_read_as_csv(contracts: dict[str, Contract], tmp_path: Path) -> None:
    file = tmp_path / "a.xls"
    file.write_text("Tên xã;Số hộ\nAn Thạnh;12\n", encoding="utf-8")
    with duckdb.connect() as connection:
        source = read(connection, file, contracts["plain"])
        assert connection.execute(f'SELECT "Tên xã", "Số hộ" FROM {source.relation}').fetchall() == [("An Thạnh", "12")]
    assert source.decisions[0].value == "text"


# What cannot be taken, and the word that must be in the reason.


def unsaved(path: Path) -> None:
    xlsx(path, Grid([HEAD, *BODY, [4, "Dương", "07004", "=SUM(D2:D4)", 1], [None, "Tổng cộng", None, "=SUM(D2:D5)"]]))


def locked(path: Path) -> None:
    """The frame of an encrypted package: an OLE file whose directory names the stream `EncryptedPackage`."""
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 1016 + "EncryptedPackage".encode("utf-16-le") + b"\0" * 480)


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/workbook.xml", "<workbook/>")
        with package.open("xl/sharedStrings.xml", "w") as part:
            for _ in range(100):
                part.write(b"\0" * (1 << 20))


def damaged(path: Path) -> None:
    """Four bytes of the index that make a parser ask for 16 GB at once, and its process end."""
    content = bytearray(xls(path, Grid([HEAD, *BODY])).read_bytes())
    content[44:48] = b"\xf0\xff\xff\xff"
    path.write_bytes(content)


def cut_off(path: Path) -> None:
    whole = xlsx(path, Grid([HEAD, *BODY])).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def document(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("word/document.xml", "<w/>")


def far_corner(path: Path) -> None:
    xlsx(path, Grid([HEAD, *BODY], touch=lambda sheet: sheet.cell(1_048_576, 16_384, "x")))


def ten_thousand_columns(path: Path) -> None:
    xlsx(path, Grid([[f"c{n}" for n in range(10_000)], list(range(10_000))]))


def tall_and_wide(path: Path) -> None:
    xlsx(path, Grid([HEAD, *BODY], touch=lambda sheet: (sheet.cell(1_048_576, 1, "x"), sheet.cell(1, 300, "y"))))


def repeated(path: Path) -> None:
    ods(path, Grid([HEAD, *BODY]))
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    parts["content.xml"] = (
        parts["content.xml"]
        .replace(b"<table:table-row>", b'<table:table-row table:number-rows-repeated="1000000">', 2)
        .replace(b"<table:table-cell office", b'<table:table-cell table:number-columns-repeated="1000" office', 1)
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(name, content)


def unsaved_in_ods(path: Path) -> None:
    ods(path, Grid([HEAD, *BODY]))
    with zipfile.ZipFile(path) as package:
        content = (
            package.read("content.xml")
            .replace(b"<table:table-cell/>", b"")
            .replace(
                b"</table:table-row></table:table>",
                b'<table:table-cell table:formula="of:=SUM([.D2:.D3])"/></table:table-row></table:table>',
            )
        )
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        package.writestr("content.xml", content)


def chart_only(path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_chartsheet("Biểu đồ")
    book.save(path)


def pivot_only(path: Path) -> None:
    xlsx(path, Grid([[]]))
    with zipfile.ZipFile(path, "a") as package:
        package.writestr("xl/pivotTables/pivotTable1.xml", "<x/>")


def all_hidden_but_empty(path: Path) -> None:
    xlsx(path, Grid([[]]), Grid([HEAD, *BODY], name="Ẩn", state="hidden"))


def units_differ(path: Path) -> None:
    xlsx(path, *(Grid([[f"ĐVT: {unit}"], HEAD, BODY[n]], name=str(n)) for n, unit in enumerate(("triệu đồng", "nghìn đồng"))))


@pytest.mark.parametrize(
    ("make", "vi", "en", "suffix"),
    [
        (unsaved, "D5", "1 formulas have no saved result", ".xlsx"),
        (locked, "mật khẩu", "password", ".xlsx"),
        (locked, "mật khẩu", "password", ".xls"),
        (bomb, "bom nén", "zip bomb", ".xlsx"),
        (cut_off, "hỏng", "damaged", ".xlsx"),
        (damaged, "hỏng", "damaged", ".xls"),
        (document, "docx", "docx", ".xlsx"),
        (lambda path: path.write_bytes(b"%PDF-1.7 ..."), "PDF", "PDF", ".xlsx"),
        (lambda path: path.write_text("không phải sổ tính"), "không phải sổ tính", "none", ".xlsx"),
        (lambda path: path.write_bytes(bytes(range(256)) * 8), "không phải sổ tính", "none", ".xls"),
        (far_corner, "16384 cột", "16384 columns", ".xlsx"),
        (ten_thousand_columns, "10000 cột", "10000 columns", ".xlsx"),
        (tall_and_wide, "1048576 hàng × 300 cột", "1048576 rows × 300 columns", ".xlsx"),
        (
            lambda path: xlsx(path, Grid([HEAD, *BODY], touch=lambda sheet: sheet.cell(1_048_576, 2, "x"))),
            "hàng cuối cùng",
            "last row",
            ".xlsx",
        ),
        (lambda path: xls(path, Grid([HEAD, *BODY, *[[]] * 65_531, [1]])), "hàng cuối cùng", "last row", ".xls"),
        (lambda path: xlsx(path, Grid([[1, 2], [3, 4]])), "không thấy hàng tiêu đề", "no header", ".xlsx"),
        (repeated, "ô lặp lại", "repeated cells", ".ods"),
        (unsaved_in_ods, "1 ô công thức", "1 formulas have no saved result", ".ods"),
        (chart_only, "không có bảng nào", "no table", ".xlsx"),
        (pivot_only, "PivotTable", "pivot", ".xlsx"),
        (all_hidden_but_empty, "không có bảng nào", "no table", ".xlsx"),
        (units_differ, "triệu đồng", "different units", ".xlsx"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_cannot_be_taken_is_refused_with_its_reason(
    make: Callable[[Path], Any], vi: str, en: str, suffix: str, contracts: dict[str, Contract], tmp_path: Path
) -> None:
    file = tmp_path / f"a{suffix}"
    make(file)
    with duckdb.connect() as connection, pytest.raises(Unreadable) as refused:
        read(connection, file, contracts["plain"])
    assert vi in refused.value.vi and en in refused.value.en


def test_a_file_that_sends_the_parser_round_in_circles_is_given_up(
    contracts: dict[str, Contract], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain of sectors that holds the directory of an XLS points at itself; the next workbook is read as if nothing had been."""
    file = xls(tmp_path / "a.xls", Grid([HEAD, *BODY]))
    content = bytearray(file.read_bytes())
    directory, index = struct.unpack_from("<I", content, 48)[0], struct.unpack_from("<I", content, 76)[0]
    struct.pack_into("<I", content, 512 * (index + 1) + 4 * directory, directory)
    file.write_bytes(content)
    with duckdb.connect() as connection:
        with monkeypatch.context() as impatient:
            impatient.setattr(calamine, "SECONDS", 0.5)
            with pytest.raises(Unreadable, match="damaged"):
                read(connection, file, contracts["plain"])
        read(connection, xls(tmp_path / "b.xls", Grid([HEAD, *BODY])), contracts["plain"])


def test_a_sheet_that_the_contract_names_must_be_there_and_fit(contracts: dict[str, Contract], tmp_path: Path) -> None:
    with duckdb.connect() as connection:
        with pytest.raises(Unreadable, match="no sheet Số liệu; the file has: Biểu 1"):
            read(connection, xlsx(tmp_path / "a.xlsx", Grid([HEAD, *BODY])), contracts["named"])
        with pytest.raises(Unreadable, match="Số liệu lacks required columns: ten_xa"):
            read(connection, xlsx(tmp_path / "b.xlsx", Grid([["Mã xã"], ["1"]], name="Số liệu")), contracts["named"])


def test_the_ledger_keeps_what_was_left_out_and_why_the_file_was_read_so(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.add(contract("ugly/plain", COLUMNS))
    grid = Grid([*MOTTO, HEAD, *BODY, [4, "Dương", "07004", "nhiều", 1], ["Tổng cộng", None, None, 240], *SIGNATURE])
    warehouse.drop("ugly/plain", "bao-cao.xlsx", xlsx(tmp_path / "a.xlsx", grid).read_bytes())
    outcome = warehouse.take("ugly/plain")
    assert (outcome.verdict, outcome.rows_read, outcome.rows_accepted, outcome.rows_quarantined) == ("partial", 4, 3, 1)
    assert outcome.rows_read + outcome.rows_left_out == len(grid.filled)
    assert warehouse.rows("SELECT row_number, column_name, value FROM kho.quarantine") == [(10, "so_ho", "nhiều")]
    kinds = warehouse.rows("SELECT kind, count(*) FROM kho.left_out GROUP BY kind ORDER BY kind")
    assert kinds == [("header", 1), ("signature", 4), ("title", 4), ("total", 1)]
    assert "header_row" in warehouse.rows("SELECT CAST(reading AS VARCHAR) FROM kho.ledger")[0][0]
