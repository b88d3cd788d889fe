"""Workbooks made by code, in every format that agencies send: the same grid of cells as XLSX, XLS, ODS, HTML or XML 2003."""

import datetime as dt
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import openpyxl
import xlwt
from pyxlsbwriter import XlsbWriter

Rows = list[list[Any]]


@dataclass
class Grid:
    """One sheet: ``rows`` from row 1; ``merged`` as (first row, first column, last row, last column), all from 1."""

    rows: Rows
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)
    name: str = "Biểu 1"
    state: str = "visible"
    touch: Callable[[Any], None] | None = None
    """What else to do to the sheet of an XLSX."""

    @property
    def filled(self) -> set[int]:
        """The numbers of the rows that hold anything."""
        return {n for n, row in enumerate(self.rows, 1) if any(cell not in (None, "") for cell in row)}


def xlsx(path: Path, *grids: Grid) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for grid in grids:
        sheet = book.create_sheet(grid.name)
        for r, row in enumerate(grid.rows, 1):
            for c, value in enumerate(row, 1):
                if value not in (None, ""):
                    sheet.cell(r, c, value)
        for r1, c1, r2, c2 in grid.merged:
            sheet.merge_cells(start_row=r1, start_column=c1, end_row=r2, end_column=c2)
        sheet.sheet_state = grid.state
        if grid.touch:
            grid.touch(sheet)
    book.save(path)
    return path


def xls(path: Path, *grids: Grid) -> Path:
    book = xlwt.Workbook()
    day = xlwt.easyxf(num_format_str="DD/MM/YYYY")
    for grid in grids:
        sheet = book.add_sheet(grid.name)
        sheet.visibility = {"visible": 0, "hidden": 1, "veryHidden": 2}[grid.state]
        for r, row in enumerate(grid.rows):
            for c, value in enumerate(row):
                if value not in (None, ""):
                    sheet.write(r, c, value, day if isinstance(value, dt.date) else xlwt.Style.default_style)
    book.save(str(path))
    return path


def ods(path: Path, *grids: Grid) -> Path:
    def cell(value: Any) -> str:
        if value in (None, ""):
            return "<table:table-cell/>"
        if isinstance(value, bool):
            return f'<table:table-cell office:value-type="boolean" office:boolean-value="{str(value).lower()}"/>'
        if isinstance(value, int | float):
            return f'<table:table-cell office:value-type="float" office:value="{value}"><text:p>{value}</text:p></table:table-cell>'
        if isinstance(value, dt.date):
            return f'<table:table-cell office:value-type="date" office:date-value="{value.isoformat()}"><text:p>{value}</text:p></table:table-cell>'
        return f'<table:table-cell office:value-type="string"><text:p>{escape(value)}</text:p></table:table-cell>'

    tables = "".join(
        f'<table:table table:name={quoteattr(grid.name)} table:style-name="{grid.state}">'
        + "".join(f"<table:table-row>{''.join(cell(v) for v in row) or '<table:table-cell/>'}</table:table-row>" for row in grid.rows)
        + "</table:table>"
        for grid in grids
    )
    names = " ".join(f'xmlns:{n}="urn:oasis:names:tc:opendocument:xmlns:{n}:1.0"' for n in ("office", "table", "text", "style"))
    styles = "".join(
        f'<style:style style:name="{state}" style:family="table"><style:table-properties table:display="{shown}"/></style:style>'
        for state, shown in (("visible", "true"), ("hidden", "false"))
    )
    styles = f"<office:automatic-styles>{styles}</office:automatic-styles>"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet", zipfile.ZIP_STORED)
        package.writestr(
            "META-INF/manifest.xml", '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>'
        )
        package.writestr(
            "content.xml",
            f'<?xml version="1.0"?><office:document-content {names}>{styles}<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>',
        )
    return path


def xlsb(path: Path, *grids: Grid) -> Path:
    with XlsbWriter(str(path)) as book:
        for grid in grids:
            book.add_sheet(grid.name)
            width = max(map(len, grid.rows))
            book.write_sheet([[*(cell or None for cell in row), *[None] * (width - len(row))] for row in grid.rows])
    return path


def html(path: Path, *grids: Grid) -> Path:
    """As web systems export: a page of tables called `.xls`."""
    page = ["<html><head><meta charset='utf-8'></head><body>"]
    for grid in grids:
        covered = {(r, c) for r1, c1, r2, c2 in grid.merged for r in range(r1, r2 + 1) for c in range(c1, c2 + 1)}
        spans = {(r1, c1): (r2 - r1 + 1, c2 - c1 + 1) for r1, c1, r2, c2 in grid.merged}
        page.append("<table border=1>")
        for r, row in enumerate(grid.rows, 1):
            page.append("<tr>")
            for c, value in enumerate(row, 1):
                if (r, c) in spans:
                    down, across = spans[r, c]
                    page.append(f"<td rowspan={down} colspan={across}>{escape(str(value))}</td>")
                elif (r, c) not in covered:
                    page.append(f"<td>{'' if value is None else escape(str(value))}</td>")
            page.append("</tr>")
        page.append("</table>")
    path.write_text("".join(page) + "</body></html>", encoding="utf-8")
    return path


def xml2003(path: Path, *grids: Grid) -> Path:
    def cell(value: Any) -> str:
        if value in (None, ""):
            return "<Cell/>"
        if isinstance(value, dt.date):
            return f'<Cell><Data ss:Type="DateTime">{value.isoformat()}T00:00:00.000</Data></Cell>'
        kind = "Number" if isinstance(value, int | float) else "String"
        return f'<Cell><Data ss:Type="{kind}">{escape(str(value))}</Data></Cell>'

    sheets = "".join(
        f"<Worksheet ss:Name={quoteattr(grid.name)}><Table>"
        + "".join(f"<Row>{''.join(map(cell, row))}</Row>" for row in grid.rows)
        + "</Table></Worksheet>"
        for grid in grids
    )
    space = "urn:schemas-microsoft-com:office:spreadsheet"
    path.write_text(f'<?xml version="1.0"?>\n<Workbook xmlns="{space}" xmlns:ss="{space}">{sheets}</Workbook>', encoding="utf-8")
    return path
