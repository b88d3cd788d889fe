"""How a column writes its numbers and dates: decided for the whole column, with evidence, never value by value.

`1.234` is twelve hundred to one clerk and one and a quarter to another's software; `03/04/2023` is April or March. One value
cannot say; its column mostly can. What even the column cannot say is not guessed: numbers are held back, dates are read as the
contract says (day first, unless it pins `dayFirst: false`) and the ledger says that nothing in the file proved it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import duckdb

from pipelines.contract import Column, Contract
from pipelines.gate.readers import Decision
from pipelines.sql import literal, quote

SAMPLE_ROWS = 20_000
SWAPPED_PROOF = 10
"""So many calendar dates, each with a day of 12 or less, beside text dates that all have a day above 12: chance allows it once in 10 000."""

PLAIN = "[+-]?[0-9]+"
SURE_POINT = r"[+-]?([0-9]+[.][0-9]{1,2}|[0-9]+[.][0-9]{4,}|0[.][0-9]+|[0-9]{4,}[.][0-9]+|[0-9]{1,3}(,[0-9]{3}){2,}([.][0-9]+)?|[0-9]{1,3},[0-9]{3}[.][0-9]+)"
"""Only with a decimal point does this make a number: 12.5, 0.125, 1234.567, 1,234,567, 1,234.5."""
SURE_COMMA = r"[+-]?([0-9]+,[0-9]{1,2}|[0-9]+,[0-9]{4,}|0,[0-9]+|[0-9]{4,},[0-9]+|[0-9]{1,3}([.][0-9]{3}){2,}(,[0-9]+)?|[0-9]{1,3}[.][0-9]{3},[0-9]+)"
"""Only with a decimal comma does this make a number: 12,5 or 1.234.567,8."""
EITHER = "[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}"
"""1.234 or 1,234: thousands or thousandths."""
ISO_DATE = "[0-9]{4}-[0-9]{2}-[0-9]{2}.*"
NUMERIC_DATE = "[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{4}.*"

Mark = Literal[".", ","]


@dataclass(frozen=True)
class Form:
    """How one column is written. ``decimal`` None: nothing in the file says which mark it is."""

    decimal: Mark | None = None
    day_first: bool = True
    swapped: bool = False
    """Calendar dates have day and month exchanged: a spreadsheet of another locale read 03/04 as the fourth of March."""
    evidence: str = ""
    proven: bool = False

    def decision(self, column: Column) -> Decision | None:
        """What the ledger keeps of it; nothing where the file gave no occasion to decide."""
        if not self.evidence:
            return None
        if column.type in ("integer", "number"):
            return Decision(f"{column.name}: decimal mark", self.decimal or "not known", self.evidence)
        said = "swapped back" if self.swapped else "day first" if self.day_first else "month first"
        return Decision(f"{column.name}: order of dates", said, self.evidence)


def form_of(decisions: Iterable[Decision], column: str) -> Form | None:
    """The form that `Form.decision` told of; None where it told of none."""
    for decided in decisions:
        if decided.what == f"{column}: decimal mark":
            mark: Mark | None = "," if decided.value == "," else "." if decided.value == "." else None
            return Form(mark, evidence=decided.evidence, proven=mark is not None)
        if decided.what == f"{column}: order of dates":
            return Form(
                day_first=decided.value != "month first", swapped=decided.value == "swapped back", evidence=decided.evidence, proven=True
            )
    return None


def bare(text: str) -> str:
    """SQL: a number's text without the spaces (also the unbreakable ones) that group its digits."""
    return rf"regexp_replace({text}, '[\s\x{{00A0}}\x{{202F}}]', '', 'g')"


