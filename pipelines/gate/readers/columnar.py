"""Parquet: columns that already have types. They are read as text all the same, for one way of judging."""

from pathlib import Path

import duckdb

from pipelines.gate.readers.source import Source, header_of
from pipelines.sql import literal, quote


def read_parquet(connection: duckdb.DuckDBPyConnection, file: Path) -> Source:
    """Every column as text; dates and times in ISO form, nested values as JSON."""
    header = header_of(connection, f"read_parquet({literal(file)})")
    columns = ", ".join(f"CAST({quote(name)} AS VARCHAR) AS {quote(name)}" for name in header)
    return Source(f"(SELECT {columns} FROM read_parquet({literal(file)}))", header, first_row=1, plain=True)
