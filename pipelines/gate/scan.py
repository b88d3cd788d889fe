"""One DuckDB scan per delivery: a cast per column, a boolean per test, a bit per boolean.

The scan is streaming: text in, typed columns and fault masks out, whatever the size of the delivery.
"""

from pipelines.contract import Contract
from pipelines.gate.rules import Test
from pipelines.gate.values import cast, raw, tidy
from pipelines.sql import quote

MASK_BITS = 62
"""Faults per BIGINT mask; a contract with more checks gets more masks."""


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
