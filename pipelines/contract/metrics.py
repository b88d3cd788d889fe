"""ODCS `quality` → row rules, group rules and checks of the table.

A metric that allows no violation is a rule about each row and is judged at the gate; one with any other threshold can
be judged only over the whole table, after the load. docs/decisions/006-where-a-rule-lives.md says why.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_args

import sqlglot
import sqlglot.errors

from pipelines.contract.expectations import speaks_of_the_store
from pipelines.contract.fields import unknown_fields
from pipelines.contract.model import Check, GroupRule, Level, Rule, Unique
from pipelines.contract.options import pattern_fault
from pipelines.contract.rule_language import group_faults, rule_faults
from pipelines.sql import literal, quote

OPERATORS = {
    "mustBe": "{n} = {0}", "mustNotBe": "{n} <> {0}", "mustBeGreaterThan": "{n} > {0}", "mustBeGreaterOrEqualTo": "{n} >= {0}",
    "mustBeLessThan": "{n} < {0}", "mustBeLessOrEqualTo": "{n} <= {0}", "mustBeBetween": "{n} BETWEEN {0} AND {1}",
    "mustNotBeBetween": "{n} NOT BETWEEN {0} AND {1}",
}  # fmt: skip
"""ODCS's thresholds as conditions on the number found."""
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "nullValues": (), "missingValues": ("missingValues",), "invalidValues": ("validValues", "pattern"), "duplicateValues": (),
}  # fmt: skip
"""ODCS's library metrics on values, and their arguments; `duplicateValues` on the table names `properties`."""
NAMES = {
    "nullValues": ("Ô trống", "Empty values"),
    "missingValues": ("Giá trị coi như trống", "Values that stand for missing"),
    "invalidValues": ("Giá trị không hợp lệ", "Values that are not valid"),
    "duplicateValues": ("Giá trị trùng", "Repeated values"),
}
Fault = tuple[tuple[str | int, ...], str, str]
"""Path below the `quality` list, message, fix."""


@dataclass(frozen=True)
class Table:
    """What the rules of one table are about."""

    schema: str
    name: str
    types: dict[str, str]
    """Column → logical type."""


@dataclass
class Quality:
    """What a `quality` list says."""

    rules: list[Rule] = field(default_factory=list)
    group_rules: list[GroupRule] = field(default_factory=list)
    unique: list[Unique] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    values: tuple[str, ...] = ()
    """The column's closed list."""
    pattern: str | None = None
    required: bool = False
    faults: list[Fault] = field(default_factory=list)


@dataclass(frozen=True)
class Threshold:
    """ODCS's `mustBe…`: a condition on the number that a metric or query finds."""

    condition: str
    """With `{n}` for the number."""
    percent: bool = False
    none_allowed: bool = False
    """Whether it says: not a single violation."""

    def holds(self, number: str) -> str:
        return self.condition.replace("{n}", number)


def quality_of(items: list[dict[str, Any]], table: Table, column: str | None = None) -> Quality:
    """Read the `quality` of a table, or of one ``column`` of it."""
    found = Quality()
    for i, item in enumerate(items):
        if column is None and speaks_of_the_store(item):
            continue  # an expectation: `pipelines.contract.expectations`
        entry = _Entry(item, (i,), table, column, found)
        found.faults += [((i, name), message, fix) for name, message, fix in unknown_fields("rule", item)]
        entry.read()
    return found


