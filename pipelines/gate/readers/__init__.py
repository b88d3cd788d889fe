"""A delivery as a relation of text columns, whatever its format. Types come from the contract, never from a guess."""

from dataclasses import replace
from pathlib import Path

import duckdb
from lxml import etree

from pipelines.contract import Contract
from pipelines.gate.readers.columnar import read_parquet
from pipelines.gate.readers.delimited import read_delimited
from pipelines.gate.readers.documents import read_json, read_xml
from pipelines.gate.readers.legacy import recognise
from pipelines.gate.readers.packed import PACKED, UNPACKED_LIMIT, naming, settle, together, unpack
from pipelines.gate.readers.scratch import Scratch
from pipelines.gate.readers.source import FAULTS, Decision, Source, Total, Unreadable, read_csv
from pipelines.gate.readers.spreadsheet import read_spreadsheet

__all__ = ["FAULTS", "PACKED", "SUFFIXES", "UNPACKED_LIMIT", "Decision", "Source", "Total", "Unreadable", "read", "read_csv"]

DELIMITED = {".csv", ".tsv", ".txt"}
SPREADSHEETS = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"}
JSON = {".json", ".jsonl", ".ndjson", ".geojson", ".geojsonl"}
SUFFIXES = DELIMITED | SPREADSHEETS | JSON | {".xml", ".parquet"}
"""Of a file that holds rows; `PACKED` are those of a file that holds such files."""


def read(
    connection: duckdb.DuckDBPyConnection,
    file: Path,
    contract: Contract | None = None,
    careful: bool = False,
    unpacked_limit: int = UNPACKED_LIMIT,
) -> Source:
    """Open a delivery, with the contract in hand where there is one (a draft has none yet).

    ``careful``: look at every line of a delimited file; asked for when a source with ``csv`` turned out not to be sound.
    ``unpacked_limit``: bytes that a packed delivery may unpack to.
    Raises `Unreadable` when the file is empty, damaged or of a kind that is not known.
    """
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES | PACKED:
        known = ", ".join(sorted(SUFFIXES | PACKED))
        raise Unreadable(
            f"Không đọc được tệp loại {suffix or '(không đuôi)'}; hãy gửi một trong: {known}",
            f"Files of type {suffix or '(none)'} are not read; send one of: {known}",
        )
    if file.stat().st_size == 0:
        raise Unreadable("Tệp rỗng", "The file is empty")
    if suffix not in PACKED:
        return _opened(connection, file, contract, careful)
    scratch = Scratch(connection)
    members, decisions = unpack(file, scratch, SUFFIXES.__contains__, unpacked_limit)
    parts = []
    for member in members:
        with naming(member):
            source = _opened(connection, member.file, contract, careful)
            parts.append((member, settle(connection, source, scratch) if len(members) > 1 else source))
    source = together(connection, parts, scratch) if len(parts) > 1 else parts[0][1]
    return replace(source, decisions=(*decisions, *source.decisions), scratch=(*source.scratch, scratch))


def _opened(connection: duckdb.DuckDBPyConnection, file: Path, contract: Contract | None, careful: bool) -> Source:
    suffix = file.suffix.lower()
    try:
        if file.stat().st_size == 0:
            raise Unreadable("Tệp rỗng", "The file is empty")
        if suffix in DELIMITED:
            source = read_delimited(connection, file, contract, careful)
        elif suffix in SPREADSHEETS:
            return read_spreadsheet(connection, file, contract)
        elif suffix in JSON:
            source = read_json(connection, file, contract)
        elif suffix == ".xml":
            source = read_xml(connection, file, contract)
        else:
            source = read_parquet(connection, file)
        return recognise(connection, source, contract)
    except duckdb.OutOfMemoryException:
        raise  # the machine's trouble, not the sender's
    except (duckdb.Error, etree.XMLSyntaxError, UnicodeDecodeError) as error:
        raise Unreadable.because_of(error, file) from error
