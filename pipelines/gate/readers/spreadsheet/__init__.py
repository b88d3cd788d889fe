"""Workbooks as agencies send them: XLSX, XLSM, XLSB, XLS, ODS, and the HTML and XML that go by those names.

`workbook` turns any of them into sheets of text, `header` finds the header under the title, `rows` tells data from what surrounds it;
here the sheets that fit the contract become one source, and what was decided is said.

What a cell holds is what counts, not how it is shown: a number is its value (15 significant digits, as spreadsheets keep), a date is
ISO, a time `hh:mm:ss`, a boolean `true` or `false`; text stays as it is typed, leading zeros too. The one exception: a number shown as a
percentage is multiplied by 100 where the contract's unit is `%`, because 12.5 % is what the sender sees.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import polars as pl

from pipelines.contract import Contract
from pipelines.gate.headers import fold, match
from pipelines.gate.readers.delimited import read_delimited
from pipelines.gate.readers.legacy import recognise
from pipelines.gate.readers.source import Decision, Source, Unreadable, rows_left_out
from pipelines.gate.readers.spreadsheet.charset import in_unicode
from pipelines.gate.readers.spreadsheet.header import SEARCHED, Header, find_header, stated_unit
from pipelines.gate.readers.spreadsheet.repair import refuse_unsaved, repaired
from pipelines.gate.readers.spreadsheet.rows import Table, table_of
from pipelines.gate.readers.spreadsheet.sheet import GROUP, ROW, SHEET, Sheet, index_of
from pipelines.gate.readers.spreadsheet.workbook import Workbook, open_workbook


@dataclass(frozen=True)
class Part:
    """One sheet that is read: its table and what was found out about it."""

    sheet: Sheet
    header: Header
    table: Table
    unit: str | None
    decisions: tuple[Decision, ...]


def read_spreadsheet(connection: duckdb.DuckDBPyConnection, file: Path, contract: Contract | None) -> Source:
    """Every visible sheet whose header fits the contract, as one; the others are named among the decisions.

    ``Source.row`` is the row's number in its sheet. Raises `Unreadable` where there is no table, or where a cell's formula has no result.
    """
    book = open_workbook(file)
    if book.kind == "text":
        source = recognise(connection, read_delimited(connection, file, contract), contract)
        said = Decision("kind", "text", "tên là sổ tính, nội dung là văn bản / named a workbook, but is text")
        return replace(source, decisions=(said, *source.decisions))
    parts, passed_over = _parts(book, contract)
    decisions = tuple(d for part in parts for d in part.decisions) + passed_over
    if book.kind in ("html", "xml"):
        decisions = (Decision("kind", book.kind, "tên là sổ tính / named a workbook"), *decisions)
    return _joined(connection, parts, decisions, contract)


def _parts(book: Workbook, contract: Contract | None) -> tuple[list[Part], tuple[Decision, ...]]:
    """The sheets to read, and what is said of the others. Where none fits, the best of them: the judge then says what is wrong with it.

    Without a contract it is the first sheet that has a header.
    """
    wanted = _wanted(book, contract)
    parts: list[Part] = []
    best: tuple[Sheet, Header, tuple[Decision, ...]] | None = None
    passed_over: list[Decision] = []
    for sheet in book.sheets(wanted or book.names):
        sheet, converted = in_unicode(sheet, contract)
        if not sheet.visible and sheet.name not in wanted:
            passed_over.append(Decision("hidden_sheet", sheet.name, "trang ẩn, không đọc / hidden, not read"))
            continue
        header = find_header(sheet, contract)
        if header and (_fits(header, contract) if contract else not parts):
            parts.append(_part(sheet, header, contract, converted))
        elif wanted and contract and sheet.cells.height:
            raise _does_not_fit(sheet, header, contract)
        elif header and contract and not parts and (best is None or len(header.matched) > len(best[1].matched)):
            passed_over += [_not_read(best[0])] if best else []
            best = sheet, header, converted
        elif sheet.cells.height:
            passed_over.append(_not_read(sheet))
    if best and parts:
        passed_over.append(_not_read(best[0]))
    elif best:
        parts.append(_part(best[0], best[1], contract, best[2]))
    if not parts:
        empty_handed = next((said.value for said in passed_over if said.what == "other_sheet"), None)
        raise _no_header(empty_handed, contract.reading.header_row if contract else None) if empty_handed else _nothing_in(book)
    return parts, tuple(passed_over)


def _not_read(sheet: Sheet) -> Decision:
    return Decision("other_sheet", sheet.name, f"{sheet.cells.height} hàng không đọc / rows not read")


def _wanted(book: Workbook, contract: Contract | None) -> tuple[str, ...]:
    """The sheets that the contract names, hidden or not; empty where it leaves the choice to the file."""
    named = contract.reading.sheets if contract else ()
    if "*" in named:
        named = ()
    if missing := [name for name in named if name not in book.names]:
        raise Unreadable(
            f"Không có trang tính {', '.join(missing)}; tệp có: {', '.join(book.names)}",
            f"There is no sheet {', '.join(missing)}; the file has: {', '.join(book.names)}",
        )
    return named


def _fits(header: Header, contract: Contract) -> bool:
    """Whether a sheet has every column that it must have to be of this dataset."""
    return bool(header.matched) and not _lacking(header, contract)


def _lacking(header: Header | None, contract: Contract) -> list[str]:
    given = {contract.reading.sheet_column, contract.reading.group_column} | (header.matched if header else set())
    return [column.name for column in contract.columns if column.required and column.name not in given]


def _part(sheet: Sheet, header: Header, contract: Contract | None, said: tuple[Decision, ...]) -> Part:
    sheet, repairs = repaired(sheet, header, contract)
    table = table_of(sheet, header, contract)
    refuse_unsaved(sheet, header, {row for row, _, _ in table.left_out})
    unit = stated_unit(sheet, header)
    return Part(sheet, header, table, unit, (*_decisions(sheet, header, table, unit, contract), *said, *repairs))


def _decisions(sheet: Sheet, header: Header, table: Table, unit: str | None, contract: Contract | None) -> list[Decision]:
    """What was decided about one sheet, as the ledger keeps it."""
    said = [
        Decision("sheet", sheet.name, f"{table.data.height} hàng dữ liệu / rows of data"),
        Decision(
            "header_row",
            "–".join(str(row) for row in dict.fromkeys((header.rows[0], header.last_row))) if header.rows else "",
            f"{len(header.matched)} cột của hợp đồng / columns of the contract" if contract else "",
        ),
    ]
    if header.counter:
        called = next(text for row in reversed(header.texts) if (text := row.get(header.counter)))
        said.append(Decision("ignored_column", called, "số thứ tự / only counts the rows"))
    if unit:
        said.append(Decision("unit", unit, "theo tiêu đề bảng / from the title"))
    groups = sum(kind == "group" for _, kind, _ in table.left_out)
    if groups and not (contract and contract.reading.group_column):
        said.append(
            Decision(
                "groups",
                str(groups),
                "hàng nhóm không thành cột: hợp đồng không có groupColumn / group rows, no groupColumn in the contract",
            )
        )
    shown = set(table.data.get_column(ROW))
    if rows := sorted(shown & sheet.layout.hidden_rows):
        said.append(Decision("hidden_rows", str(len(rows)), f"vẫn đọc / read all the same: {', '.join(map(str, rows[:10]))}"))
    if columns := [name for name in header.names if index_of(name) in sheet.layout.hidden_columns]:
        said.append(Decision("hidden_columns", ", ".join(columns[:20]), "vẫn đọc / read all the same"))
    return said


def _joined(connection: duckdb.DuckDBPyConnection, parts: list[Part], decisions: tuple[Decision, ...], contract: Contract | None) -> Source:
    """The sheets as one table, under the first sheet's names; with several, what is said of a row names its sheet too."""
    units = {part.unit for part in parts}
    if len(units) > 1:
        stated = ", ".join(f"{part.sheet.name}: {part.unit or '—'}" for part in parts)
        raise Unreadable(f"Các trang tính ghi đơn vị tính khác nhau ({stated})", f"The sheets state different units ({stated})")
    several = len(parts) > 1
    names: dict[str, str] = {}
    frames, left_out, totals = [], [], []
    raw: dict[str, str] = {}
    for part in parts:
        renamed = _common_names(part, names, contract)
        frame, originals = _with_originals(part, _with_own_columns(part, contract).rename(renamed), renamed)
        frames.append(frame)
        raw |= originals
        left_out += [(row, kind, f"[{part.sheet.name}] {text}" if several else text) for row, kind, text in part.table.left_out]
        totals += [
            replace(total, column=renamed.get(total.column, total.column), sheet=part.sheet.name if several else "")
            for total in part.table.totals
        ]
    data = pl.concat(frames, how="diagonal")
    connection.register("delivery", data.to_arrow())
    header = [name for name in data.columns if name not in (ROW, SHEET, *raw.values())]
    first = int(data.get_column(ROW)[0]) if data.height else 1
    return Source(
        "delivery",
        header,
        first,
        row=ROW,
        left_out=rows_left_out(left_out),
        decisions=decisions,
        totals=tuple(totals),
        unit=units.pop(),
        sheet=SHEET if several else None,
        raw=raw,
    )


