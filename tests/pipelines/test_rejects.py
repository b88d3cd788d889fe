"""What comes back: the rows held, the fix sheet, and the sheet taken in again."""

import re
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contract import load_register
from pipelines.ledger import now
from pipelines.outcome import Outcome
from pipelines.rejects import OpenDelivery, Quarantine, read_fix_sheet, reopen, set_aside, write_fix_sheet
from tests.warehouse import TEAMS, Warehouse, column, contract, rule

TEAM = "ho-tich/to-cong-tac"
HEADER = "ma_to,loai,tu_ngay,den_ngay,so_nguoi,ty_le\n"
UGLY = HEADER + (
    "001,Xã,2023-01-01,2023-02-01,5,12.5\n"
    "002,Xom,2023-01-01,,5,1\n"  # not in the closed list
    "003,Xã,2023-02-30,,5,1\n"  # no such day
    "004,Xã,2023-05-01,2023-04-01,101,mười\n"  # order of dates, maximum, not a number
    "005,Phường,01/03/2023,,7,\n"
    "006,Phường,,,7,\n"
)
MENDED = {3: {"loai": "Xã"}, 4: {"tu_ngay": "28/02/2023"}, 5: {"den_ngay": "2023-06-01", "so_nguoi": "10", "ty_le": "0.5"}}


def fix_sheet(warehouse: Warehouse, file: Path, dataset: str = TEAM, delivery: int = 0) -> Path:
    """The fix sheet of a dataset's newest (or an older) open delivery."""
    with warehouse.store() as connection:
        quarantine = Quarantine(connection)
        found = quarantine.deliveries(dataset)[delivery]
        write_fix_sheet(quarantine, load_register(warehouse.settings.register).contracts[dataset], found, file)
    return file


def mend(file: Path, cells: dict[int, dict[str, Any]], drop: tuple[int, ...] = ()) -> bytes:
    """Type values into the rows of the given numbers, delete others, and save as a clerk does."""
    book = openpyxl.load_workbook(file)
    sheet = book.worksheets[0]
    at = {cell.value: cell.column for cell in sheet[1]}
    for row in range(sheet.max_row, 2, -1):
        number = sheet.cell(row, 1).value
        for name, value in cells.get(number, {}).items():
            sheet.cell(row, at[name]).value = value
        if number in drop:
            sheet.delete_rows(row)
    book.save(file)
    return file.read_bytes()


def submit(warehouse: Warehouse, content: bytes, dataset: str = TEAM, name: str = "sua.xlsx") -> Outcome:
    warehouse.drop(dataset, name, content)
    return warehouse.take(dataset)


