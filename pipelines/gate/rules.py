"""pandera schema → what the scan tests: one boolean in SQL per check, with the reason a clerk is told."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import sqlglot
from pandera.api.checks import Check
from sqlglot import exp

from pipelines.contract import Column, Contract, ErrorGroup, Level, Rule
from pipelines.gate.row_schema import MST_WEIGHTS, STEP_ERROR, row_rules, row_schema
from pipelines.sql import literal, one_of, quote

JOINED = 4
"""Words of an `IN` that DuckDB compares one by one; with more it makes a join."""


@dataclass(frozen=True)
class Test:
    """One thing a row can fail. ``fails`` is SQL over raw text ``r_<column>`` and typed ``<column>``; NULL is no failure.

    ``rank`` orders what may be wrong with one value: what is missing or of no form is said, not what else follows from it.
    ``suggest`` is SQL over the typed columns for the value that was probably meant, NULL where nothing can be said.
    """

    column: str
    rule: str
    fails: str
    vi: str
    en: str
    group: ErrorGroup = "wrong format"
    level: Level | Literal["note"] = "error"
    """An error holds the row back; a warning, or a note of what the gate put right, accepts and marks it."""
    rank: int = 2
    suggest: str | None = None


BOUNDS = {
    "greater_than_or_equal_to": ("minimum", "min_value", "<", "Nhỏ hơn mức cho phép {0}", "Below the minimum {0}"),
    "less_than_or_equal_to": ("maximum", "max_value", ">", "Lớn hơn mức cho phép {0}", "Above the maximum {0}"),
    "greater_than": ("exclusive_minimum", "min_value", "<=", "Phải lớn hơn {0}", "Must be above {0}"),
    "less_than": ("exclusive_maximum", "max_value", ">=", "Phải nhỏ hơn {0}", "Must be below {0}"),
}
"""pandera's check → rule, statistic, what fails, reasons."""


def value_sql(column: Column, value: Any) -> str:
    """A bound of a check as a typed literal."""
    if column.type in ("date", "timestamp"):
        return f"CAST({literal(value)} AS {column.sql_type})"
    return str(value) if isinstance(value, int | float) else literal(value)


def _example(column: Column) -> tuple[str, str]:
    return (f", ví dụ {column.example}", f", for example {column.example}") if column.example else ("", "")


def _compile(column: Column, check: Check) -> Test:
    """One pandera check on one column as SQL. Raises KeyError for a check that has no translation: none may be skipped."""
    name, s, x = str(check.name), check.statistics or {}, quote(column.name)
    if name in BOUNDS:
        rule, statistic, fails, vi, en = BOUNDS[name]
        bound = s[statistic]
        return Test(
            column.name, rule, f"{x} {fails} {value_sql(column, bound)}", vi.format(bound), en.format(bound), "outlier"
        )  # fmt: skip
    if name == "isin":
        return _closed_list(column, s["allowed_values"])
    if name == "str_matches":
        pattern = s["pattern"]
        text = pattern if isinstance(pattern, str) else pattern.pattern
        example_vi, example_en = _example(column)
        return Test(
            column.name, "pattern", f"NOT regexp_matches({x}, {literal(text)})",
            f"Sai định dạng{example_vi}", f"The format is wrong{example_en}", rank=1,
        )  # fmt: skip
    if name == "str_length":
        low, high = s["min_value"] or 0, s["max_value"]
        fails = f"length({x}) < {low}" + (f" OR length({x}) > {high}" if high is not None else "")
        most_vi, most_en = (f"đến {high} ký tự", f"to {high} characters") if high is not None else ("ký tự trở lên", "characters or more")
        return Test(
            column.name, "length", fails, f"Độ dài phải từ {low} {most_vi}", f"The length must be {low} {most_en}", rank=1,
        )  # fmt: skip
    if name == "multiple_of":
        steps = f"CAST({x} AS DOUBLE) / {float(s['step'])!r}"
        return Test(
            column.name, "multiple_of", f"abs({steps} - round({steps})) >= {STEP_ERROR}",
            f"Phải là bội số của {s['step']}", f"Must be a multiple of {s['step']}",
        )  # fmt: skip
    if name == "mst":
        total = " + ".join(f"CAST(substr({x}, {i + 1}, 1) AS INTEGER) * {w}" for i, w in enumerate(MST_WEIGHTS))
        fails = f"""CASE WHEN regexp_full_match({x}, '[0-9]{{10}}(-[0-9]{{3}})?')
                         THEN 10 - ({total}) % 11 <> CAST(substr({x}, 10, 1) AS INTEGER) ELSE false END"""
        return Test(
            column.name, "tax_code", fails, "Mã số thuế sai số kiểm tra", "The tax code's check digit is wrong",
        )  # fmt: skip
    raise KeyError(f"check {name} on {column.name} has no translation to SQL")


def _closed_list(column: Column, allowed: list[Any]) -> Test:
    """A list of the contract's own is a matter of form; one of the semantic type is a list that others keep."""
    own = column.semantic is None
    shown = ", ".join(column.values[:8]) + ("…" if len(column.values) > 8 else "")
    return Test(
        column.name,
        "closed_list",
        f"{quote(column.name)} IS NOT NULL AND NOT {one_of(quote(column.name), allowed)}",
        f"Giá trị không có trong danh mục; được phép: {shown}",
        f"The value is not in the list; allowed are: {shown}",
        "wrong format" if own else "mismatch",
        rank=1,
    )


@lru_cache(maxsize=4096)
def without_joins(expression: str) -> str:
    """The rule with its longer lists searched where they stand: DuckDB makes a join of each `IN` (see `one_of`)."""
    if " IN (" not in expression:
        return expression
    tree = sqlglot.parse_one(expression, dialect="duckdb")
    for node in list(tree.find_all(exp.In)):
        words = node.expressions
        if len(words) > JOINED and all(isinstance(word, exp.Literal) and word.is_string for word in words):
            node.replace(sqlglot.parse_one(one_of(node.this.sql(dialect="duckdb"), [word.this for word in words]), dialect="duckdb"))
    return tree.sql(dialect="duckdb")


def _rule(rule: Rule) -> Test:
    return Test(
        rule.column, rule.name, f"NOT ({without_joins(rule.expression)})", rule.vi, rule.en, rule.group, rule.level, suggest=rule.suggest
    )  # fmt: skip


def tests(contract: Contract, present: set[str]) -> list[Test]:
    """What the contract's checks say of a row whose values are typed, in the order of the columns. Absent optional columns are not."""
    schema = row_schema(contract)
    found: list[Test] = []
    for column in contract.columns:
        if column.name in present:
            found += [_compile(column, check) for check in schema.columns[column.name].checks]
    return found + [_rule(rule) for rule in row_rules(contract) if not rule.column or rule.column in present]