def _with_originals(part: Part, data: pl.DataFrame, renamed: dict[str, str]) -> tuple[pl.DataFrame, dict[str, str]]:
    """The rows with, beside each column that was converted to Unicode, its text as it came; and which column that is."""
    if part.sheet.original is None:
        return data, {}
    names = {letter: renamed.get(name, name) for letter, name in part.header.names.items() if letter in part.sheet.original.columns}
    raw = {name: f"{name} (nguyên văn)" for name in names.values()}
    originals = part.sheet.original.select(ROW, *(pl.col(letter).alias(raw[name]) for letter, name in names.items()))
    data = data.join(originals, on=ROW, how="left", maintain_order="left")
    # A value that was carried down from a merged cell has no text of its own.
    return data.with_columns(pl.coalesce(raw[name], name).alias(raw[name]) for name in raw), raw


def _with_own_columns(part: Part, contract: Contract | None) -> pl.DataFrame:
    """A sheet's rows with the columns that the contract takes from the sheet's name and from its group rows.

    Where the header has such a column too, what stands in it counts, and only its empty cells are filled.
    """
    data = part.table.data.with_columns(pl.lit(part.sheet.name).alias(SHEET))
    if contract:
        given = match(contract, list(part.header.names.values())).columns
        for column, value in ((contract.reading.sheet_column, SHEET), (contract.reading.group_column, GROUP)):
            if column:
                name = given.get(column, column)
                data = data.with_columns(pl.coalesce(name, value) if column in given else pl.col(value).alias(name))
    return data.drop(GROUP)


