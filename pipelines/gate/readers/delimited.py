"""CSV, TSV and other delimited text: a clean file is one parallel read_csv; a dirty one is first written anew.

Row numbers are lines of the file as a text editor shows them; a record spread over lines has the number of its first.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.contract import Contract
from pipelines.gate.readers.dialect import Layout, layout_of
from pipelines.gate.readers.encodings import HEAD, encoding_of, encoding_of_whole, transcode
from pipelines.gate.readers.records import lines_of, newline_of, records
from pipelines.gate.readers.scratch import Scratch
from pipelines.gate.readers.source import Decision, Source, read_csv, rows_left_out
from pipelines.gate.readers.tables import LeftOut, Row, Sorting, sort
from pipelines.sql import literal, quote

LOOKED_THROUGH = 32 << 20
"""A file up to this many bytes is looked through before it is called clean; of a larger one, samples are."""
SAMPLE_LINES = 1_000
"""Lines of the head that are sorted before anything else is decided."""
WINDOWS, WINDOW = 8, 64 << 10
"""Samples of a large file, spread evenly, the last at its end; and bytes of each."""
BATCH = 16 << 20
"""Characters of rows in memory while a dirty file is written anew."""
TRIMMED_SHARE = 0.05
ROW, FAULT = "_kho_row", "_kho_fault"


def read_delimited(connection: duckdb.DuckDBPyConnection, file: Path, contract: Contract | None, careful: bool = False) -> Source:
    """Open a delimited file. ``careful``: look at every line, for a first reading found that not all are sound."""
    pinned = contract.reading.encoding if contract else None
    with file.open("rb") as stream:
        head = stream.read(HEAD)
    encoding = encoding_of(head, pinned)
    if encoding.plain and not pinned and (careful or file.stat().st_size <= LOOKED_THROUGH):
        encoding = encoding_of_whole(file, head)
    scratch = None
    if not encoding.plain:
        scratch = Scratch(connection)
        file = transcode(file, encoding, scratch.file("text.csv"))
    lines, newline = _head(file)
    layout = layout_of([line for line, _ in lines], contract)
    layout = replace(layout, decisions=(*encoding.decision, *layout.decisions))
    sample = _sorted_sample(lines, layout, contract)
    if not careful and _is_plain(layout, sample, contract, newline) and (clean := _clean(connection, file, layout, contract, sample)):
        return replace(clean, scratch=(scratch,) if scratch else ())
    scratch = scratch or Scratch(connection)
    return _anew(file, layout, contract, newline, scratch, _trims(sample, layout))


def _head(file: Path) -> tuple[list[tuple[str, bool]], str]:
    """The first lines of the file, whole ones (but for a single endless one), and what ends a line."""
    with file.open("rb") as stream:
        data = stream.read(HEAD)
    text = data.decode("utf-8-sig", "ignore")
    newline = newline_of(text)
    lines = [(line.removesuffix("\r"), False) for line in text.split(newline)]
    if len(data) == HEAD and len(lines) > 1:
        lines.pop()
    while lines and not lines[-1][0] and len(lines) > 1:
        lines.pop()
    return lines, newline


def _sorted_sample(lines: list[tuple[str, bool]], layout: Layout, contract: Contract | None) -> list[Row | LeftOut]:
    return list(sort(records(lines[:SAMPLE_LINES], layout.dialect, layout.width), layout, contract, Sorting()))


def _trims(sample: list[Row | LeftOut], layout: Layout) -> bool:
    """Whether rows end with their last filled cell: several are short, and none that is whole ends with an empty cell."""
    rows = [r for r in sample if isinstance(r, Row)]
    short = sum(r.fault == "short" for r in rows)
    whole_and_empty = any(r.fault is None and not r.cells[-1].strip() for r in rows)
    return short >= 3 and short >= TRIMMED_SHARE * len(rows) and not whole_and_empty


# ---- a clean file


def _is_plain(layout: Layout, sample: list[Row | LeftOut], contract: Contract | None, newline: str) -> bool:
    rows = [item.line for item in sample if isinstance(item, Row)]
    return (
        layout.dialect.simple
        and newline == "\n"
        and len(layout.header_lines) == 1
        and not (contract and contract.reading.group_column)
        and not any(item.fault for item in sample if isinstance(item, Row))
        and not any(item.line >= layout.data_line for item in sample if isinstance(item, LeftOut))
        and rows == list(range(layout.data_line, layout.data_line + len(rows)))
    )


def _clean(
    connection: duckdb.DuckDBPyConnection, file: Path, layout: Layout, contract: Contract | None, sample: list[Row | LeftOut]
) -> Source | None:
    """The file as one read_csv, if nothing that was looked at speaks against it."""
    names = [f"_{place}" for place in range(layout.width)]
    for name, place in zip(layout.header, layout.places, strict=True):
        names[place] = name
    dialect = layout.dialect
    options = {
        "delim": literal(dialect.delimiter),
        "quote": literal(dialect.quote),
        "escape": literal(dialect.escape),
        "header": "false",
        "auto_detect": "false",
        "strict_mode": "true",
        "skip": str(layout.data_line - 1),
    }
    if file.stat().st_size > LOOKED_THROUGH:
        sound = _windows_are_sound(file, layout, contract)
    else:
        sound = _all_is_sound(connection, file, layout, names, options)
    if not sound:
        return None
    above = [(item.line, item.kind, item.shown) for item in sample if isinstance(item, LeftOut)]
    return Source(
        read_csv(file, dict.fromkeys(names, "VARCHAR"), options),
        list(layout.header),
        first_row=layout.data_line,
        left_out=rows_left_out(above),
        decisions=layout.decisions,
        csv=options,
        file=file,
    )


def _all_is_sound(connection: duckdb.DuckDBPyConnection, file: Path, layout: Layout, names: list[str], options: dict[str, str]) -> bool:
    """One strict reading: as many records as lines, no row that may be a total, a note or a header again."""
    with file.open("rb") as stream:
        lines, last = 0, b"\n"
        while chunk := stream.read(1 << 20):
            if b"\0" in chunk:
                return False
            lines, last = lines + chunk.count(b"\n"), chunk[-1:]
    lines += last != b"\n"
    first = quote(layout.header[0])
    start = " OR ".join(f"regexp_matches({quote(n)}, '^\\s*(?i:tổng|cộng|tong cong|total|grand total)\\b')" for n in names[:4])
    alone = f" OR coalesce({', '.join(quote(n) for n in names[1:])}) IS NULL" if len(names) > 2 else ""
    relation = read_csv(file, dict.fromkeys(names, "VARCHAR"), options)
    try:
        row = connection.execute(
            f"SELECT count(*), count(*) FILTER ({start} OR {first} = {literal(layout.header[0])}{alone}) FROM {relation}"
        ).fetchone()
    except (duckdb.InvalidInputException, duckdb.InternalException):
        return False
    return row is not None and row[1] == 0 and row[0] == lines - layout.data_line + 1


def _windows_are_sound(file: Path, layout: Layout, contract: Contract | None) -> bool:
    """Samples of a large file. What they miss, reading strictly finds, or the rows' own rules."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        for index in range(1, WINDOWS + 1):
            stream.seek((size - WINDOW) * index // WINDOWS)
            data = stream.read(WINDOW)
            if b"\0" in data:
                return False
            text = data.decode("utf-8", "ignore").split("\n")[1:-1]
            found = list(records(((line.removesuffix("\r"), False) for line in text), layout.dialect, layout.width))
            # A window may begin inside a quoted cell; then its first records tell nothing.
            shifted = (replace(r, line=r.line + layout.data_line) for r in found[1:])
            if any(not isinstance(item, Row) or item.fault for item in sort(shifted, layout, contract, Sorting())):
                return False
    return True


# ---- a dirty file


def _anew(file: Path, layout: Layout, contract: Contract | None, newline: str, scratch: Scratch, trims: bool) -> Source:
    """Write the rows to one Parquet file and what is left out to another, record by record, and read those."""
    sorting = Sorting()
    grouped = contract.reading.group_column if contract else None
    header = [*layout.header, *([grouped] if grouped else [])]
    found = records(lines_of(file, newline), layout.dialect, layout.width)
    rows, others = scratch.file("rows.parquet"), scratch.file("left-out.parquet")
    with _Writer(rows, [ROW, FAULT, *header]) as write_row, _Writer(others, ["row_number", "kind", "text"]) as write_other:
        for item in sort(found, layout, contract, sorting, trims):
            if isinstance(item, Row):
                write_row(item.line, (item.fault, *item.cells, *((item.group,) if grouped else ())))
            else:
                write_other(item.line, (item.kind, item.shown))
    return Source(
        f"read_parquet({literal(rows)})",
        header,
        first_row=layout.data_line,
        row=ROW,
        fault=FAULT,
        left_out=f"SELECT row_number, kind, coalesce(text, '') AS text FROM read_parquet({literal(others)})",
        decisions=(*layout.decisions, *_mended(sorting, trims)),
        totals=tuple(sorting.totals),
        scratch=(scratch,),
    )


class _Writer:
    """Rows one by one into a Parquet file: a number, then texts; an empty text is NULL. A batch at a time is in memory."""

    def __init__(self, file: Path, names: list[str]) -> None:
        self.schema = pa.schema([(names[0], pa.int64()), *((name, pa.string()) for name in names[1:])])
        self.file = file

    def __enter__(self) -> Callable[[int, tuple[str | None, ...]], None]:
        self.writer = pq.ParquetWriter(self.file, self.schema)
        self.numbers: list[int] = []
        self.texts: list[tuple[str | None, ...]] = []
        self.size = 0
        return self._take

    def _take(self, number: int, texts: tuple[str | None, ...]) -> None:
        self.numbers.append(number)
        self.texts.append(texts)
        self.size += sum(map(len, filter(None, texts))) + 50
        if self.size > BATCH:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self.texts, strict=True) if self.texts else ((),) * (len(self.schema) - 1)
        arrays = [pa.array([t or None for t in column], pa.string()) for column in columns]
        self.writer.write_batch(pa.RecordBatch.from_arrays([pa.array(self.numbers, pa.int64()), *arrays], schema=self.schema))
        self.numbers, self.texts, self.size = [], [], 0

    def __exit__(self, *_: object) -> None:
        self._flush()
        self.writer.close()


def _mended(sorting: Sorting, trims: bool) -> Iterator[Decision]:
    if trims:
        yield Decision(
            "short-rows", "bỏ ô trống cuối hàng", "không hàng đủ ô nào kết thúc bằng ô trống · no whole row ends with an empty cell"
        )
    words = {
        "delimiter": ("dấu phân cách khác", "rows with another delimiter"),
        "nul": ("bỏ ký tự NUL cuối ô", "rows with NUL characters at the end of a cell"),
    }
    for what, count in sorting.mended.items():
        yield Decision(what, words[what][0], f"{count} hàng · {words[what][1]}")
