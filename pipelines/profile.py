"""What each column of a release holds, in figures: shown on its page and compared with later releases."""

import duckdb
import pyarrow as pa

from pipelines.contract import Column, Contract
from pipelines.contract.periods import PERIODS
from pipelines.sql import quote, quote_name

"""Semantic types of periods: new ones must come, so their values are no sign of drift."""

MAX_CATEGORIES = 200
"""Values of a closed list that are counted one by one."""

EXACT_UP_TO = 100_000
"""Rows up to which different values are counted one by one; beyond, DuckDB's sketch may be a third off."""

LARGEST_SQUARED = "1e150"
"""The square of a larger number is none: DuckDB would end the load with an error."""

FIGURES = pa.schema(
    [
        ("column_name", pa.string()),
        ("nulls", pa.int64()),
        ("distinct_count", pa.int64()),
        ("minimum", pa.string()),
        ("maximum", pa.string()),
        ("mean", pa.float64()),
        ("deviation", pa.float64()),
        ("categories", pa.list_(pa.string())),
        ("counts", pa.list_(pa.int64())),
    ]
)


def write_profile(connection: duckdb.DuckDBPyConnection, contract: Contract, delivery_id: str) -> int:
    """Profile the dataset's table as it is now, in one scan, into `kho.profile`; the number of rows.

    Extremes, mean and frequencies are kept of columns without personal data only.
    """
    table = quote_name(contract.schema, contract.table)
    counted = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert counted is not None
    total = int(counted[0])
    parts = ", ".join(part for column in contract.columns for part in _figures(column, exact=total <= EXACT_UP_TO))
    values = connection.execute(f"SELECT {parts} FROM {table}").fetchone()
    assert values is not None
    width = len(FIGURES) - 1
    columns = [[c.name for c in contract.columns], *(list(values[i::width]) for i in range(width))]
    profile = pa.table([pa.array(c, field.type) for c, field in zip(columns, FIGURES, strict=True)], schema=FIGURES)
    names = ", ".join(FIGURES.names)
    connection.register("profile_rows", profile)
    connection.execute(
        f"INSERT INTO kho.profile (delivery_id, dataset, rows, {names}) SELECT ?, ?, ?, {names} FROM profile_rows",
        [delivery_id, contract.id, total],
    )
    connection.unregister("profile_rows")
    return total


def _figures(column: Column, *, exact: bool) -> list[str]:
    """One expression per figure, in the order of `FIGURES`."""
    x = quote(column.name)
    figures = [f"count(*) - count({x})", f"count(DISTINCT {x})" if exact else f"approx_count_distinct({x})"]
    if column.personal != "none" or column.semantic == "hinh_hoc":
        return figures + ["NULL"] * 6
    figures += [f"CAST(min({x}) AS VARCHAR)", f"CAST(max({x}) AS VARCHAR)"]
    finite = f" FILTER (WHERE abs({x}) < {LARGEST_SQUARED})" if column.sql_type in ("DOUBLE", "FLOAT") else ""
    figures += [f"avg({x}){finite}", f"stddev_pop({x}){finite}"] if is_measure(column) else ["NULL", "NULL"]
    frequencies = f"histogram(CAST({x} AS VARCHAR))"
    figures += [f"map_keys({frequencies})", f"map_values({frequencies})"] if is_category(column) else ["NULL", "NULL"]
    return figures


def is_measure(column: Column) -> bool:
    """Whether the column is a number whose mean says something: no key, no period."""
    return column.type in ("integer", "number") and not column.key and column.semantic not in PERIODS


def is_category(column: Column) -> bool:
    """Whether the column draws on a short closed list whose frequencies say something."""
    listed = column.type == "boolean" or 1 < len(column.values) <= MAX_CATEGORIES
    return listed and not column.key and column.semantic not in PERIODS
