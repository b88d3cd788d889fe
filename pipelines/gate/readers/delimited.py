"""CSV, TSV and other delimited text."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path

import duckdb

from pipelines.contract import Contract
from pipelines.gate.readers.source import Source, header_of
from pipelines.sql import literal


def read_delimited(connection: duckdb.DuckDBPyConnection, file: Path, contract: Contract | None) -> Source:
    # The quote is given: a stray quote otherwise makes the sniffer choose none, and two-line records break.
    with file.open("rb") as lines:
        first = lines.readline()
    encoding = "utf-16" if first.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else "utf-8"
    delimiter = max((",", ";", "\t", "|"), key=lambda d: first.count(d.encode()))
    relation = f"""
        read_csv({literal(file)}, all_varchar = true, header = true, delim = {literal(delimiter)}, quote = '"', escape = '"',
                 null_padding = true, strict_mode = false, parallel = true, encoding = {literal(encoding)})
    """
    relation = relation.replace("null_padding = true, ", "") if file.stat().st_size > 50_000_000 else relation
    return Source(relation, header_of(connection, relation), first_row=2)
