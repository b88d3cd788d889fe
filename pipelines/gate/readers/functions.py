"""Python functions on text as functions of a connection: a batch of values at a time, so that a column of any length streams."""

from collections.abc import Callable

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType


def register(connection: duckdb.DuckDBPyConnection, name: str, function: Callable[[str], str | None]) -> None:
    """Make ``function`` callable in SQL as ``name`` (the reader's own, never a sender's); NULL stays NULL."""

    def batch(texts: pa.ChunkedArray) -> pa.Array:
        return pa.array([None if t is None else function(t) for t in texts.to_pylist()], pa.string())

    if not connection.execute("SELECT 1 FROM duckdb_functions() WHERE function_name = ?", [name]).fetchone():
        connection.create_function(
            name, batch, ["VARCHAR"], "VARCHAR", type=PythonUDFType.ARROW, null_handling=FunctionNullHandling.SPECIAL
        )