def _common_names(part: Part, names: dict[str, str], contract: Contract | None) -> dict[str, str]:
    """This sheet's header → the first sheet's for the same column; ``names`` remembers them from sheet to sheet."""
    own = [name for name in part.table.data.columns if name not in (ROW, GROUP)]
    targets = {name: column for column, name in match(contract, own).columns.items()} if contract else {}
    renamed: dict[str, str] = {}
    for name in own:
        common = names.setdefault(targets.get(name) or fold(name), name)
        renamed[name] = common if common not in renamed.values() else names.setdefault(name, name)
    return renamed


def _does_not_fit(sheet: Sheet, header: Header | None, contract: Contract) -> Unreadable:
    lacking = ", ".join(_lacking(header, contract))
    return Unreadable(f"Trang tính {sheet.name} thiếu cột bắt buộc: {lacking}", f"The sheet {sheet.name} lacks required columns: {lacking}")


def _no_header(sheet: str, pinned: int | None) -> Unreadable:
    where = (f"ở hàng {pinned}", f"in row {pinned}") if pinned else (f"trong {SEARCHED} hàng đầu", f"among the first {SEARCHED} rows")
    return Unreadable(
        f"Trang tính {sheet}: không thấy hàng tiêu đề cột {where[0]}",
        f"The sheet {sheet} has no header that could be found {where[1]}",
    )


def _nothing_in(book: Workbook) -> Unreadable:
    if book.pivoted:
        return Unreadable(
            "Sổ tính chỉ có bảng tổng hợp (PivotTable); hãy gửi bảng dữ liệu gốc",
            "The workbook holds a pivot table only; send the table it was made from",
        )
    return Unreadable(
        "Sổ tính không có bảng nào trong các trang hiện (trống, hoặc chỉ có hình ảnh, biểu đồ, trang ẩn)",
        "The workbook has no table on its visible sheets (they are empty, or hold pictures and charts only)",
    )
