"""JSON, GeoJSON and XML: rows inside a document."""

import json
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from pipelines.contract import Contract
from pipelines.gate.headers import fold, known_names
from pipelines.gate.readers.encodings import BOMS, HEAD, Encoding, transcode
from pipelines.gate.readers.objects import flat_header, of_objects
from pipelines.gate.readers.scratch import Scratch
from pipelines.gate.readers.source import Decision, Source, Unreadable
from pipelines.gate.readers.xml import write_rows
from pipelines.sql import literal

MAX_DEPTH = 200
"""Levels of nesting; DuckDB goes down them by recursion, and dies of a hundred thousand."""
MAX_WHOLE = 64 << 20
"""Bytes of a document whose rows stand inside one object: it is read whole. A list or lines may be of any size."""
CHUNK = 1 << 20


def read_json(connection: duckdb.DuckDBPyConnection, file: Path, contract: Contract | None) -> Source:
    """Rows from a list, from lines, or from the list inside an object (`{"result": {"records": […]}}`); features as rows.

    Each property of a feature is a column, its geometry is GeoJSON text in the column `geometry`.
    """
    scratch: tuple[Scratch, ...] = ()
    with file.open("rb") as stream:
        head = stream.read(HEAD)
    for bom, codec in BOMS:
        if head.startswith(bom):
            scratch = (Scratch(connection),)
            file = transcode(file, Encoding("utf-8-sig" if codec == "utf-8" else codec), scratch[0].file("text.json"))
            with file.open("rb") as stream:
                head = stream.read(HEAD)
            break
    _not_too_deep(file)
    decisions: tuple[Decision, ...] = ()
    start = head.lstrip()
    layout = "array" if start.startswith(b"[") else "newline_delimited" if _is_lines(start) else None
    if layout:
        rows = f"SELECT json FROM read_json_objects({literal(file)}, format = {literal(layout)})"
        if header := flat_header(connection, rows):
            columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in header)
            relation = f"read_json({literal(file)}, format = {literal(layout)}, columns = {{{columns}}})"
            return Source(relation, header, first_row=1, plain=True, scratch=scratch)
    else:
        rows, decisions = _inside(connection, file, contract)
    rows = _features(connection, rows)
    return replace(of_objects(connection, rows, contract, decisions), scratch=scratch, plain=True)


def read_xml(connection: duckdb.DuckDBPyConnection, file: Path, contract: Contract | None) -> Source:
    """The elements that repeat, or that hold the contract's fields, are rows; their children and attributes are columns."""
    scratch = Scratch(connection)
    lines = scratch.file("rows.jsonl")
    row = write_rows(file, lines, contract)
    if lines.stat().st_size == 0:
        raise Unreadable("XML không có hàng nào", "The XML holds no rows")
    rows = f"SELECT json FROM read_json_objects({literal(lines)}, format = 'newline_delimited')"
    decisions = (Decision("rows", row, "phần tử mỗi hàng · the element of a row"),)
    return replace(of_objects(connection, rows, contract, decisions), scratch=(scratch,))


def _is_lines(start: bytes) -> bool:
    """Whether the first line is a whole object and another begins after it."""
    first, _, rest = start.partition(b"\n")
    try:
        return isinstance(json.loads(first), dict) and rest.lstrip().startswith(b"{")
    except (ValueError, RecursionError):
        return False


def _inside(connection: duckdb.DuckDBPyConnection, file: Path, contract: Contract | None) -> tuple[str, tuple[Decision, ...]]:
    """The list of objects inside one object: the one whose fields the contract knows best, else the outermost."""
    size = file.stat().st_size
    if size > MAX_WHOLE:
        raise Unreadable(
            f"JSON lớn hơn {MAX_WHOLE >> 20} MB phải là một danh sách, hoặc mỗi dòng một đối tượng",
            f"JSON larger than {MAX_WHOLE >> 20} MB must be a list, or one object a line",
        )
    whole = f"SELECT json FROM read_json_objects({literal(file)}, format = 'unstructured', maximum_object_size = {max(size + 1, 1 << 24)})"
    row = connection.execute(f"SELECT CAST(json_structure(json) AS VARCHAR), count(*) OVER () FROM ({whole}) LIMIT 1").fetchone()
    structure = json.loads(row[0]) if row else None
    if row is None or not isinstance(structure, dict):
        raise Unreadable("JSON phải là một danh sách đối tượng", "The JSON must be a list of objects")
    if row[1] > 1:
        return whole, ()
    known = known_names(contract) if contract else {}
    fit = lambda fields: len({known[fold(f)] for f in fields if fold(f) in known})
    found: list[tuple[int, bool, int, str]] = []
    waiting: deque[tuple[str, Any, int]] = deque([("", structure, 0)])
    while waiting:
        pointer, node, depth = waiting.popleft()
        is_list = isinstance(node, list)
        fields = node[0] if is_list and node else node
        if not isinstance(fields, dict):
            continue
        if is_list or fit(fields):
            found.append((fit(fields), is_list, -depth, pointer))
        if not is_list:
            waiting.extend((f"{pointer}/{k.replace('~', '~0').replace('/', '~1')}", v, depth + 1) for k, v in fields.items())
    if not found:
        return whole, ()
    _, is_list, _, pointer = max(found)
    at = f"json_extract(json, {literal(pointer)})" if pointer else "json"
    decisions = (Decision("rows", pointer, "danh sách trong tài liệu · the list inside the document"),) if pointer else ()
    return f"SELECT {f'unnest(CAST({at} AS JSON[]))' if is_list else at} AS json FROM ({whole})", decisions


def _features(connection: duckdb.DuckDBPyConnection, rows: str) -> str:
    """Collections of features, one a line, opened into their features."""
    row = connection.execute(f"SELECT json_type(json, '/features') FROM ({rows}) LIMIT 1").fetchone()
    return f"SELECT unnest(CAST(json_extract(json, '/features') AS JSON[])) AS json FROM ({rows})" if row and row[0] == "ARRAY" else rows


def _not_too_deep(file: Path) -> None:
    """Refuse nesting without end. Brackets are counted everywhere, in texts too: those rarely stand alone, so it errs on few files."""
    depth = 0
    steps = np.zeros(256, np.int8)
    steps[list(b"[{")], steps[list(b"]}")] = 1, -1
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            levels = np.cumsum(steps[np.frombuffer(chunk, np.uint8)], dtype=np.int64)
            if depth + int(levels.max()) > MAX_DEPTH and _deepest(file) > MAX_DEPTH:
                raise Unreadable(f"JSON lồng sâu hơn {MAX_DEPTH} tầng", f"The JSON is nested over {MAX_DEPTH} levels deep")
            depth = max(0, depth + int(levels[-1]))


def _deepest(file: Path) -> int:
    """The depth of nesting, texts left out; stops above the limit."""
    depth = deepest = 0
    in_text = escaped = False
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            for byte in chunk:
                if in_text:
                    in_text, escaped = (escaped or byte != 0x22), not escaped and byte == 0x5C
                elif byte == 0x22:
                    in_text = True
                elif byte in b"[{":
                    depth += 1
                    deepest = max(deepest, depth)
                    if deepest > MAX_DEPTH:
                        return deepest
                elif byte in b"]}":
                    depth -= 1
    return deepest
