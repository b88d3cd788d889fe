"""pandera schema → one DuckDB scan: a cast per column, a boolean per check, a bit per boolean.

The scan is streaming: text in, typed columns and fault masks out, whatever the size of the delivery.
"""

from dataclasses import dataclass
from typing import Any

from pandera.api.checks import Check

from pipelines.contract import Column, Contract
from pipelines.gate.row_schema import MST_WEIGHTS, row_schema
from pipelines.sql import literal, quote

MASK_BITS = 62
"""Faults per BIGINT mask; a contract with more checks gets more masks."""


TIDY = "[!-~À-ưẠ-ỹ]([ -~À-ưẠ-ỹ]*[!-~À-ưẠ-ỹ])?"
"""Text that neither trimming nor NFC would change: ASCII and composed Vietnamese letters, no space at the ends.

Nearly all text is; one match costs a third of normalising it.
"""


@dataclass(frozen=True)
class Test:
    """One thing a row can fail. ``fails`` is SQL over raw text ``r_<column>`` and typed ``<column>``; never NULL."""

    column: str
    rule: str
    fails: str
    vi: str
    en: str


def raw(column: str) -> str:
    return quote(f"r_{column}")


def tidy(text: str) -> str:
    """SQL that trims and NFC-normalises ``text`` (SQL); empty becomes NULL."""
    return f"CASE WHEN regexp_full_match({text}, {literal(TIDY)}) THEN {text} ELSE nullif(trim(nfc_normalize({text})), '') END"


def cast(column: Column) -> str:
    """Text as delivered → the column's type, NULL where it cannot be. ISO forms and the Vietnamese dd/mm/yyyy."""
    text = raw(column.name)
    if column.type == "integer":
        return (
            f"CASE WHEN regexp_full_match({text}, '[+-]?[0-9]+([.]0+)?') THEN TRY_CAST(regexp_replace({text}, '[.]0+$', '') AS BIGINT) END"
        )
    if column.type == "number":
        return f"TRY_CAST({text} AS {column.sql_type})"
    if column.type == "boolean":
        return f"""CASE WHEN lower({text}) IN ('true', 't', '1', 'yes', 'có', 'x', 'đúng') THEN true
                        WHEN lower({text}) IN ('false', 'f', '0', 'no', 'không', 'sai') THEN false END"""
    if column.type == "date":
        return f"""coalesce(
            CASE WHEN regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([ T]00:00:00([.]0+)?)?') THEN TRY_CAST(left({text}, 10) AS DATE) END,
            CAST(try_strptime({text}, '%d/%m/%Y') AS DATE))"""
    if column.type == "timestamp":
        return f"coalesce(TRY_CAST({text} AS TIMESTAMP), try_strptime({text}, ['%d/%m/%Y %H:%M:%S', '%d/%m/%Y %H:%M', '%d/%m/%Y']))"
    return text


TYPE_NAMES = {
    "integer": ("số nguyên", "a whole number"),
    "number": ("số", "a number"),
    "boolean": ("có/không (true/false)", "yes or no (true/false)"),
    "date": ("ngày yyyy-mm-dd hoặc dd/mm/yyyy", "a date yyyy-mm-dd or dd/mm/yyyy"),
    "timestamp": ("ngày giờ yyyy-mm-dd hh:mm:ss", "a time yyyy-mm-dd hh:mm:ss"),
    "string": ("văn bản", "text"),
}


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
    """Everything a row of this contract is tested for, in the order of the columns. Absent optional columns are not."""
    schema = row_schema(contract)
    found: list[Test] = []
    for column in contract.columns:
        if column.name not in present:
            continue
        if column.required:
            found.append(Test(column.name, "required", f"{raw(column.name)} IS NULL", "Bắt buộc nhưng để trống", "Required, but empty"))
        if column.type != "string":
            vi, en = TYPE_NAMES[column.type]
            found.append(
                Test(
                    column.name, "type", f"{raw(column.name)} IS NOT NULL AND {quote(column.name)} IS NULL",
                    f"Không phải {vi}", f"This is not {en}",
                )
            )  # fmt: skip
        found += [_compile(column, check) for check in schema.columns[column.name].checks]
    messages = {rule.name: rule for rule in contract.rules}
    for check in schema.checks:
        rule = messages[str(check.name)]
        found.append(Test("", rule.name, f"NOT ({check.statistics['expression']})", rule.vi, rule.en))
    return found


def masks(found: list[Test]) -> list[str]:
    """SQL of the fault masks: bit i of mask m is test m * MASK_BITS + i."""
    parts = []
    for start in range(0, max(len(found), 1), MASK_BITS):
        bits = [
            f"CASE WHEN coalesce({test.fails}, false) THEN {1 << i} ELSE 0 END" for i, test in enumerate(found[start : start + MASK_BITS])
        ]
        parts.append(" + ".join(bits) or "0")
    return [f"CAST({part} AS BIGINT)" for part in parts]


def scan(contract: Contract, relation: str, columns: dict[str, str], found: list[Test]) -> str:
    """The SELECT that types and tests: the contract's columns, `_mask0…`, and `_raw` (the text) of faulty rows only.

    ``columns`` maps contract columns to the delivery's. Text is trimmed and NFC-normalised; empty text is NULL.
    """
    texts = [f"{tidy(f'CAST({quote(name)} AS VARCHAR)')} AS {raw(column)}" for column, name in columns.items()]
    typed = [
        f"{cast(c)} AS {quote(c.name)}" if c.name in columns else f"CAST(NULL AS {c.sql_type}) AS {quote(c.name)}" for c in contract.columns
    ]
    mask_sql = [f"{sql} AS _mask{i}" for i, sql in enumerate(masks(found))]
    names = ", ".join(quote(c.name) for c in contract.columns)
    mask_names = [f"_mask{i}" for i in range(len(mask_sql))]
    faulty = " OR ".join(f"{m} <> 0" for m in mask_names)
    fields = ", ".join(f"{quote(column)}: {raw(column)}" for column in columns)
    return f"""
        WITH texts AS (SELECT {", ".join(texts)} FROM {relation}),
        typed AS (SELECT *, {", ".join(typed)} FROM texts),
        tested AS (SELECT *, {", ".join(mask_sql)} FROM typed)
        SELECT {names}, {", ".join(mask_names)}, CASE WHEN {faulty} THEN CAST({{{fields}}} AS JSON) END AS _raw
        FROM tested
    """