class _Entry:
    """One entry of a `quality` list."""

    def __init__(self, item: dict[str, Any], path: tuple[str | int, ...], table: Table, column: str | None, found: Quality) -> None:
        self.item, self.path, self.table, self.column, self.found = item, path, table, column, found
        properties = item.get("customProperties") or []
        described = {p.get("property"): p.get("value") for p in properties if isinstance(p, dict)} if isinstance(properties, list) else {}
        self.name = str(item.get("name") or "").strip()
        self.vi = str(item.get("description") or "").strip()
        self.en = str(described.get("descriptionEn") or "").strip()
        for name in described:
            if name != "descriptionEn":
                self._fault("customProperties", f"`{name}` is not a known property", "known is: descriptionEn")
        self.level: Level = self._severity()

    def _fault(self, field_name: str, message: str, fix: str) -> None:
        self.found.faults.append(((*self.path, field_name) if field_name else self.path, message, fix))

    def _severity(self) -> Level:
        value = self.item.get("severity", "error")
        if value not in get_args(Level):
            self._fault(
                "severity", f"`{value}` is not known", "write `error` (the row is held back) or `warning` (it is let in and marked)"
            )
            return "error"
        return value

    def read(self) -> None:
        kind = self.item.get("type", "library" if "metric" in self.item else None)
        if kind == "library":
            self._metric()
        elif kind == "sql":
            self._query()
        elif kind == "custom" and self.item.get("engine") == "kho":
            self._custom()
        elif kind == "custom":
            self._fault("engine", f"`{self.item.get('engine')}` is no engine that runs here", "write `engine: kho`")
        elif kind != "text":
            self._fault("type", f"`{kind}` is not known", "use `type: custom, engine: kho` for rows, `library` or `sql` for the table")

    def _named(self) -> bool:
        """Whether the rule has a name and a reason: whoever breaks it is told both."""
        if not self.name:
            self._fault("name", "is missing", "write the rule's name")
        if not self.vi:
            self._fault("description", "is missing", "write the reason shown to the clerk, in Vietnamese")
        return bool(self.name and self.vi)

    # ---- thresholds

    def _threshold(self) -> Threshold | None:
        given = [name for name in OPERATORS if name in self.item]
        if len(given) != 1:
            what = "no threshold" if not given else "more than one threshold"
            self._fault("", f"there is {what}", f"write one of: {', '.join(OPERATORS)}")
            return None
        operator, value = given[0], self.item[given[0]]
        pair = operator in ("mustBeBetween", "mustNotBeBetween")
        numbers = value if pair else [value]
        if not isinstance(numbers, list) or len(numbers) != (2 if pair else 1) or not all(_number(n) for n in numbers):
            self._fault(
                operator, f"`{value}` is not {'two numbers' if pair else 'a number'}", "write `[1, 10]`" if pair else "write a number"
            )
            return None
        unit = self.item.get("unit", "rows")
        if unit not in ("rows", "percent"):
            self._fault("unit", f"`{unit}` is not known", "write `rows` or `percent`")
            return None
        condition = OPERATORS[operator].format(*numbers, n="{n}")
        none = (operator, value) in (("mustBe", 0), ("mustBeLessOrEqualTo", 0), ("mustBeLessThan", 1 if unit == "rows" else None))
        return Threshold(condition, unit == "percent", none)

    # ---- library metrics

    def _metric(self) -> None:
        metric, arguments = self.item.get("metric"), self.item.get("arguments") or {}
        if metric not in ARGUMENTS:
            near = get_close_matches(str(metric), ARGUMENTS, 1)
            self._fault(
                "metric", f"`{metric}` is not known", f"did you mean `{near[0]}`?" if near else f"known are: {', '.join(ARGUMENTS)}"
            )
            return
        if self.column is None and metric != "duplicateValues":
            self._fault("metric", f"`{metric}` is a question about a column", "put it under the `quality` of a column")
            return
        allowed = ("properties",) if metric == "duplicateValues" and self.column is None else ARGUMENTS[metric]
        if not isinstance(arguments, dict) or set(arguments) - set(allowed):
            self._fault("arguments", f"`{arguments}` does not fit {metric}", f"its arguments are: {', '.join(allowed) or 'none'}")
            return
        threshold = self._threshold()
        if threshold is None:
            return
        if metric == "duplicateValues":
            self._duplicates(arguments, threshold)
        else:
            self._values(metric, arguments, threshold)

    def _values(self, metric: str, arguments: dict[str, Any], threshold: Threshold) -> None:
        """nullValues, missingValues, invalidValues: the condition on one value that each counts the exceptions to."""
        assert self.column is not None
        x = quote(self.column)
        sound = self._sound(metric, arguments, x)
        if sound is None:
            return
        if not threshold.none_allowed:
            self._check(metric, f"count(*) FILTER (NOT coalesce({sound}, true))", threshold)
        elif metric == "invalidValues" and self.level == "error" and not self.found.values and "validValues" in arguments:
            self.found.values = tuple(str(v) for v in arguments["validValues"])
        elif metric == "invalidValues" and self.level == "error" and not self.found.pattern and "validValues" not in arguments:
            self.found.pattern = arguments["pattern"]
        elif metric == "nullValues" and self.level == "error":
            self.found.required = True
        else:
            vi, en = NAMES[metric]
            group: Any = "wrong format" if metric == "invalidValues" else "missing"
            self.found.rules.append(
                Rule(self.name or f"{metric}_{self.column}", sound, self.vi or vi, self.en or en, self.column, self.level, group)
            )

    def _sound(self, metric: str, arguments: dict[str, Any], x: str) -> str | None:
        """The condition that a value meets unless it is null, missing or invalid; None after a fault."""
        if metric == "nullValues":
            return f"{x} IS NOT NULL"
        listed = arguments.get("missingValues" if metric == "missingValues" else "validValues")
        if listed is not None or metric == "missingValues":
            if not isinstance(listed, list) or not listed:
                self._fault("arguments", "the list has no values", f"write `arguments: {{{ARGUMENTS[metric][0]}: [a, b]}}`")
                return None
            if any(isinstance(v, bool | dict | list) for v in listed):
                self._fault("arguments", f"`{listed}` holds more than text and numbers", "write text in quotes, and numbers")
                return None
            # Text is trimmed and empty text is NULL before it is judged.
            texts = [v for v in listed if v not in (None, "")]
            inside = f"{x} IN ({', '.join(self._literal(v) for v in texts)})" if texts else "false"
            if metric == "invalidValues":
                if fault := self._pattern_fault(arguments):
                    self._fault("arguments", *fault)
                    return None
                return f"{inside} AND regexp_full_match({x}, {literal(arguments['pattern'])})" if "pattern" in arguments else inside
            empty_counts = len(texts) < len(listed)
            return f"{x} IS NOT NULL AND NOT {inside}" if empty_counts else f"NOT {inside}"
        if fault := self._pattern_fault(arguments, needed=True):
            self._fault("arguments", *fault)
            return None
        return f"regexp_full_match({x}, {literal(arguments['pattern'])})"

    def _literal(self, value: Any) -> str:
        kind = self.table.types.get(self.column or "")
        return str(value) if kind in ("integer", "number") and _number(value) else literal(value)

    def _pattern_fault(self, arguments: dict[str, Any], needed: bool = False) -> tuple[str, str] | None:
        if "pattern" not in arguments:
            return ("a closed list has no values", "write `arguments: {validValues: [a, b]}` or `{pattern: …}`") if needed else None
        if self.table.types.get(self.column or "") != "string":
            return "a pattern is for text", "give bounds in logicalTypeOptions instead"
        fault = pattern_fault(arguments["pattern"])
        return (f"the pattern {fault}", "correct the pattern") if fault else None

    def _duplicates(self, arguments: dict[str, Any], threshold: Threshold) -> None:
        columns = (self.column,) if self.column else arguments.get("properties")
        if not isinstance(columns, list | tuple) or not columns or not all(c in self.table.types for c in columns):
            self._fault("arguments", f"`{columns}` are no columns", "write `arguments: {properties: [ma, ky]}` with columns of this table")
            return
        if threshold.none_allowed:
            self.found.unique.append(Unique(tuple(map(str, columns)), self.level))
            return
        names = ", ".join(quote(str(c)) for c in columns)
        full = " AND ".join(f"{quote(str(c))} IS NOT NULL" for c in columns)
        self._check("duplicateValues", f"count(*) FILTER ({full}) - count(DISTINCT ({names})) FILTER ({full})", threshold)

    # ---- checks of the whole table

    def _check(self, metric: str, number: str, threshold: Threshold) -> None:
        """A check whose violations are the number found (at least one) where the threshold does not hold."""
        vi, en = NAMES[metric]
        measured = f"100.0 * ({number}) / nullif(count(*), 0)" if threshold.percent else number
        holds = f"coalesce({threshold.holds('measured')}, true)"
        sql = f"""
            SELECT CASE WHEN {holds} THEN 0 ELSE greatest(found, 1) END
            FROM (SELECT {number} AS found, {measured} AS measured FROM {quote(self.table.schema)}.{quote(self.table.name)})
        """
        self.found.checks.append(
            Check(
                self.name or "_".join(filter(None, (metric, self.column))),
                sql,
                self.vi or f"{vi} vượt ngưỡng",
                self.en or f"{en}: beyond the threshold",
                self.level,
            )
        )

    def _query(self) -> None:
        named, threshold = self._named(), self._threshold()
        query = self.item.get("query")
        if not isinstance(query, str) or not query.strip():
            self._fault("query", "is missing", "write a query that yields one number")
            return
        table = f"{quote(self.table.schema)}.{quote(self.table.name)}"
        names = {"table": table, "object": table, "column": quote(self.column or ""), "property": quote(self.column or "")}
        for word, name in names.items():
            query = query.replace(f"${{{word}}}", name)
        if fault := _query_fault(query):
            self._fault("query", *fault)
        elif threshold and threshold.percent:
            self._fault("unit", "a query finds a number, not a share", "calculate the share in the query")
        elif named and threshold:
            query = query.strip().rstrip(";")
            sql = query if threshold.condition == "{n} = 0" else f"SELECT CASE WHEN {threshold.holds(f'({query})')} THEN 0 ELSE 1 END"
            self.found.checks.append(Check(self.name, sql, self.vi, self.en or self.vi, self.level))

    # ---- rules of our own engine

    def _custom(self) -> None:
        named, said = self._named(), self.item.get("implementation")
        en = self.en or self.vi
        if any(name in self.item for name in OPERATORS):
            self._fault("", "a row rule has no threshold", "take it out: every row that breaks the rule is held back or marked")
        if isinstance(said, dict):
            rule = self._group(said)
            if named and rule:
                per, condition, overlap = rule
                self.found.group_rules.append(GroupRule(self.name, per, self.vi, en, condition, overlap, self.level))
            return
        if not isinstance(said, str) or not said.strip():
            self._fault("implementation", "is missing", "write a condition over the row's columns")
            return
        faults = list(rule_faults(said, self.table.types))
        for fault in faults:
            self._fault("implementation", *fault)
        if named and not faults:
            self.found.rules.append(Rule(self.name, said.strip(), self.vi, en, self.column or "", self.level))

    def _group(self, said: dict[str, Any]) -> tuple[tuple[str, ...], str | None, tuple[str, str] | None] | None:
        """`{perGroup: […], condition: …}` or `{perGroup: […], noOverlap: [from, to]}`."""
        types = self.table.types
        per, condition, overlap = said.get("perGroup"), said.get("condition"), said.get("noOverlap")
        faults = list(_group_shape_faults(said, types))
        if not faults and isinstance(condition, str):
            assert isinstance(per, list)
            faults += group_faults(condition, types, tuple(per))
        for fault in faults:
            self._fault("implementation", *fault)
        if faults:
            return None
        assert isinstance(per, list)
        return tuple(per), condition, tuple(overlap) if overlap else None


