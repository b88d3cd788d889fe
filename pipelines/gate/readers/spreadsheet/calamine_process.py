"""The program of the process that reads workbooks: requests in, cells out. It knows nothing of the warehouse; see `calamine`."""

import json
import re
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

import fastexcel
import pyarrow as pa


class Reader:
    """The workbook asked for last, kept open between its sheets."""

    def __init__(self) -> None:
        self.file = ""
        self.book: fastexcel.ExcelReader | None = None

    def open(self, file: str) -> fastexcel.ExcelReader:
        if self.book is None or self.file != file:
            self.book = None
            # Bytes, because given a path the library would believe the suffix.
            self.book, self.file = fastexcel.read_excel(Path(file).read_bytes()), file
        return self.book

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], pa.RecordBatch | None]:
        if request["do"] == "names":
            self.book = None
            return {"names": self.open(request["file"]).sheet_names}, None
        sheet = self.open(request["file"]).load_sheet(request["sheet"], header_row=None, skip_rows=0, dtypes="string")
        facts = {"cells": True, "visible": sheet.visible == "visible", "columns": [], "errors": []}
        if sheet.width == 0:
            return facts, pa.RecordBatch.from_pydict({})
        cells, errors = sheet.to_arrow_with_errors()
        facts["columns"] = [column.absolute_index for column in sheet.available_columns()]
        facts["errors"] = [(*error.position, _name(error.detail)) for error in (errors.errors if errors else [])]
        return facts, cells


def _name(detail: str) -> str:
    """`Expected string but got 'Error(Ref)'` → `Ref`."""
    found = re.search(r"Error\((\w+)\)", detail)
    return found[1] if found else ""


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until nobody asks any more."""
    reader = Reader()
    for line in requests:
        try:
            facts, cells = reader.answer(json.loads(line))
        except BaseException as error:  # noqa: BLE001 - a panic in Rust is no Exception, and is an answer like any other
            facts, cells = {"refused": str(error)}, None
        answers.write(json.dumps(facts).encode() + b"\n")
        if cells is not None:
            with pa.ipc.new_stream(answers, cells.schema) as stream:
                stream.write_batch(cells)
        answers.flush()


if __name__ == "__main__":
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    serve(sys.stdin.buffer, sys.stdout.buffer)
