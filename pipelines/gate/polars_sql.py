"""Conditions of the contract in the words in which polars reckons as DuckDB does."""

import sqlglot
from sqlglot import exp

from pipelines.contract import Contract

AGGREGATES = (exp.Sum, exp.Min, exp.Max, exp.Avg)


def row_condition(expression: str, contract: Contract) -> str:
    """A row rule for `polars.sql_expr`.

    Days between dates are a number there only when the dates are made numbers; a date is not compared with text; a
    literal with a point is a decimal, whose division by zero raises instead of being infinite; a pattern is searched
    for unless it is anchored.
    """
    moments = {c.name: c.type for c in contract.columns if c.type in ("date", "timestamp")}
    tree = sqlglot.parse_one(expression, dialect="duckdb")
    for node in list(tree.walk()):
        sides = [child for child in node.iter_expressions() if isinstance(child, exp.Column) and child.name in moments]
        if isinstance(node, exp.Sub):
            for side in sides:
                side.replace(exp.cast(side.copy(), "INTEGER"))
        elif sides and isinstance(node, exp.Binary | exp.Between | exp.In):
            kind = "DATE" if moments[sides[0].name] == "date" else "TIMESTAMP"
            for text in [child for child in node.iter_expressions() if isinstance(child, exp.Literal) and child.is_string]:
                text.replace(exp.cast(text.copy(), kind))
        elif isinstance(node, exp.Literal) and not node.is_string and "." in node.this:
            node.replace(exp.cast(node.copy(), "DOUBLE"))
        elif isinstance(node, exp.RegexpFullMatch):
            pattern = exp.Literal.string(f"^(?:{node.expression.name})$")
            matched = exp.Anonymous(this="REGEXP_LIKE", expressions=[node.this.copy(), pattern])
            if node is tree:
                tree = matched
            else:
                node.replace(matched)
    return tree.sql(dialect="duckdb")


def group_condition(expression: str, contract: Contract) -> str:
    """A group rule for `polars.sql_expr`: decimals are summed as decimals, so that equal sums are equal."""
    tree = sqlglot.parse_one(expression, dialect="duckdb")
    for aggregate in tree.find_all(*AGGREGATES):
        for column in list(aggregate.find_all(exp.Column)):
            kind = contract.by_name[column.name].sql_type
            if kind.startswith("DECIMAL"):
                column.replace(exp.cast(column.copy(), kind))
    return row_condition(tree.sql(dialect="duckdb"), contract)