def _group_shape_faults(said: dict[str, Any], types: dict[str, str]) -> Iterator[tuple[str, str]]:
    known = ("perGroup", "condition", "noOverlap")
    for name in said:
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            yield f"`{name}` is not known", f"did you mean `{near[0]}`?" if near else f"known are: {', '.join(known)}"
    per = said.get("perGroup")
    if not isinstance(per, list) or not per or not all(c in types for c in per):
        yield f"perGroup `{per}` names no columns", f"write [ma_xa, ky]; columns are: {', '.join(sorted(types))}"
    if ("condition" in said) == ("noOverlap" in said):
        yield "a rule over groups says one thing", "write either `condition` or `noOverlap`"
    elif "condition" in said and not (isinstance(said["condition"], str) and said["condition"].strip()):
        yield "condition is missing", "write a condition such as `sum(so_ho_ngheo) <= max(tong_so_ho)`"
    elif "noOverlap" in said:
        span = said["noOverlap"]
        if not isinstance(span, list) or len(span) != 2 or [types.get(str(c)) for c in span] not in (["date"] * 2, ["timestamp"] * 2):
            yield f"noOverlap `{span}` are no two dates", "write [tu_ngay, den_ngay]: two date columns, first and last day"


def _query_fault(query: str) -> tuple[str, str] | None:
    try:
        statements = sqlglot.parse(query, dialect="duckdb")
    except sqlglot.errors.SqlglotError as error:
        return f"cannot be read: {str(error).splitlines()[0]}", "write one SELECT in DuckDB's SQL"
    if len(statements) != 1 or not isinstance(statements[0], sqlglot.exp.Query):
        return "is not one SELECT", "write one SELECT in DuckDB's SQL"
    return None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