def forms(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    relation: str,
    columns: dict[str, str],
    *,
    plain: bool = False,
    only: Iterable[str] | None = None,
    limit: int | None = SAMPLE_ROWS,
) -> dict[str, Form]:
    """The form of each number and date column of ``columns`` (contract column → delivery column), from its first ``limit`` rows (None: all).

    ``plain`` deliveries (JSON, Parquet) were written by a machine: a point is a decimal point there.
    """
    wanted = [c for c in contract.columns if c.name in columns and (only is None or c.name in only)]
    numbers = [c for c in wanted if c.type in ("integer", "number")]
    dates = [c for c in wanted if c.type in ("date", "timestamp")]
    pinned = contract.reading
    found: dict[str, Form] = {}
    if plain or pinned.decimal:
        found |= {c.name: Form(decimal="." if plain else pinned.decimal, proven=True) for c in numbers}
        numbers = []
    if pinned.day_first is not None:
        found |= {c.name: Form(day_first=pinned.day_first, proven=True) for c in dates}
        dates = []
    questions = [q for c in numbers for q in _number_questions(columns[c.name])] + [
        q for c in dates for q in _date_questions(columns[c.name])
    ]
    if not questions:
        return found
    rows = f"SELECT * FROM {relation} LIMIT {limit}" if limit else f"SELECT * FROM {relation}"
    answers = connection.execute(f"SELECT {', '.join(questions)} FROM ({rows})").fetchone()
    assert answers is not None
    said = iter(answers)
    for column in numbers:
        kinds = next(said) or {}
        after_point, after_comma = kinds.get("either.", 0), kinds.get("either,", 0)
        either = kinds.get("either", 0) + after_point + after_comma
        found[column.name] = _number_form(column, kinds.get("point", 0), kinds.get("comma", 0), either, after_point, after_comma)
    for column in dates:
        found[column.name] = _date_form(*(int(next(said)) for _ in range(6)))
    return found


def _number_questions(name: str) -> list[str]:
    """How many values of each kind: one look at a value, mostly at its first pattern."""
    digits = bare(f"trim(CAST({quote(name)} AS VARCHAR))")
    matches = lambda pattern: f"regexp_full_match({digits}, {literal(pattern)})"
    kind = f"""
        CASE WHEN {matches(PLAIN)} THEN 'plain' WHEN {matches(SURE_POINT)} THEN 'point' WHEN {matches(SURE_COMMA)} THEN 'comma'
             WHEN {matches(EITHER)} THEN CASE
                 -- Thousands of a whole number end in anything; decimals of a whole number are zeros.
                 WHEN ends_with({digits}, '000') THEN 'either' WHEN contains({digits}, '.') THEN 'either.' ELSE 'either,' END
             ELSE '' END
    """
    return [f"histogram({kind})"]


def _number_form(column: Column, point: int, comma: int, either: int, after_point: int, after_comma: int) -> Form:
    if column.type == "integer":
        point, comma = point + after_comma, comma + after_point
    if point and comma:
        return Form(None, evidence=f"{point} values have a decimal point and {comma} a decimal comma")
    if point:
        return Form(".", evidence=f"{point} values can only have a decimal point" if either else "", proven=True)
    if comma:
        return Form(",", evidence=f"{comma} values can only have a decimal comma or points between thousands", proven=True)
    return Form(None, evidence=f"{either} values could be thousands or thousandths" if either else "")


def _date_questions(name: str) -> list[str]:
    x = f"trim(CAST({quote(name)} AS VARCHAR))"
    numeric = f"regexp_full_match({x}, {literal(NUMERIC_DATE)})"
    part = lambda n: f"TRY_CAST(regexp_extract({x}, '^([0-9]{{1,2}})[-/.]([0-9]{{1,2}})', {n}) AS INTEGER)"
    iso = f"regexp_full_match({x}, {literal(ISO_DATE)})"
    day = f"TRY_CAST(substr({x}, 9, 2) AS INTEGER)"
    return [
        f"count(*) FILTER ({numeric})",
        f"count(*) FILTER ({numeric} AND {part(1)} > 12)",
        f"count(*) FILTER ({numeric} AND {part(2)} > 12)",
        f"count(*) FILTER ({iso})",
        f"count(*) FILTER ({iso} AND {day} > 12)",
        f"count(DISTINCT {x}) FILTER ({iso} AND {day} <= 12)",
    ]


def _date_form(numeric: int, first_above: int, second_above: int, iso: int, iso_above: int, iso_distinct: int) -> Form:
    if not numeric:
        return Form(proven=bool(iso))
    if first_above and second_above:
        return Form(
            evidence=f"{first_above} dates can only be day first and {second_above} only month first; day first is the contract's word"
        )
    if first_above == numeric and iso and not iso_above and iso_distinct >= SWAPPED_PROOF:
        return Form(
            swapped=True, proven=True, evidence=f"all {numeric} text dates have a day above 12, all {iso} calendar dates one of 12 or less"
        )
    if first_above:
        return Form(proven=True, evidence=f"{first_above} of {numeric} dates have a first part above 12")
    if second_above:
        return Form(day_first=False, proven=True, evidence=f"{second_above} of {numeric} dates have a second part above 12, none a first")
    return Form(evidence=f"none of {numeric} dates has a part above 12; day first is the contract's word")
