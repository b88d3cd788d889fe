"""One DuckDB scan per delivery: a cast per column, a boolean per test, a bit per boolean.

The scan is streaming: text in, typed columns and masks out, whatever the size of the delivery.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pipelines.contract import Contract
from pipelines.gate.forms import Form
from pipelines.gate.readers import FAULTS, Source
from pipelines.gate.rules import Test, tests
from pipelines.gate.typed import type_tests
from pipelines.gate.units import factor, scaled
from pipelines.gate.values import cast, raw, tidy
from pipelines.sql import literal, quote

MASK_BITS = 62
"""Tests per BIGINT mask; a contract with more gets more masks."""
ROW, SHEET, FAULT = "_row", "_sheet", "_form"
"""Staged columns that the reader may give: the row's number as the sender sees it, its sheet, what is wrong with its form."""


@dataclass(frozen=True)
class Bit:
    """Where a test's result stands in the staged rows."""

    test: Test
    mask: str
    value: int


@dataclass(frozen=True)
class Scan:
    """What one scan will do: ``faults`` hold a row back, ``marks`` are only noted."""

    contract: Contract
    source: Source
    columns: dict[str, str]
    """Contract column → delivery column."""
    forms: dict[str, Form] = field(default_factory=dict)

    @cached_property
    def faults(self) -> list[Bit]:
        return _bits("_mask", [t for t in self._tests if t.level == "error"])

    @cached_property
    def marks(self) -> list[Bit]:
        return _bits("_mark", [t for t in self._tests if t.level != "error"])

    @cached_property
    def _tests(self) -> list[Test]:
        originals = {column: _original(column) for column, name in self.columns.items() if name in self.source.raw}
        broken = [
            Test("", f"form_{kind}", f"{FAULT} = {literal(kind)}", vi, en, rank=0) for kind, (vi, en) in FAULTS.items() if self.source.fault
        ]
        return broken + row_tests(self.contract, set(self.columns), self.forms, originals)

    @property
    def sql(self) -> str:
        """The SELECT that types and tests: the contract's columns, the masks, and `_raw` (the cells as they came) of rows with any bit set.

        Text is trimmed and NFC-normalised; empty text is NULL.
        """
        contract, declared = self.contract, self.contract.reading.missing_codes
        texts = [f"{tidy(f'CAST({quote(name)} AS VARCHAR)')} AS {raw(column)}" for column, name in self.columns.items()]
        texts += [
            f"CAST({quote(self.source.raw[name])} AS VARCHAR) AS {_original(c)}"
            for c, name in self.columns.items()
            if name in self.source.raw
        ]
        given = {ROW: self.source.row, SHEET: self.source.sheet, FAULT: self.source.fault}
        texts += [f"{quote(name)} AS {staged}" for staged, name in given.items() if name]
        typed = []
        for column in contract.columns:
            value = f"CAST(NULL AS {column.sql_type})"
            if column.name in self.columns:
                value = cast(column, self.forms.get(column.name), declared)
                if (times := factor(self.source.unit, column)) != 1:
                    value = scaled(value, times, column)
            typed.append(f"{value} AS {quote(column.name)}")
        masks = _masks(self.faults) | _masks(self.marks)
        cells = ", ".join(f"{quote(c)}: {_original(c) if name in self.source.raw else raw(c)}" for c, name in self.columns.items())
        kept = [quote(c.name) for c in contract.columns] + [s for s in (ROW, SHEET) if given[s]] + list(masks)
        found = " OR ".join(f"{mask} <> 0" for mask in masks) or "false"
        return f"""
            WITH texts AS (SELECT {", ".join(texts)} FROM {self.source.relation}),
            typed AS (SELECT *, {", ".join(typed)} FROM texts),
            tested AS (SELECT *, {", ".join(f"{sql} AS {mask}" for mask, sql in masks.items())} FROM typed)
            SELECT {", ".join(kept)}, CASE WHEN {found} THEN CAST({{{cells}}} AS JSON) END AS _raw
            FROM tested
        """


def row_tests(
    contract: Contract, present: set[str], forms: Mapping[str, Form] | None = None, originals: Mapping[str, str] | None = None
) -> list[Test]:
    """Everything a row is tested for: the typing of its values, then what the contract's checks say of them.

    ``originals`` holds the SQL of a column's text before it was converted from a legacy font.
    """
    declared = contract.reading.missing_codes
    typing = [
        test
        for column in contract.columns
        if column.name in present
        for test in type_tests(column, (forms or {}).get(column.name, Form(".")), declared, (originals or {}).get(column.name))
    ]
    return typing + tests(contract, present)


def _original(column: str) -> str:
    return quote(f"o_{column}")


def _bits(name: str, found: list[Test]) -> list[Bit]:
    return [Bit(test, f"{name}{i // MASK_BITS}", 1 << (i % MASK_BITS)) for i, test in enumerate(found)]


def _masks(bits: list[Bit]) -> dict[str, str]:
    """Mask → its SQL."""
    parts: dict[str, list[str]] = {}
    for bit in bits:
        parts.setdefault(bit.mask, []).append(f"CASE WHEN {bit.test.fails} THEN {bit.value} ELSE 0 END")
    return {mask: f"CAST({' + '.join(terms)} AS BIGINT)" for mask, terms in parts.items()}
