"""Entries of a table's `quality` that speak of the store and its history → `Expectations` (docs/quality.md).

Two forms: ODCS's own metric `rowCount`, and `engine: greatExpectations` with one of the kinds in `KINDS`. Whatever a
contract does not mention keeps its default.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

from pipelines.contract.model import Expectations, NeverFalls, RowCount

ENGINE = "greatExpectations"
BLOCKING = "blocking"
KINDS: dict[str, dict[str, str]] = {
    "volume": {"drop": "drop", "growth": "growth"},
    "freshness": {},
    "drift": {"nullShare": "null_share", "distinctShare": "distinct_share", "mean": "mean", "psi": "psi", "except": "drift_except"},
    "references": {"unmatched": "unmatched"},
    "neverFalls": {"column": "column", "by": "by", "along": "along", "resets": "resets"},
}
"""Kind → its arguments in the contract → the field they set."""
DEFAULTS = ("volume", "no_loss", "freshness", "null_share", "distinct_share", "mean", "psi", "references")
"""Names of the expectations that a dataset has without an entry."""
RESETS = ("yearly", "monthly")
SHARES = ("drop", "nullShare", "distinctShare", "unmatched")
BOUNDS = ("mustBe", "mustBeBetween", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan", "mustBeLessOrEqualTo")

Report = Callable[[str, str, str], None]
"""Takes a mistake: the field below the entry, what is wrong, what to write."""


def speaks_of_the_store(item: dict[str, Any]) -> bool:
    """Whether an entry of `quality` is an expectation, not a rule on rows or a query."""
    return item.get("metric") == "rowCount" or item.get("engine") == ENGINE


def with_expectation(
    known: Expectations, item: dict[str, Any], name: str, vi: str, en: str, types: dict[str, str], report: Report
) -> Expectations:
    """``known`` and what one entry adds; its mistakes go to ``report``. ``types``: logical type of each column."""
    kind = _kind(item)
    taken = (*DEFAULTS, *(r.name for r in known.rows), *(f.name for f in known.never_falls))
    if name in taken and kind in ("rowCount", "neverFalls"):
        report("name", f"`{name}` names another expectation", "give each its own name")
        return known
    if kind == "rowCount":
        added, key = replace(known, rows=(*known.rows, RowCount(name, vi, en, *_bounds(item, report)))), name
    else:
        if str(kind) not in KINDS:
            near = get_close_matches(str(kind), KINDS, 1)
            report(
                "implementation",
                "names no expectation",
                f"did you mean `{near[0]}`?" if near else f"write `implementation: {{expectation: …}}` with one of: {', '.join(KINDS)}",
            )
            return known
        arguments = {k: v for k, v in item["implementation"].items() if k != "expectation"}
        faults = list(_faults(kind, arguments, types))
        for message, fix in faults:
            report("implementation", message, fix)
        if faults:
            return known
        if kind == "neverFalls":
            figure = NeverFalls(
                name, vi, en, arguments["column"], tuple(arguments.get("by", ())), arguments.get("along"), arguments.get("resets")
            )
            added, key = replace(known, never_falls=(*known.never_falls, figure)), name
        else:
            fields: dict[str, Any] = {KINDS[kind][k]: frozenset(v) if k == "except" else v for k, v in arguments.items()}
            added, key = replace(known, **fields), kind
    return replace(added, blocking=added.blocking | {key}) if item.get("severity") == BLOCKING else added


def _kind(item: dict[str, Any]) -> Any:
    """The kind of expectation that an entry names; whatever stands there, known or not."""
    said = item.get("implementation")
    return "rowCount" if item.get("metric") == "rowCount" else said.get("expectation") if isinstance(said, dict) else None


def _bounds(item: dict[str, Any], report: Report) -> tuple[float | None, float | None]:
    """The inclusive bounds that ODCS's operators put on a whole number of rows."""
    low = high = None
    for operator in BOUNDS:
        value = item.get(operator)
        if value is None:
            continue
        pair = value if operator == "mustBeBetween" else [value]
        if not isinstance(pair, list) or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in pair):
            report(operator, f"`{value}` is not a number of rows", "write a whole number; for mustBeBetween two, such as [10, 20]")
            return None, None
        if operator in ("mustBe", "mustBeBetween"):
            low, high = pair[0], pair[-1]
        elif operator.startswith("mustBeGreater"):
            low = pair[0] + (operator == "mustBeGreaterThan")
        else:
            high = pair[0] - (operator == "mustBeLessThan")
    if low is None and high is None:
        report("metric", "rowCount has no bound", f"add one of: {', '.join(BOUNDS)}")
    return low, high


def _faults(kind: str, arguments: dict[str, Any], types: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Mistakes in the arguments of one kind, as (message, fix) pairs."""
    for key, value in arguments.items():
        if key not in KINDS[kind]:
            near = get_close_matches(str(key), KINDS[kind], 1)
            known = f"known are: {', '.join(KINDS[kind])}" if KINDS[kind] else "it takes no arguments"
            yield f"`{kind}` has no argument `{key}`", f"did you mean `{near[0]}`?" if near else known
        elif key in ("except", "by", "column", "along"):
            several = key in ("except", "by")
            if several and not isinstance(value, list):
                yield f"`{key}` is not a list of columns", f"write `{key}: [one, another]`"
                continue
            for column in value if several else [value]:
                if str(column) not in types:
                    near = get_close_matches(str(column), types, 1)
                    yield f"`{column}` is no column", f"did you mean `{near[0]}`?" if near else f"columns are: {', '.join(sorted(types))}"
        elif key == "resets":
            if value not in RESETS or "along" not in arguments:
                yield f"`resets: {value}` is not understood", f"write one of: {', '.join(RESETS)}; with `along: …`, the period"
        elif value is None:
            continue  # no limit
        elif isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or (key in SHARES and value > 1):
            what = "a share between 0 and 1" if key in SHARES else "a number from 0"
            yield f"`{key}: {value}` is not {what}", f"write {what}, or null for no limit"
    if kind == "neverFalls" and types.get(str(arguments.get("column"))) not in ("integer", "number", None):
        yield f"`{arguments['column']}` is no number", "name the column that holds the cumulative figure"
    if kind == "neverFalls" and "column" not in arguments:
        yield "neverFalls names no column", "add `column: …`, the cumulative figure"
