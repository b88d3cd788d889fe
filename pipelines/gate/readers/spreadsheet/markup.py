"""Workbooks that are markup under a spreadsheet's name: HTML tables exported as `.xls`, and the XML of Excel 2003."""

from pathlib import Path

import polars as pl
from lxml import etree, html

from pipelines.gate.readers.source import Unreadable
from pipelines.gate.readers.spreadsheet.package import too_big
from pipelines.gate.readers.spreadsheet.sheet import ROW, Layout, Sheet, letters, tidy

MAX_BYTES = 64 << 20
"""The tree of a page takes about ten times its size in memory."""
MAX_SPAN = 500
MAX_CELLS = 4_000_000

Grid = dict[tuple[int, int], str]
"""(row from 1, column from 0) → text."""
Merged = list[tuple[int, int, int, int]]


def html_sheets(file: Path) -> list[Sheet]:
    """Each table of the page as a sheet, cells that span rows and columns as merged ranges."""
    tree = html.fromstring(_bytes(file), parser=html.HTMLParser(encoding=_charset(file), no_network=True))
    tables = [table for table in tree.iter("table") if next(table.iter("tr"), None) is not None and not _nests(table)]
    return [_sheet(f"Bảng {n}", *_html_cells(table)) for n, table in enumerate(tables, 1)]


def _nests(table: etree._Element) -> bool:
    return any(inner is not table for inner in table.iter("table"))


def _charset(file: Path) -> str | None:
    """UTF-8 where the bytes are; otherwise what the page says of itself."""
    content = _bytes(file)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    try:
        content.decode()
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _html_cells(table: etree._Element) -> tuple[Grid, Merged]:
    grid: Grid = {}
    merged: Merged = []
    taken: set[tuple[int, int]] = set()
    for row, line in enumerate(table.iter("tr"), 1):
        column = 0
        for cell in line.iterchildren("td", "th"):
            while (row, column) in taken:
                column += 1
            text = "\n".join(map(str, cell.itertext())).strip()
            if text:
                grid[row, column] = " ".join(text.split())
            down, across = _span(cell.get("rowspan")), _span(cell.get("colspan"))
            if down > 1 or across > 1:
                merged.append((row, column, row + down - 1, column + across - 1))
                taken.update((r, c) for r in range(row, row + down) for c in range(column, column + across))
                if len(taken) > MAX_CELLS:
                    raise too_big("ô gộp quá lớn", "cells span too much")
            column += across
    return grid, merged


def xml_sheets(file: Path) -> list[Sheet]:
    """The worksheets of a «XML Spreadsheet 2003»."""
    tree = etree.fromstring(_bytes(file), etree.XMLParser(resolve_entities=False, no_network=True))
    return [_sheet(str(_ss(sheet, "Name")), *_xml_cells(sheet), visible=_shown(sheet)) for sheet in tree.iter("{*}Worksheet")]


def _shown(sheet: etree._Element) -> bool:
    return next((v.text or "" for v in sheet.iter("{*}Visible")), "").lower() not in ("sheethidden", "sheetveryhidden")


def _xml_cells(sheet: etree._Element) -> tuple[Grid, Merged]:
    grid: Grid = {}
    merged: Merged = []
    row = 0
    for line in sheet.iter("{*}Row"):
        row = _index(_ss(line, "Index"), row + 1)
        column = -1
        for cell in line.iterchildren("{*}Cell"):
            column = _index(_ss(cell, "Index"), column + 2) - 1
            data = cell.find("{*}Data")
            text = "" if data is None else "".join(map(str, data.itertext()))
            if text and data is not None and _ss(data, "Type") == "DateTime":
                text = text.removesuffix(".000").replace("T", " ")
            elif text and data is not None and _ss(data, "Type") == "Boolean":
                text = "true" if text == "1" else "false"
            if text:
                grid[row, column] = text
            across, down = (_span(_ss(cell, name)) if _ss(cell, name) else 0 for name in ("MergeAcross", "MergeDown"))
            if across or down:
                merged.append((row, column, row + down, column + across))
            column += across
    return grid, merged


def _ss(element: etree._Element, name: str) -> str | None:
    return element.get(f"{{urn:schemas-microsoft-com:office:spreadsheet}}{name}")


def _span(text: str | None) -> int:
    """How many rows or columns a cell covers; cut at what a real table has."""
    return min(int(text), MAX_SPAN) if text and text.isdecimal() and int(text) > 0 else 1


def _index(text: str | None, following: int) -> int:
    """The row or column that an element names, or else the one that follows."""
    return int(text) if text and text.isdecimal() and 0 < int(text) <= 1_048_576 else following


def _bytes(file: Path) -> bytes:
    if file.stat().st_size > MAX_BYTES:
        raise Unreadable(
            "Bảng HTML hay XML quá lớn; hãy mở bằng Excel và lưu thành .xlsx, hoặc gửi CSV",
            "The HTML or XML table is too big; open it in Excel and save it as .xlsx, or send CSV",
        )
    return file.read_bytes()


def _sheet(name: str, grid: Grid, merged: Merged, visible: bool = True) -> Sheet:
    rows = sorted({row for row, _ in grid})
    place = {row: n for n, row in enumerate(rows)}
    width = max((column for _, column in grid), default=-1) + 1
    if width * len(rows) > MAX_CELLS:
        raise too_big(f"{len(rows)} hàng × {width} cột", f"{len(rows)} rows × {width} columns")
    columns: list[list[str | None]] = [[None] * len(rows) for _ in range(width)]
    for (row, column), text in grid.items():
        columns[column][place[row]] = text
    data = {ROW: pl.Series(rows, dtype=pl.Int64)} | {letters(i): pl.Series(values, dtype=pl.String) for i, values in enumerate(columns)}
    return Sheet(name, tidy(pl.DataFrame(data)), Layout(merged=tuple(merged)), visible)