def open_rows(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.rows("SELECT row_number FROM kho.held_rows WHERE closed_at IS NULL ORDER BY ALL")


def teams(warehouse: Warehouse) -> list[str]:
    return [row[0] for row in warehouse.rows("SELECT ma_to FROM ho_tich.to_cong_tac ORDER BY ALL")]


@pytest.fixture
def held(warehouse: Warehouse, tmp_path: Path) -> Path:
    """A delivery of which three rows are held, and its fix sheet."""
    warehouse.drop(TEAM, "to.synthetic.csv", UGLY)
    outcome = warehouse.take(TEAM)
    assert (outcome.verdict, outcome.rows_accepted, outcome.rows_quarantined) == ("partial", 3, 3)
    return fix_sheet(warehouse, tmp_path / "sua.xlsx")


def test_the_sheet_shows_what_is_wrong_and_why(held: Path) -> None:
    book = openpyxl.load_workbook(held)
    sheet = book.worksheets[0]
    assert [(s.title, s.sheet_state) for s in book.worksheets][:2] == [("Sửa lỗi", "visible"), ("Hướng dẫn", "visible")]
    assert {s.sheet_state for s in book.worksheets[2:]} == {"hidden"}
    at = {cell.value: cell.column for cell in sheet[1]}
    assert sheet.row_dimensions[1].hidden and sheet.column_dimensions["B"].hidden
    assert [sheet.cell(r, 1).value for r in (3, 4, 5)] == [3, 4, 5], "numbered as in the file delivered"
    code, kind, date = (sheet.cell(3, at[n]) for n in ("ma_to", "loai", "tu_ngay"))
    assert (code.value, code.number_format, code.comment) == ("002", "@", None), "a code keeps its zeros"
    assert kind.comment and "danh mục" in kind.comment.text and "not in the list" in kind.comment.text
    assert kind.fill.fgColor.rgb != code.fill.fgColor.rgb and date.value == "2023-01-01"
    assert {sheet.cell(5, at[n]).fill.fgColor.rgb for n in ("so_nguoi", "ty_le")} == {kind.fill.fgColor.rgb}
    assert sheet.cell(5, at["tu_ngay"]).comment, "a rule over two columns is shown on both"
    [choice] = [v for v in sheet.data_validations.dataValidation if v.type == "list"]
    name = choice.formula1.lstrip("=")
    [(title, cells)] = book.defined_names[name].destinations
    assert [c[0].value for c in book[title][cells.replace("$", "")]] == ["Xã", "Phường"]
    assert sheet.cell(2, at["loai"]).coordinate[0] in str(choice.sqref)


def test_a_mended_sheet_loads_its_rows_and_closes_them(warehouse: Warehouse, held: Path) -> None:
    [(delivery,)] = warehouse.rows("SELECT delivery_id FROM kho.ledger")
    content = mend(held, MENDED)
    outcome = submit(warehouse, content)
    assert (outcome.verdict, outcome.rows_read, outcome.rows_accepted, outcome.rows_total, outcome.release) == ("accepted", 3, 3, 6, 2)
    assert outcome.corrects == delivery and outcome.synthetic
    assert teams(warehouse) == ["001", "002", "003", "004", "005", "006"] and open_rows(warehouse) == []
    assert warehouse.rows("SELECT corrects FROM kho.ledger WHERE release = 2") == [(delivery,)]
    assert warehouse.rows("SELECT DISTINCT closed_by FROM kho.held_rows") == [(outcome.delivery_id,)]
    assert submit(warehouse, content).verdict == "duplicate", "the same sheet again"
    warehouse.drop(TEAM, "again.csv", UGLY)
    assert warehouse.take(TEAM).verdict == "duplicate", "the same file again takes no correction back"
    assert len(teams(warehouse)) == 6


def test_what_is_still_wrong_or_was_deleted_stays_open(warehouse: Warehouse, held: Path, tmp_path: Path) -> None:
    outcome = submit(warehouse, mend(held, {3: {"loai": "Xã"}, 5: {"so_nguoi": "10"}}, drop=(4,)))
    assert (outcome.verdict, outcome.rows_accepted, outcome.rows_quarantined) == ("partial", 1, 1)
    assert teams(warehouse) == ["001", "002", "005", "006"]
    assert len(open_rows(warehouse)) == 2
    with warehouse.store() as connection:
        waiting = Quarantine(connection).deliveries(TEAM)
        assert [(d.file_name, d.open_rows) for d in waiting] == [("sua.xlsx", 1), ("to.synthetic.csv", 1)]
        faults = Quarantine(connection).faults(outcome.delivery_id)
        assert {f.rule for f in faults} == {"type", "thu_tu_ngay"}
    # A second sheet, of the first sheet's delivery; then the row that was left out, from a sheet of the first delivery.
    again = fix_sheet(warehouse, tmp_path / "2.xlsx")
    number = openpyxl.load_workbook(again).worksheets[0].cell(3, 1).value
    assert submit(warehouse, mend(again, {number: {"den_ngay": "", "ty_le": "1"}})).verdict == "accepted"
    assert submit(warehouse, mend(fix_sheet(warehouse, tmp_path / "3.xlsx"), MENDED)).verdict == "accepted"
    assert teams(warehouse) == ["001", "002", "003", "004", "005", "006"] and open_rows(warehouse) == []


def test_a_sheet_in_which_nothing_was_mended_changes_nothing(warehouse: Warehouse, held: Path) -> None:
    outcome = submit(warehouse, held.read_bytes())
    assert outcome.verdict == "refused" and outcome.release is None
    assert open_rows(warehouse) == [(3,), (4,), (5,)] and len(teams(warehouse)) == 3


def test_rows_that_are_none_of_ours_are_left_out_and_said(warehouse: Warehouse, held: Path) -> None:
    book = openpyxl.load_workbook(held)
    sheet = book.worksheets[0]
    copied = [cell.value for cell in sheet[3]]
    sheet.append([99, "99.00000000", None, "099", "Xã"])  # an invented mark
    sheet.append([None, None, None, "100", "Xã"])  # a new row
    sheet.append(copied)  # a row twice
    book.save(held)
    outcome = submit(warehouse, mend(held, MENDED))
    assert outcome.rows_accepted == 3 and outcome.rows_left_out == 3
    [reason] = [r for r in outcome.reasons if r.rule == "not_a_correction"]
    assert reason.count == 3 and "6, 7, 8" in reason.vi
    assert teams(warehouse) == ["001", "002", "003", "004", "005", "006"]


def test_a_newer_full_delivery_leaves_nothing_to_mend(warehouse: Warehouse, held: Path) -> None:
    warehouse.drop(TEAM, "new.csv", HEADER + "001,Xã,,,,\n")
    warehouse.take(TEAM)
    assert open_rows(warehouse) == []
    outcome = submit(warehouse, mend(held, MENDED))
    assert outcome.verdict == "refused" and [r.rule for r in outcome.reasons] == ["nothing_open"]
    assert teams(warehouse) == ["001"]


@pytest.mark.parametrize("mode", ["merge", "append"])
def test_a_row_that_came_since_is_not_overwritten(warehouse: Warehouse, tmp_path: Path, mode: str) -> None:
    warehouse.add(contract(TEAM, TEAMS["schema"][0]["properties"], loadMode=mode))
    warehouse.drop(TEAM, "0.csv", HEADER + ("003,Phường,,,1,\n" if mode == "merge" else "000,Xã,,,1,\n"))
    warehouse.take(TEAM)
    warehouse.drop(TEAM, "1.csv", HEADER + "001,Xã,,,1,\n002,Xom,,,1,\n003,Xom,,,2,\n004,Xã,,,1,\n")
    warehouse.take(TEAM)
    sheet = fix_sheet(warehouse, tmp_path / "sua.xlsx")
    warehouse.drop(TEAM, "2.csv", HEADER + "002,Phường,,,9,\n")
    warehouse.take(TEAM)
    outcome = submit(warehouse, mend(sheet, {3: {"loai": "Xã"}, 4: {"loai": "Xã"}}))
    assert (outcome.verdict, outcome.rows_accepted, outcome.rows_quarantined) == ("partial", 1, 1)
    assert "conflict" in {r.rule for r in outcome.reasons}
    rows = warehouse.rows("SELECT ma_to, loai, so_nguoi FROM ho_tich.to_cong_tac WHERE ma_to IN ('002', '003') ORDER BY ALL")
    assert rows == [("002", "Phường", 9), ("003", "Xã", 2)], "the older row of 003 is what this delivery was to replace"
    assert warehouse.rows("SELECT rule, column_name, value FROM kho.quarantine WHERE rule = 'conflict'") == [("conflict", "ma_to", "002")]


def test_a_refused_delivery_comes_in_whole_once_it_is_mended(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.add(contract(TEAM, TEAMS["schema"][0]["properties"], quarantineThreshold=0.2))
    warehouse.drop(TEAM, "old.csv", HEADER + "900,Xã,,,,\n")
    warehouse.take(TEAM)
    rows = "".join(f"{n:03},{'Xom' if n < 4 else 'Xã'},,,{n},\n" for n in range(1, 11))
    warehouse.drop(TEAM, "new.csv", HEADER + rows)
    assert warehouse.take(TEAM).verdict == "refused" and teams(warehouse) == ["900"]
    sheet = fix_sheet(warehouse, tmp_path / "sua.xlsx")
    assert submit(warehouse, mend(sheet, {2: {"ma_to": "001"}})).verdict == "refused", "nothing mended"
    assert len(open_rows(warehouse)) == 3
    outcome = submit(warehouse, mend(sheet, {2: {"loai": "Xã"}}))
    assert (outcome.verdict, outcome.rows_accepted, outcome.rows_quarantined, outcome.rows_total) == ("partial", 1, 2, 8)
    assert teams(warehouse) == [f"{n:03}" for n in (1, 4, 5, 6, 7, 8, 9, 10)], "its right rows came with the mended one"
    again = mend(fix_sheet(warehouse, tmp_path / "2.xlsx"), {n: {"loai": "Xã"} for n in range(1, 9)})
    assert submit(warehouse, again).rows_total == 10 and open_rows(warehouse) == []


def test_a_refused_delivery_that_is_mended_too_little_stays_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    warehouse.add(contract(TEAM, TEAMS["schema"][0]["properties"], quarantineThreshold=0.2))
    rows = "".join(f"{n:03},{'Xom' if n < 5 else 'Xã'},,,{n},\n" for n in range(1, 11))
    warehouse.drop(TEAM, "new.csv", HEADER + rows)
    warehouse.take(TEAM)
    sheet = fix_sheet(warehouse, tmp_path / "sua.xlsx")
    outcome = submit(warehouse, mend(sheet, {2: {"loai": "Xã"}}))
    assert outcome.verdict == "refused" and outcome.reasons[0].rule == "threshold"
    assert open_rows(warehouse) == [(2,), (3,), (4,), (5,)], "the same sheet may be mended further"
    assert submit(warehouse, mend(sheet, {n: {"loai": "Xã"} for n in (2, 3, 4, 5)})).rows_total == 10


def test_a_newer_contract_judges_the_delivery_and_its_corrections_again(warehouse: Warehouse, held: Path) -> None:
    submit(warehouse, mend(held, MENDED))
    warehouse.add(contract(TEAM, TEAMS["schema"][0]["properties"], quality=[rule("it_nguoi", "so_nguoi <= 7")]))
    outcome = warehouse.take(TEAM)
    assert outcome.corrects and teams(warehouse) == ["001", "002", "003", "005", "006"], "004 has ten people"
    assert warehouse.rows("SELECT count(*) FROM kho.held_rows WHERE closed_at IS NULL") == [(1,)]
    assert warehouse.take(TEAM).verdict == "unchanged"
    # Looser rules leave the sheet nothing to mend: that is no refusal.
    warehouse.add(contract(TEAM, [{**c, "quality": [], "logicalTypeOptions": {}} | ({"logicalType": "string"} if c["name"] == "x" else {})
                                  for c in TEAMS["schema"][0]["properties"]]))  # fmt: skip
    warehouse.take(TEAM)
    assert warehouse.take(TEAM).verdict == "unchanged"
    assert warehouse.rows("SELECT outcome FROM kho.ledger ORDER BY finished_at DESC LIMIT 1") != [("refused",)]


def test_a_sheet_of_another_dataset_or_another_warehouse_is_refused(warehouse: Warehouse, held: Path, tmp_path: Path) -> None:
    warehouse.add(contract("ho-tich/khac", [column("ma_to", primaryKey=True)]))
    [reason] = submit(warehouse, held.read_bytes(), "ho-tich/khac").reasons
    assert reason.rule == "other_dataset" and TEAM in reason.vi
    book = openpyxl.load_workbook(held)
    book["_kho"]["B3"] = "0" * 64
    book.save(held)
    [reason] = submit(warehouse, held.read_bytes()).reasons
    assert reason.rule == "unknown_delivery"


def test_a_steward_sets_rows_aside_and_takes_that_back(warehouse: Warehouse, held: Path) -> None:
    [(delivery,)] = warehouse.rows("SELECT delivery_id FROM kho.ledger")
    store = warehouse.intake().store
    assert set_aside(store, TEAM, delivery) == 3 and open_rows(warehouse) == []
    content = mend(held, MENDED)
    assert submit(warehouse, content).reasons[0].rule == "nothing_open"
    assert reopen(store, TEAM, delivery) == 3
    assert submit(warehouse, content).rows_accepted == 3 and open_rows(warehouse) == []
    assert reopen(store, TEAM, delivery) == 0, "rows that are in a release are not opened again"
    store.close()


class OneRow:
    """A quarantine of one row, for what a sheet does to its cells."""

    def __init__(self, cells: dict[str, str | None]) -> None:
        self.cells = cells

    def rows(self, *_: object) -> list[tuple[int, dict[str, str | None]]]:
        return [(7, self.cells)]

    def examples(self, *_: object, **__: object) -> list[object]:
        return []


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(max_size=40)
    | st.sampled_from(["007", "=1+1", "'x", "1e5", "01/02/2023", "TRUE", "#N/A", " x ", "_x0041_", "{=A1}", "http://x"])
)
def test_a_cell_comes_back_as_it_was_delivered(warehouse: Warehouse, text: str) -> None:
    known = load_register(warehouse.settings.register).contracts[TEAM]
    delivery = OpenDelivery("d", TEAM, "a.csv", "0" * 64, now(), "partial", 1, 1, ())
    file = warehouse.settings.register / "sheet.xlsx"
    write_fix_sheet(OneRow({c.name: text if c.name == "loai" else None for c in known.columns}), known, delivery, file)  # type: ignore[arg-type]
    sheet = read_fix_sheet(file)
    assert sheet is not None and (sheet.dataset, sheet.sha256) == (TEAM, "0" * 64)
    [row] = sheet.rows.rows(named=True)
    assert (row["sheet_row"], row["row_number"]) == (3, 7)
    kept = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "", text)
    assert (row["loai"] or "") == kept


