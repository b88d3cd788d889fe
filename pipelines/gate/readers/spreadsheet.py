"""Workbooks: XLSX, XLSM, XLS, XLSB, ODS."""

from pathlib import Path

import duckdb
import fastexcel
import pyarrow as pa

from pipelines.contract import Contract
from pipelines.gate.readers.source import Source, Unreadable, of_arrow


def read_spreadsheet(connection: duckdb.DuckDBPyConnection, file: Path, contract: Contract | None) -> Source:
    # Every cell as text: codes keep their leading zeros, dates come as ISO text, whatever the cell's own type.
    sheet = fastexcel.read_excel(file).load_sheet(0, header_row=0, dtypes="string")
    if sheet.height == 0 and not sheet.available_columns():
        raise Unreadable("Trang tính đầu tiên rỗng", "The first sheet is empty")
    return of_arrow(connection, pa.Table.from_batches([sheet.to_arrow()]), first_row=2)
