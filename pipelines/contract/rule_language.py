"""What a rule's condition may say: the part of SQL on which DuckDB and polars agree."""

from collections.abc import Iterator
from difflib import get_close_matches

import sqlglot
import sqlglot.errors
from sqlglot import exp

ROW_NODES = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ,
    exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg, exp.Between, exp.In, exp.Is, exp.Abs,
    exp.Round, exp.Length, exp.Coalesce, exp.Case, exp.If, exp.Like, exp.Tuple, exp.StartsWith, exp.Substring, exp.Left,
    exp.Upper, exp.Lower, exp.Replace, exp.RegexpFullMatch, exp.Year, exp.Month, exp.Day, exp.Cast, exp.DataType,
)  # fmt: skip
AGGREGATES = (exp.Sum, exp.Min, exp.Max, exp.Avg, exp.Count)
ROW_HINT = "use comparisons, + - * /, AND, OR, NOT, IN, BETWEEN, CASE, abs, round, length, left, coalesce, year, regexp_full_match"


def rule_faults(expression: str, types: dict[str, str]) -> Iterator[tuple[str, str]]:
    """What makes ``expression`` unfit as a row rule over columns of these logical types: (message, fix) pairs."""
    yield from _faults(expression, types, ROW_NODES, ROW_HINT)


def group_faults(expression: str, types: dict[str, str], per: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The same for a condition over a group of rows: columns outside ``per`` stand inside sum, min, max, avg or count."""
    faults = list(_faults(expression, types, (*ROW_NODES, *AGGREGATES, exp.Distinct, exp.Star), f"{ROW_HINT}; sum, min, max, avg, count"))
    yield from faults
    if faults or not expression:
        return
    tree = sqlglot.parse_one(expression, dialect="duckdb")
    for column in tree.find_all(exp.Column):
        if column.name not in per and not column.find_ancestor(*AGGREGATES):
            yield f"`{column.name}` has many values in a group", f"write sum({column.name}), max({column.name}) or the like"
    for aggregate in tree.find_all(*AGGREGATES):
        if aggregate.find_ancestor(*AGGREGATES):
            yield f"`{aggregate.sql(dialect='duckdb')}` is an aggregate inside another", "aggregate once"
    if not tree.find(*AGGREGATES):
        yield f"`{expression}` looks at no group", "use sum, min, max, avg or count, or write it as a row rule"


def _faults(expression: str, types: dict[str, str], allowed: tuple[type[exp.Expression], ...], hint: str) -> Iterator[tuple[str, str]]:
    if not expression:
        return
    try:
        statements = sqlglot.parse(expression, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        yield f"`{expression}` cannot be read: {str(error).splitlines()[0]}", "write a condition such as `den_ngay >= tu_ngay`"
        return
    if len(statements) != 1 or statements[0] is None:
        yield f"`{expression}` is not one condition", "write a single condition"
        return
    for node in statements[0].walk():
        if isinstance(node, exp.Column):
            if node.name not in types:
                near = get_close_matches(node.name, types, 1)
                yield f"`{node.name}` is no column", f"did you mean `{near[0]}`?" if near else f"columns are: {', '.join(sorted(types))}"
        elif isinstance(node, exp.Add | exp.Sub) and not _is_number(node, types):
            # Engines do not agree on what else to make of it.
            yield f"`{node.sql(dialect='duckdb')}` calculates with a date", "subtract one date column from another: the days between them"
        elif isinstance(node, exp.RegexpFullMatch) and not (isinstance(node.expression, exp.Literal) and len(node.args) >= 2):
            yield f"`{node.sql(dialect='duckdb')}` matches no fixed pattern", "write the pattern as text: regexp_full_match(ma, '[A-Z]{2}')"
        elif isinstance(node, exp.Cast) and not (_moment(node.this, types) == "date" and node.to.is_type("text", "varchar")):
            yield f"`{node.sql(dialect='duckdb')}` makes something else of a value", "only a date can be made text: CAST(ngay AS VARCHAR)"
        elif not isinstance(node, allowed):
            yield f"`{node.sql(dialect='duckdb')}` is not allowed in a rule", hint


def _is_number(node: exp.Add | exp.Sub, types: dict[str, str]) -> bool:
    """Whether a sum or difference is one of numbers, or the days from one date column to another."""
    kinds = [_moment(side.unnest(), types) for side in (node.this, node.expression)]
    plain = all(isinstance(side, exp.Column) for side in (node.this, node.expression))
    return kinds == [None, None] or (isinstance(node, exp.Sub) and plain and kinds == ["date", "date"])


def _moment(side: exp.Expression, types: dict[str, str]) -> str | None:
    """`date` or `timestamp` where this operand is one; None for a number."""
    if isinstance(side, exp.Column):
        kind = types.get(side.name)
        return kind if kind in ("date", "timestamp") else None
    if isinstance(side, exp.Coalesce | exp.Case | exp.If | exp.Min | exp.Max):
        found = [_moment(column, types) for column in side.find_all(exp.Column)]
        return next((kind for kind in found if kind), None)
    return None
