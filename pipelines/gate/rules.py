"""pandera schema → what the scan tests: one boolean in SQL per check, with the reason a clerk is told."""

from dataclasses import dataclass
from typing import Any, Literal

from pandera.api.checks import Check

from pipelines.contract import Column, Contract
from pipelines.gate.row_schema import MST_WEIGHTS, row_schema
from pipelines.sql import literal, quote

ErrorGroup = Literal[
    "missing", "outlier", "duplicate", "wrong format", "broken reference", "contradiction", "stale", "mismatch"
]  # fmt: skip
"""The eight groups in which faults are reported (công văn 4856/BCA-TTDLQG, 14 September 2026)."""


@dataclass(frozen=True)
class Test:
    """One thing a row can fail. ``fails`` is SQL over raw text ``r_<column>`` and typed ``<column>``; never NULL."""

    column: str
    rule: str
    fails: str
    vi: str
    en: str
    group: ErrorGroup = "wrong format"
    level: Literal["error", "warning", "note"] = "error"
    """An error holds the row back; a warning or a note (something the gate put right) accepts and marks it."""


def value_sql(column: Column, value: Any) -> str:
    """A bound of a check as a typed literal."""
    if column.type in ("date", "timestamp"):
        return f"CAST({literal(value)} AS {column.sql_type})"
    return str(value) if isinstance(value, int | float) else literal(value)


def _example(column: Column) -> tuple[str, str]:
    return (f", ví dụ {column.example}", f", for example {column.example}") if column.example else ("", "")


def _compile(column: Column, check: Check) -> Test:
    """One pandera check on one column as SQL. Raises KeyError for a check that has no translation: none may be skipped."""
    name, s, x = check.name, check.statistics or {}, quote(column.name)
    example_vi, example_en = _example(column)
    if name == "isin":
        allowed = ", ".join(literal(v) for v in s["allowed_values"])
        shown = ", ".join(column.values[:8]) + ("…" if len(column.values) > 8 else "")
        return Test(
            column.name, "closed_list", f"{x} NOT IN ({allowed})",
            f"Giá trị không có trong danh mục; được phép: {shown}", f"The value is not in the list; allowed are: {shown}",
        )  # fmt: skip
    if name == "str_matches":
        pattern = s["pattern"]
        text = pattern if isinstance(pattern, str) else pattern.pattern
        return Test(
            column.name, "pattern", f"NOT regexp_matches({x}, {literal(text)})",
            f"Sai định dạng{example_vi}", f"The format is wrong{example_en}",
        )  # fmt: skip
    if name == "greater_than_or_equal_to":
        low = s["min_value"]
        return Test(
            column.name, "minimum", f"{x} < {value_sql(column, low)}", f"Nhỏ hơn mức cho phép {low}", f"Below the minimum {low}",
        )  # fmt: skip
    if name == "less_than_or_equal_to":
        high = s["max_value"]
        return Test(
            column.name, "maximum", f"{x} > {value_sql(column, high)}", f"Lớn hơn mức cho phép {high}", f"Above the maximum {high}",
        )  # fmt: skip
    if name == "str_length":
        low, high = s["min_value"] or 0, s["max_value"]
        fails = f"length({x}) < {low}" + (f" OR length({x}) > {high}" if high is not None else "")
        return Test(
            column.name, "length", fails, f"Độ dài phải từ {low} đến {high} ký tự", f"The length must be {low} to {high} characters",
        )  # fmt: skip
    if name == "mst":
        total = " + ".join(f"CAST(substr({x}, {i + 1}, 1) AS INTEGER) * {w}" for i, w in enumerate(MST_WEIGHTS))
        fails = f"""CASE WHEN regexp_full_match({x}, '[0-9]{{10}}(-[0-9]{{3}})?')
                         THEN 10 - ({total}) % 11 <> CAST(substr({x}, 10, 1) AS INTEGER) ELSE false END"""
        return Test(
            column.name, "tax_code", fails, "Mã số thuế sai số kiểm tra", "The tax code's check digit is wrong",
        )  # fmt: skip
    raise KeyError(f"check {name} on {column.name} has no translation to SQL")


def tests(contract: Contract, present: set[str]) -> list[Test]:
    """What the contract's checks say of a row whose values are typed, in the order of the columns. Absent optional columns are not."""
    schema = row_schema(contract)
    found: list[Test] = []
    for column in contract.columns:
        if column.name not in present:
            continue
        found += [_compile(column, check) for check in schema.columns[column.name].checks]
    messages = {rule.name: rule for rule in contract.rules}
    for check in schema.checks:
        rule = messages[str(check.name)]
        found.append(Test("", rule.name, f"NOT ({check.statistics['expression']})", rule.vi, rule.en))
    return found
