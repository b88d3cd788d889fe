"""Rows as bytes: CSV, JSON, Parquet and Excel, each from record batches so that memory stays flat."""

import io
import re
import tempfile
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import xlsxwriter

from catalog.doors.selection import Reader, Selection
from pipelines.formula_guard import guarded, risky
from pipelines.sql import quote

CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
XLSX_MAX_ROWS = 1_048_575
"""What a worksheet holds below its header."""


def csv_chunks(reader: Reader, selection: Selection) -> Iterator[bytes]:
    """UTF-8 with a byte order mark, as Excel wants it; cells that a spreadsheet would run as a formula are disarmed."""
    disarmed = {c.name: guarded(f"t.{quote(c.name)}") for c in selection.contract.columns if c.type == "string"}
    header = True
    for batch in reader.batches(selection, disarmed):
        sink = io.BytesIO()
        pyarrow.csv.write_csv(batch, sink, pyarrow.csv.WriteOptions(include_header=header, quoting_style="needed"))
        yield (b"\xef\xbb\xbf" if header else b"") + sink.getvalue()
        header = False


def json_chunks(reader: Reader, selection: Selection) -> Iterator[bytes]:
    """One array of objects."""
    start = b"[\n"
    for batch in reader.batches(selection, as_json=True):
        rows = batch.column(0).to_pylist()
        if rows:
            yield start + ",\n".join(rows).encode()
            start = b",\n"
    yield b"\n]\n" if start != b"[\n" else b"[]\n"


class _Drain(io.RawIOBase):
    """A file that can be told, but keeps only what was written since it was last emptied."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._parts.append(bytes(data))
        self._written += len(self._parts[-1])
        return len(self._parts[-1])

    def tell(self) -> int:
        return self._written

    def drain(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def parquet_chunks(reader: Reader, selection: Selection) -> Iterator[bytes]:
    sink = _Drain()
    writer: pq.ParquetWriter | None = None
    for batch in reader.batches(selection):
        writer = writer or pq.ParquetWriter(sink, batch.schema, compression="zstd")
        if batch.num_rows:
            writer.write_batch(batch)
        if chunk := sink.drain():
            yield chunk
    if writer is not None:
        writer.close()
        yield sink.drain()


def xlsx_file(reader: Reader, selection: Selection, notes: list[tuple[str, str]]) -> IO[bytes]:
    """A workbook in a temporary file: the rows, the dictionary, and where they come from. Text is never a formula."""
    target = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it when it was sent
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(target, {**options, "default_date_format": "dd/mm/yyyy", "remove_timezone": True})
    bold = book.add_format({"bold": True})
    quoted = book.add_format({"quote_prefix": True})  # stays text when somebody edits the cell
    stamp = book.add_format({"num_format": "dd/mm/yyyy hh:mm:ss"})
    sheet = book.add_worksheet("Du lieu")
    sheet.freeze_panes(1, 0)
    sheet.write_row(0, 0, selection.columns, bold)
    at = 0
    for batch in reader.batches(selection):
        times = {i for i, f in enumerate(batch.schema) if pa.types.is_timestamp(f.type)}
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            at += 1
            for column, value in enumerate(row):
                if value is None:
                    continue
                if isinstance(value, str):
                    sheet.write_string(at, column, _CONTROL.sub("", value)[:32_767], quoted if risky(value) else None)
                elif column in times:
                    sheet.write_datetime(at, column, value, stamp)
                else:
                    sheet.write(at, column, value)
    dictionary = book.add_worksheet("Tu dien")
    dictionary.write_row(0, 0, ["cột", "tên cột", "title", "kiểu", "đơn vị", "mô tả"], bold)
    for line, name in enumerate(selection.columns, 1):
        c = selection.contract.by_name[name]
        dictionary.write_row(line, 0, [c.name, c.title, c.title_en, c.type, c.unit or "", c.description])
    source = book.add_worksheet("Nguon")
    for line, pair in enumerate(notes):
        source.write_row(line, 0, pair)
    book.close()
    target.seek(0)
    return target


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
