"""Contract → pandera schema: the one statement of what a row must look like.

`pipelines.gate.scan` compiles this schema's checks to one DuckDB scan for deliveries of any size; the schema itself
validates a polars frame where the batch is small or another engine is at work. A test holds the two to one verdict.
"""

from typing import Any

import pandera.polars as pa
import polars as pl
import sqlglot
from pandera.api.checks import Check
from sqlglot import exp

from pipelines.contract import Column, Contract

POLARS_TYPES: dict[str, Any] = {
    "string": pl.String,
    "integer": pl.Int64,
    "number": pl.Float64,
    "boolean": pl.Boolean,
    "date": pl.Date,
    "timestamp": pl.Datetime,
}
MST_WEIGHTS = (31, 29, 23, 19, 17, 13, 7, 5, 3)
"""Weights of the first nine digits of a tax code; the tenth is 10 minus the weighted sum modulo 11."""


def mst_check() -> Check:
    """Checksum of 10- and 13-digit tax codes; a 12-digit personal number has no check digit."""

    def valid(data: Any) -> Any:
        code = pl.col(data.key)
        total = sum((code.str.slice(i, 1).cast(pl.Int64, strict=False) * w for i, w in enumerate(MST_WEIGHTS)), pl.lit(0))
        right = (pl.lit(10) - total % 11) == code.str.slice(9, 1).cast(pl.Int64, strict=False)
        return data.lazyframe.select(code.is_null() | (code.str.len_chars() == 12) | right.fill_null(True))

    return Check(valid, name="mst", statistics={})


def row_rule(expression: str, name: str, dates: set[str]) -> Check:
    """A rule over several columns, written in DuckDB's SQL in the contract; NULL passes. ``dates`` are its date columns."""

    def holds(data: Any) -> Any:
        return data.lazyframe.select(pl.sql_expr(_for_polars(expression, dates)).fill_null(True).alias(name))

    return Check(holds, name=name, statistics={"expression": expression})


def _for_polars(expression: str, dates: set[str]) -> str:
    """The rule in the words in which polars reckons as DuckDB does.

    Days between dates are a number there only when the dates are made numbers; a date is not compared with text; and a
    literal with a point is a decimal, whose division by zero raises instead of being infinite.
    """
    tree = sqlglot.parse_one(expression, dialect="duckdb")
    for node in list(tree.walk()):
        sides = [child for child in node.iter_expressions() if isinstance(child, exp.Column) and child.name in dates]
        if isinstance(node, exp.Sub):
            for side in sides:
                side.replace(exp.cast(side.copy(), "INTEGER"))
        elif sides and isinstance(node, exp.Binary | exp.Between | exp.In):
            for text in [child for child in node.iter_expressions() if isinstance(child, exp.Literal) and child.is_string]:
                text.replace(exp.cast(text.copy(), "DATE"))
        elif isinstance(node, exp.Literal) and not node.is_string and "." in node.this:
            node.replace(exp.cast(node.copy(), "DOUBLE"))
    return tree.sql(dialect="duckdb")


def column_checks(column: Column) -> list[Check]:
    checks: list[Check] = []
    if column.values:
        checks.append(Check.isin(list(column.values)))
    elif column.pattern:
        checks.append(Check.str_matches(f"^(?:{column.pattern})$"))
    if column.minimum is not None:
        checks.append(Check.greater_than_or_equal_to(_bound(column, column.minimum)))
    if column.maximum is not None:
        checks.append(Check.less_than_or_equal_to(_bound(column, column.maximum)))
    if column.min_length is not None or column.max_length is not None:
        checks.append(Check.str_length(min_value=column.min_length, max_value=column.max_length))
    if column.check == "mst":
        checks.append(mst_check())
    return checks


def _bound(column: Column, value: Any) -> Any:
    if column.type in ("date", "timestamp"):
        kind = pl.Date if column.type == "date" else pl.Datetime
        return pl.Series([str(value)]).str.to_datetime().cast(kind).item()
    return value


def row_schema(contract: Contract) -> pa.DataFrameSchema:
    """The pandera schema of one row of ``contract``, cross-column rules included. Keys are judged over the whole table."""
    dates = {c.name for c in contract.columns if c.type == "date"}
    return pa.DataFrameSchema(
        columns={c.name: pa.Column(POLARS_TYPES[c.type], checks=column_checks(c), nullable=not c.required) for c in contract.columns},
        checks=[row_rule(rule.expression, rule.name, dates) for rule in contract.rules],
        name=contract.id,
        strict=True,
    )
