"""Contract → pandera schemas: the one statement of what rows must look like, each alone and all together.

`pipelines.gate.rules` and `pipelines.gate.across` compile the checks of these schemas to DuckDB's SQL for deliveries of any
size; the schemas themselves validate a polars frame where the batch is small or another engine is at work. Tests hold
the two to one verdict. A rule at level *warning* is a check that warns (`raise_warning`).
"""

from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.api.checks import Check

from pipelines.contract import Column, Contract, GroupRule, Rule, Unique
from pipelines.gate.polars_sql import group_condition, row_condition

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
STEP_ERROR = 1e-9
"""How far from a whole number of steps a multiple may be: what floating point makes of 0.3 / 0.1."""


def row_schema(contract: Contract) -> pa.DataFrameSchema:
    """The pandera schema of one row of ``contract``: columns, and rules over several of them."""
    return pa.DataFrameSchema(
        columns={c.name: pa.Column(POLARS_TYPES[c.type], checks=column_checks(c), nullable=not c.required) for c in contract.columns},
        checks=[_row_check(rule, contract) for rule in row_rules(contract)],
        name=contract.id,
        strict=True,
    )


def delivery_schema(contract: Contract) -> pa.DataFrameSchema:
    """The pandera schema of all rows of one delivery together: what is unique, and rules over groups of rows.

    It is asked about rows that are sound one by one.
    """
    unique = [_unique_check(Unique(contract.key)), *map(_unique_check, contract.unique)]
    return pa.DataFrameSchema(checks=[*unique, *(_group_check(rule, contract) for rule in contract.group_rules)], name=contract.id)


def row_rules(contract: Contract) -> list[Rule]:
    """The rules on one row in the order of the columns, then those of the table."""
    return [*(rule for column in contract.columns for rule in column.rules), *contract.rules]


def column_checks(column: Column) -> list[Check]:
    checks: list[Check] = []
    if column.values:
        checks.append(Check.isin(list(column.listed or column.values)))
    elif column.pattern:
        checks.append(Check.str_matches(f"^(?:{column.pattern})$"))
    for bound, check in (
        (column.minimum, Check.greater_than_or_equal_to),
        (column.maximum, Check.less_than_or_equal_to),
        (column.exclusive_minimum, Check.greater_than),
        (column.exclusive_maximum, Check.less_than),
    ):
        if bound is not None:
            checks.append(check(_bound(column, bound)))
    if column.multiple_of is not None:
        checks.append(_multiple_check(column.multiple_of))
    if column.min_length is not None or column.max_length is not None:
        checks.append(Check.str_length(min_value=column.min_length, max_value=column.max_length))
    if column.check == "mst":
        checks.append(_mst_check())
    return checks


def _bound(column: Column, value: Any) -> Any:
    if column.type in ("date", "timestamp"):
        kind = pl.Date if column.type == "date" else pl.Datetime
        return pl.Series([str(value)]).str.to_datetime().cast(kind).item()
    return value


def _mst_check() -> Check:
    """Checksum of 10- and 13-digit tax codes; a 12-digit personal number has no check digit."""

    def valid(data: Any) -> Any:
        code = pl.col(data.key)
        total = sum((code.str.slice(i, 1).cast(pl.Int64, strict=False) * w for i, w in enumerate(MST_WEIGHTS)), pl.lit(0))
        right = (pl.lit(10) - total % 11) == code.str.slice(9, 1).cast(pl.Int64, strict=False)
        return data.lazyframe.select(code.is_null() | (code.str.len_chars() == 12) | right.fill_null(True))

    return Check(valid, name="mst", statistics={})


def _multiple_check(step: float) -> Check:
    """ODCS's `multipleOf`, reckoned in floating point in every engine."""

    def valid(data: Any) -> Any:
        steps = pl.col(data.key).cast(pl.Float64) / float(step)
        return data.lazyframe.select(((steps - steps.round()).abs() < STEP_ERROR).fill_null(True))

    return Check(valid, name="multiple_of", statistics={"step": step})


def _row_check(rule: Rule, contract: Contract) -> Check:
    """A rule over the columns of a row, written in DuckDB's SQL in the contract; NULL passes."""

    def holds(data: Any) -> Any:
        return data.lazyframe.select(pl.sql_expr(row_condition(rule.expression, contract)).fill_null(True).alias(rule.name))

    return Check(holds, name=rule.name, statistics={"rule": rule}, raise_warning=rule.level == "warning")


def _unique_check(unique: Unique) -> Check:
    """The first row with a value passes, later ones do not; a row with an empty one among its values passes."""

    def holds(data: Any) -> Any:
        values = [pl.col(c) for c in unique.columns]
        return data.lazyframe.select(pl.any_horizontal(v.is_null() for v in values) | pl.struct(values).is_first_distinct().alias("unique"))

    name = "unique " + ", ".join(unique.columns)
    return Check(holds, name=name, statistics={"unique": unique}, raise_warning=unique.level == "warning")


def _group_check(rule: GroupRule, contract: Contract) -> Check:
    """A rule over the rows that agree in some columns; rows with an empty one among those pass, and so does NULL."""

    def holds(data: Any) -> Any:
        per = [pl.col(c) for c in rule.per]
        if rule.overlap:
            first, last = map(pl.col, rule.overlap)
            # An open end reaches further than any day; a span without a beginning covers none.
            reach = pl.when(first.is_not_null()).then(last.fill_null(pl.date(9999, 12, 31)))
            until = reach.cum_max().forward_fill().shift(1)
            verdict = ~(until.over(per, order_by=[first, pl.int_range(pl.len())]) >= first)
        else:
            assert rule.condition
            verdict = pl.sql_expr(group_condition(rule.condition, contract)).over(per)
        return data.lazyframe.select(pl.any_horizontal(c.is_null() for c in per) | verdict.fill_null(True).alias(rule.name))

    return Check(holds, name=rule.name, statistics={"rule": rule}, raise_warning=rule.level == "warning")
