"""A delivery as a relation of text columns, whatever its format. Types come from the contract, never from a guess."""

from pathlib import Path

import duckdb
import fastexcel
from lxml import etree

from pipelines.contract import Contract
from pipelines.gate.readers.columnar import read_parquet
from pipelines.gate.readers.delimited import read_delimited
from pipelines.gate.readers.documents import read_geojson, read_json, read_xml
from pipelines.gate.readers.legacy import recognise
from pipelines.gate.readers.source import Decision, Source, Total, Unreadable
from pipelines.gate.readers.spreadsheet import read_spreadsheet

__all__ = ["SUFFIXES", "Decision", "Source", "Total", "Unreadable", "read"]

DELIMITED = {".csv", ".tsv", ".txt"}
SPREADSHEETS = {".xlsx", ".xlsm", ".xls", ".xlsb", ".ods"}
SUFFIXES = DELIMITED | SPREADSHEETS | {".json", ".xml", ".geojson", ".parquet"}


def read(connection: duckdb.DuckDBPyConnection, file: Path, contract: Contract | None = None, careful: bool = False) -> Source:
    """Open a delivery, with the contract in hand where there is one (a draft has none yet).

    ``careful``: look at every line of a delimited file; asked for when a source with ``csv`` turned out not to be sound.
    Raises `Unreadable` when the file is empty, damaged or of a kind that is not known.
    """
    return recognise(connection, _opened(connection, file, contract, careful), contract)


def _opened(connection: duckdb.DuckDBPyConnection, file: Path, contract: Contract | None, careful: bool) -> Source:
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise Unreadable(
            f"Không đọc được tệp loại {suffix or '(không đuôi)'}; hãy gửi một trong: {', '.join(sorted(SUFFIXES))}",
            f"Files of type {suffix or '(none)'} are not read; send one of: {', '.join(sorted(SUFFIXES))}",
        )
    if file.stat().st_size == 0:
        raise Unreadable("Tệp rỗng", "The file is empty")
    try:
        if suffix in DELIMITED:
            return read_delimited(connection, file, contract, careful)
        if suffix in SPREADSHEETS:
            return read_spreadsheet(connection, file, contract)
        return {".json": read_json, ".geojson": read_geojson, ".xml": read_xml, ".parquet": read_parquet}[suffix](connection, file)
    except duckdb.OutOfMemoryException:
        raise  # the machine's trouble, not the sender's
    except (duckdb.Error, fastexcel.FastExcelError, etree.XMLSyntaxError, UnicodeDecodeError) as error:
        raise Unreadable.because_of(error, file) from error
