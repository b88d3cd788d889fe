"""Delimited files as agencies send them: every line is a row or left out by name, whatever is wrong with the file."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import dialects, polluted
from pipelines.gate.readers import Unreadable
from pipelines.sql import literal
from tests.pipelines.readers import NAMES, contract, open_file

HEADER = "ma_to,loai,ten,tu_ngay,so_nguoi,ty_le\n"
A, B = "A,Xã,Tổ một,2023-01-01,5,1.5\n", "B,Phường,Tổ hai,01/03/2023,7,2\n"


def test_spoilt_files_load_as_what_they_hold(tmp_path: Path) -> None:
    found = dialects.score(tmp_path)
    assert [kind for kind, verdicts in found.items() if not verdicts["kho"]] == []
    assert sum(v["duckdb"] for v in found.values()) < len(found) / 2


def test_a_clean_file_is_one_read_of_typed_columns(tmp_path: Path) -> None:
    opened = open_file(tmp_path, "a.csv", "Báo cáo\n" + HEADER + A + B, contract(tmp_path))
    assert opened.source.csv is not None and opened.source.csv["skip"] == "2"
    assert opened.source.file == tmp_path / "a.csv"
    assert opened.numbers == [3, 4] and opened.source.first_row == 3
    assert opened.kinds == [(1, "title"), (2, "header")]


def test_every_line_of_a_page_is_named(tmp_path: Path) -> None:
    page = (
        "UỶ BAN NHÂN DÂN TỈNH,,,,,\n"  # 1
        "\n"  # 2
        + HEADER  # 3
        + "(1),(2),(3),(4),(5),(6)\n"  # 4
        + A  # 5
        + "# sang trang\n"  # 6
        + HEADER  # 7
        + B  # 8
        + ",,,,,\n"  # 9
        + "Tổng cộng,,,,12,\n"  # 10
        + "Nơi nhận:\n"  # 11
        + "\n"  # 12
        + "Quý,Số hồ sơ\n"  # 13
        + "I,7\n"  # 14
    )
    opened = open_file(tmp_path, "a.csv", page, contract(tmp_path))
    assert opened.column("ma_to") == ["A", "B"] and opened.numbers == [5, 8] and opened.faults == [None, None]
    assert opened.kinds == [
        (1, "title"), (2, "blank"), (3, "header"), (4, "header"), (6, "comment"), (7, "header"), (9, "blank"),
        (10, "total"), (11, "note"), (12, "blank"), (13, "table"), (14, "table"),
    ]  # fmt: skip
    [total] = opened.source.totals
    assert (total.row_number, total.column, total.text, total.first_row, total.last_row) == (10, "so_nguoi", "12", 5, 8)


def test_subtotals_cover_the_rows_since_the_last(tmp_path: Path) -> None:
    page = HEADER + A + B + "Cộng,,,,12,\n" + "C,Xã,Tổ ba,,3,\n" + "Cộng,,,,3,\nTổng số,,,,15,\n"
    totals = open_file(tmp_path, "a.csv", page, contract(tmp_path)).source.totals
    assert [(t.row_number, t.text, t.first_row, t.last_row) for t in totals] == [(4, "12", 2, 3), (6, "3", 5, 5), (7, "15", 2, 5)]


def test_a_company_that_begins_like_a_total_is_a_row(tmp_path: Path) -> None:
    page = HEADER + "A,Xã,Tổng công ty Cấp nước,,5,\nB,Xã,Cộng đồng số,,5,\nTổng cộng,Xã,có mã,,1,\n\nC,x,,,,\n"
    opened = open_file(tmp_path, "a.csv", page, contract(tmp_path))
    assert opened.column("ten")[:2] == ["Tổng công ty Cấp nước", "Cộng đồng số"]


def test_broken_rows_are_kept_with_what_is_wrong(tmp_path: Path) -> None:
    page = HEADER + A + "B,Xã\n" + "C,Xã,Tổ, ba,2023-01-01,5,1\n" + "D,X\x00ã,,,,\n" + "E,Xã,,,1,1\n"
    opened = open_file(tmp_path, "a.csv", page, contract(tmp_path))
    assert opened.numbers == [2, 3, 4, 5, 6]
    assert opened.faults == [None, "short", "long", "nul", None]
    assert opened.rows[2]["ty_le"] == "5,1" and opened.rows[3]["loai"] == "Xã"


def test_records_over_several_lines_have_the_number_of_their_first(tmp_path: Path) -> None:
    page = HEADER + 'A,Xã,"Tổ\nmột",,,\n' + B + 'C,"Xã,,,1,1\n' + "D,Xã,,,,\n"
    opened = open_file(tmp_path, "a.csv", page, contract(tmp_path))
    assert opened.numbers == [2, 4, 5, 6]
    assert opened.rows[0]["ten"] == "Tổ\nmột" and opened.rows[2]["loai"] == '"Xã'


def test_a_header_of_unknown_names_is_still_a_header_but_data_is_none(tmp_path: Path) -> None:
    of = contract(tmp_path)
    assert open_file(tmp_path, "a.csv", "tên lạ,cột khác\nA,B\n", of).source.header == ["tên lạ", "cột khác"]
    with pytest.raises(Unreadable, match="No header row") as refused:
        open_file(tmp_path, "a.csv", A + B, of)
    assert "byPosition" in refused.value.vi


def test_columns_are_taken_by_position_only_where_the_contract_says_so(tmp_path: Path) -> None:
    of = contract(tmp_path, byPosition=True)
    opened = open_file(tmp_path, "a.csv", A + B, of)
    assert opened.source.header == NAMES and opened.column("ma_to") == ["A", "B"] and opened.numbers == [1, 2]
    opened = open_file(tmp_path, "a.csv", "c1,c2,c3,c4,c5,c6\n" + A + B, of)
    assert opened.column("ma_to") == ["A", "B"] and opened.kinds == [(1, "header")]


@pytest.mark.parametrize(
    ("pinned", "content"),
    [
        ({"delimiter": "!"}, (HEADER + A).replace(",", "!")),
        ({"quote": "`"}, HEADER + "A,`Xã, phường`,Tổ một,2023-01-01,5,1.5\n"),
        ({"headerRow": 3}, "ma_to,loai,ten\nx,y,z\n" + HEADER + A),
        ({"encoding": "utf-16-be"}, (HEADER + A).encode("utf-16-be")),
        ({"encoding": "cp1252"}, (HEADER + A.replace("ổ", "o").replace("ộ", "o")).encode("cp1252")),
    ],
)
def test_what_the_contract_pins_is_not_decided(tmp_path: Path, pinned: dict[str, Any], content: str | bytes) -> None:
    opened = open_file(tmp_path, "a.csv", content, contract(tmp_path, **pinned))
    assert opened.source.header == NAMES and opened.column("ma_to") == ["A"]


def test_group_rows_are_carried_down_where_the_contract_says_so(tmp_path: Path) -> None:
    page = "ma_to,ten,so_nguoi\nI. Xã,,\nA,Tổ một,5\nB,Tổ hai,6\nII. Phường,,\nC,Tổ ba,7\n"
    opened = open_file(tmp_path, "a.csv", page, contract(tmp_path, groupColumn="loai"))
    assert opened.column("loai") == ["I. Xã", "I. Xã", "II. Phường"]
    assert opened.kinds == [(1, "header"), (2, "group"), (5, "group")]


def test_empty_cells_left_out_at_the_end_are_a_habit_or_a_fault(tmp_path: Path) -> None:
    of = contract(tmp_path)
    habit = HEADER + A + "B,Xã\nC,Xã,Tổ\nD,Xã,Tổ,2023-01-01\n" + B
    opened = open_file(tmp_path, "a.csv", habit, of)
    assert opened.faults == [None] * 5 and opened.decided("short-rows")
    opened = open_file(tmp_path, "a.csv", habit + "E,Xã,Tổ,,,\n", of)
    assert opened.faults == [None, "short", "short", "short", None, None]


def test_an_encoding_that_changes_inside_a_file_is_refused_with_the_line(tmp_path: Path) -> None:
    content = (HEADER + A + B).encode() + b"C,Xa,To,,,\nD,X\xe3,,,,\n"
    with pytest.raises(Unreadable, match="Line 5"):
        open_file(tmp_path, "a.csv", content, contract(tmp_path))


def test_columns_that_only_count_rows_are_ignored_by_name(tmp_path: Path) -> None:
    opened = open_file(tmp_path, "a.csv", "STT," + HEADER + "1," + A, contract(tmp_path))
    assert opened.source.header == NAMES and opened.source.csv and opened.decided("ignored-column") == ["STT"]


def test_dirt_far_down_a_large_file_is_found_and_read_carefully(tmp_path: Path) -> None:
    """Beyond what is looked at, strict reading fails; the careful reading then accounts for every line."""
    import duckdb

    from pipelines.gate.readers import read

    of = contract(tmp_path)
    block = "A,Xã,Tổ một nhân dân tự quản của khu phố,2023-01-01,5,1.5\n" * 20_000
    file = tmp_path / "large.csv"
    with file.open("w", encoding="utf-8") as out:
        out.write(HEADER)
        for index in range(30):
            out.write(block)
            if index == 9:
                out.write("ngắn,Xã\n")
    assert file.stat().st_size > 32 << 20
    with duckdb.connect() as connection:
        source = read(connection, file, of)
        assert source.csv is not None
        with pytest.raises(duckdb.InvalidInputException):
            connection.execute(f"SELECT count(ten) FROM {source.relation}").fetchall()
        source = read(connection, file, of, careful=True)
        found = connection.execute(f"SELECT {source.row} FROM {source.relation} WHERE {source.fault} = {literal('short')}").fetchall()
        assert found == [(200_002,)]


CELL = st.text(alphabet="aạốĐx1 2,;\"'\n|\t.-#", max_size=8)


@given(rows=st.lists(st.lists(CELL, min_size=6, max_size=6), min_size=1, max_size=12), quoting=st.sampled_from([0, 1]))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_writer_quotes_properly_comes_back(tmp_path: Path, rows: list[list[str]], quoting: int) -> None:
    """A key in front keeps rows rows; the rest may hold any mark of punctuation or line break."""
    keyed = [[f"K{i:03}", "Xã", *cells[:1], "2024-01-01", str(i), "1.5"] for i, cells in enumerate(rows)]
    page = polluted.text(keyed, header=False, quoting=quoting)
    opened = open_file(tmp_path, "p.csv", HEADER + page, contract(tmp_path))
    assert [(r["ma_to"], (r["ten"] or "").strip()) for r in opened.rows] == [(k[0], k[2].strip()) for k in keyed]
    assert opened.faults == [None] * len(keyed)


@given(lines=st.lists(st.text(alphabet="A1,;\"' \tổ#", max_size=20), max_size=25))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_line_is_lost(tmp_path: Path, lines: list[str]) -> None:
    """Rows and lines left out together are the lines of the file, but for those inside a quoted cell."""
    page = HEADER + A + "".join(line + "\n" for line in lines)
    opened = open_file(tmp_path, "p.csv", page, contract(tmp_path))
    numbers = sorted([*opened.numbers, *(n for n, _, _ in opened.left_out)])
    inside = sum((value or "").count("\n") for row in opened.rows for value in row.values())
    inside += sum(text.count("\n") for _, _, text in opened.left_out)
    assert len(numbers) == len(set(numbers))
    assert len(numbers) + inside == len(lines) + 2
