"""Reading answers of any kind as text."""

import io

import openpyxl
import pyarrow.parquet as pq


def content(response) -> bytes:
    return b"".join(response.streaming_content) if response.streaming else response.content


def body(response) -> str:
    """The whole answer as text, spreadsheets and Parquet unpacked, so that a value cannot hide in a compressed file."""
    raw = content(response)
    if response.status_code == 200 and "spreadsheet" in response["Content-Type"]:
        book = openpyxl.load_workbook(io.BytesIO(raw))
        return "\n".join(str(cell) for sheet in book for row in sheet.iter_rows(values_only=True) for cell in row)
    if response.status_code == 200 and "parquet" in response["Content-Type"]:
        return str(pq.read_table(io.BytesIO(raw)).to_pylist())
    return raw.decode("utf-8", "replace")