def test_a_sheet_is_read_as_its_delivery_was(warehouse: Warehouse, tmp_path: Path) -> None:
    """One mended row cannot say how its column writes numbers and dates; the delivery could."""
    good = "".join(f"{n:03};Xã;03/{n + 13}/2023;;5;1.234,5\n" for n in range(5))
    warehouse.drop(TEAM, "a.csv", HEADER.replace(",", ";") + good + "100;Xom;03/04/2023;;5;1.234\n101;Xom;03/05/2023;;5;1,5\n")
    assert warehouse.take(TEAM).rows_accepted == 5
    sheet = fix_sheet(warehouse, tmp_path / "sua.xlsx")
    hints = [v.prompt or "" for v in openpyxl.load_workbook(sheet).worksheets[0].data_validations.dataValidation]
    assert any("mm/dd/yyyy" in hint for hint in hints) and any("comma" in hint for hint in hints)
    assert submit(warehouse, mend(sheet, {7: {"loai": "Xã"}})).rows_accepted == 1
    second = mend(fix_sheet(warehouse, tmp_path / "2.xlsx"), {n: {"loai": "Xã"} for n in range(9)})
    assert submit(warehouse, second).rows_accepted == 1, "the sheet of a sheet is read in the same way"
    rows = warehouse.rows("SELECT CAST(tu_ngay AS VARCHAR), ty_le FROM ho_tich.to_cong_tac WHERE ma_to >= '100' ORDER BY ma_to")
    assert [(day, float(share)) for day, share in rows] == [("2023-03-04", 1234.0), ("2023-03-05", 1.5)]
