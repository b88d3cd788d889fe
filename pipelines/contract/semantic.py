"""Semantic types (`datasets/semantic-types.yaml`) and what they bring to a column: rules, and codes valid in the row's period.

A type's rule is a condition in the language of row rules, as a template: `$value` is the column itself; `$other_type` a
column of the same table with that semantic type, if it belongs to the same thing; `$west` and the like the facts of
`place` in `register.yaml`; `$name` of a list under `lists` all its values. A rule for which the table or the register has no
answer does not apply.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from difflib import get_close_matches
from pathlib import Path
from string import Template
from typing import Any, get_args

from pipelines.contract.model import Agency, Code, Column, ErrorGroup, Level, Rule, SemanticType, TypeRule
from pipelines.contract.periods import holds
from pipelines.contract.rule_language import rule_faults
from pipelines.sql import literal, quote

LISTS = "lists"
"""The one entry of the file that is no type: named lists for the conditions of the types' rules."""
KEYS = {
    "vi", "en", "type", "sqlType", "pattern", "min", "max", "maxLength", "values", "codeList", "check", "personal", "unit", "example",
    "rules", "names", "identifier", "telling",
}  # fmt: skip
CHECKS = ("mst",)


def semantic_types_of(root: Path, specs: dict[str, Any], agencies: dict[str, Agency], as_of: str) -> dict[str, SemanticType]:
    """The semantic types that ``specs`` describe, with their code lists read from below ``root``; ``as_of`` is an ISO date."""
    lists = {name: _members(root, agencies, spec) for name, spec in specs.get(LISTS, {}).items()}
    types = {}
    for name, spec in specs.items():
        if name == LISTS:
            continue
        source = spec.get("codeList", {})
        codes = _codes(root, agencies, source) if source else ()
        labels = tuple((c.code, c.label) for c in codes if c.since <= as_of and (not c.until or as_of < c.until))
        rules = tuple(_type_rule(rule, lists) for rule in spec.get("rules", ()))
        closed = () if source.get("begins") else tuple(code for code, _ in labels)
        types[name] = SemanticType(
            id=name,
            vi=spec["vi"],
            en=spec["en"],
            type=spec["type"],
            sql_type=spec.get("sqlType"),
            pattern=spec.get("pattern"),
            minimum=spec.get("min"),
            maximum=spec.get("max"),
            max_length=spec.get("maxLength"),
            values=tuple(spec.get("values", ())) or closed,
            check=spec.get("check"),
            personal=spec.get("personal", "none"),
            unit=spec.get("unit"),
            example=spec.get("example"),
            labels=labels,
            codes=codes,
            rules=(*rules, *_begins(name, codes)) if source.get("begins") else rules,
            names=tuple(spec.get("names", ())),
            identifier=bool(spec.get("identifier")),
            telling=bool(spec.get("telling")),
        )
    return types


def semantic_faults(
    root: Path, specs: dict[str, Any], types: dict[str, SemanticType], place: dict[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """(type, message, fix) for every mistake in the semantic types' own file: what a rule says is judged here, once."""
    for name, spec in specs.get(LISTS, {}).items():
        if isinstance(spec, dict) and not (root / f"{spec.get('file')}.data.csv").exists():
            yield LISTS, f"the list `{name}` has no file `{spec.get('file')}.data.csv`", "write the file, or the list's values"
    kinds = {name: t.type for name, t in types.items()}
    for name, semantic in types.items():
        for key in specs[name]:
            if key not in KEYS:
                near = get_close_matches(str(key), KEYS, 1)
                yield name, f"`{key}` is not known", f"did you mean `{near[0]}`?" if near else f"known are: {', '.join(sorted(KEYS))}"
        if semantic.check is not None and semantic.check not in CHECKS:
            yield name, f"check `{semantic.check}` is not known", f"known are: {', '.join(CHECKS)}"
        for rule in semantic.rules:
            if rule.level not in get_args(Level) or rule.group not in get_args(ErrorGroup):
                yield name, f"rule `{rule.name}`: level or group is not known", f"write one of: {', '.join(get_args(ErrorGroup))}"
            template = Template(rule.condition)
            asked = set(template.get_identifiers())
            for unknown in sorted(asked - {"value", *kinds, *place, *PLACE}):
                yield name, f"rule `{rule.name}`: `${unknown}` is no type, list or fact of the place", "correct the name"
            words = {word: word for word in asked} | {"value": "value"} | dict.fromkeys(PLACE, "1")
            for message, fix in rule_faults(template.safe_substitute(words), {**kinds, "value": semantic.type}):
                yield name, f"rule `{rule.name}`: {message}", fix


PLACE = ("west", "south", "east", "north")
"""Facts that `register.yaml` may state under `place`: the province's bounds in degrees (WGS 84)."""


def _type_rule(raw: dict[str, Any], lists: dict[str, str]) -> TypeRule:
    return TypeRule(**{**raw, "condition": Template(raw["condition"]).safe_substitute(lists)})


def _members(root: Path, agencies: dict[str, Agency], spec: Any) -> str:
    """A list as SQL: written out, or the codes of a data file."""
    members = [c.code for c in _codes(root, agencies, spec)] if isinstance(spec, dict) else spec
    return f"({', '.join(map(literal, members or ['']))})"


def _begins(name: str, codes: tuple[Code, ...]) -> tuple[TypeRule, ...]:
    """The rule that a code of a hierarchy, or the part of it as long as the longest listed codes, is listed."""
    by_length: dict[int, list[str]] = {}
    for code in codes:
        by_length.setdefault(len(code.code), []).append(code.code)
    if not by_length:
        return ()
    longest = max(by_length)
    cases = " ".join(
        f"WHEN {n} THEN $value IN ({', '.join(map(literal, listed))})" for n, listed in sorted(by_length.items()) if n < longest
    )
    deepest = f"left($value, {longest}) IN ({', '.join(map(literal, by_length[longest]))})"
    condition = f"CASE length($value) {cases} ELSE {deepest} END" if cases else deepest
    said = "Mã không có trong danh mục", "The code is not in the list"
    return (TypeRule(f"{name}_ngoai_danh_muc", condition, *said, group="mismatch"),)


def _codes(root: Path, agencies: dict[str, Agency], spec: dict[str, Any]) -> tuple[Code, ...]:
    if spec["file"] == "agencies":
        return tuple(Code(a.code, a.name) for a in agencies.values())
    path = root / f"{spec['file']}.data.csv"
    if not path.exists():
        return ()
    with path.open(encoding="utf-8", newline="") as lines:
        return tuple(
            Code(row[spec["code"]], row[spec["label"]], row.get(spec.get("from", ""), ""), row.get(spec.get("to", ""), ""))
            for row in csv.DictReader(lines)
            if all(row[k] == v for k, v in spec.get("where", {}).items())
        )


@dataclass(frozen=True)
class Binder:
    """Gives the columns of one table what their semantic types say. ``period`` names the column that dates a row."""

    types: dict[str, SemanticType]
    place: dict[str, Any]
    as_of: str

    def bind(self, columns: list[Column], period: str | None) -> list[Column]:
        dated = next((c for c in columns if c.name == period), None)
        return [self._bound(column, columns, dated) for column in columns]

    def _bound(self, column: Column, columns: list[Column], dated: Column | None) -> Column:
        semantic = self.types.get(column.semantic or "")
        if semantic is None:
            return column
        own_list = bool(column.values) and column.values != semantic.values
        rules = [
            bound for rule in semantic.rules if not (own_list and rule.group == "mismatch") and (bound := self._rule(rule, column, columns))
        ]
        listed = column.listed
        if dated is not None and any(c.since or c.until for c in semantic.codes):
            if column.values == semantic.values:
                listed = tuple(dict.fromkeys(c.code for c in semantic.codes))
            if expression := valid_in_period(column, semantic.codes, dated, self.as_of):
                rules.append(
                    Rule(
                        f"{column.semantic}_het_hieu_luc",
                        expression,
                        f"Mã không có hiệu lực vào kỳ của hàng (cột {dated.title})",
                        f"The code is not valid in the row's period (column {dated.title_en})",
                        column.name,
                        group="stale",
                    )
                )
        return replace(column, rules=(*rules, *column.rules), listed=listed)

    def _rule(self, rule: TypeRule, column: Column, columns: list[Column]) -> Rule | None:
        names = {"value": quote(column.name), **{k: str(v) for k, v in self.place.items()}}
        asked = [Template(rule.condition), *([Template(rule.suggest)] if rule.suggest else [])]
        for name in {name for template in asked for name in template.get_identifiers()} - set(names):
            other = partner(name, column, columns, self.types)
            if other is None:
                return None
            names[name] = quote(other.name)
        condition, *suggest = (template.substitute(names) for template in asked)
        return Rule(rule.name, condition, rule.vi, rule.en, column.name, rule.level, rule.group, suggest[0] if suggest else None)


def partner(wanted: str, column: Column, columns: Iterable[Column], types: dict[str, SemanticType]) -> Column | None:
    """The column of semantic type ``wanted`` that speaks of the same thing: `so_dinh_danh_chong` goes with `ngay_sinh_chong`."""
    semantic, other = types.get(column.semantic or ""), types.get(wanted)
    if semantic is None or other is None:
        return None
    mine = remainder(column.name, semantic)
    found = [c for c in columns if c.semantic == wanted and remainder(c.name, other) == mine]
    return found[0] if len(found) == 1 else None


def remainder(name: str, semantic: SemanticType) -> str:
    """What a column's name says beyond its type: `ngay_sinh_chong` → `chong`; the longest name of the type is taken off."""
    for known in sorted(semantic.names, key=len, reverse=True):
        if name == known or name.startswith(f"{known}_"):
            return name[len(known) + 1 :]
        if name.endswith(f"_{known}"):
            return name[: -len(known) - 1]
    return name


def valid_in_period(column: Column, codes: tuple[Code, ...], dated: Column, as_of: str) -> str | None:
    """The condition that a listed code is valid on some day of the row's period; None where all codes always are.

    The list's first day bounds nothing: of the time before it the list does not speak. A row is compared only with the
    codes that are *not* valid in its stretch of time: where all are, it costs a comparison of dates.
    """
    first = min((c.since for c in codes if c.since), default="")
    turns = sorted({day for c in codes for day in (c.since, c.until) if day and day != first})
    if not turns:
        return None
    period, x = quote(dated.name), quote(column.name)

    def unfit(start: str, end: str) -> str:
        """Whether a code is valid on no day from ``start`` up to but without ``end``; an empty day is no bound."""
        valid = {c.code for c in codes if (not end or c.since <= first or c.since < end) and (not c.until or c.until > start)}
        missing = [code for code in dict.fromkeys(c.code for c in codes) if code not in valid]
        return f"{x} IN ({', '.join(map(literal, missing))})" if missing else "false"

    branches = [f"WHEN {period} IS NULL THEN {unfit(as_of, (date.fromisoformat(as_of) + timedelta(1)).isoformat())}"]
    start = ""
    for turn in turns:
        day = date.fromisoformat(turn)
        at, before = holds(dated, day), holds(dated, day - timedelta(1))
        branches.append(f"WHEN {period} < {_literal(at)} THEN {unfit(start, turn)}")
        if at == before:
            # The turn lies inside a period, say a year: codes of either side will do.
            end = next((later for later in turns if later > turn and holds(dated, date.fromisoformat(later)) != at), "")
            branches.append(f"WHEN {period} <= {_literal(at)} THEN {unfit(start, end)}")
        start = turn
    return f"NOT CASE {' '.join(branches)} ELSE {unfit(start, '')} END"


def _literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else literal(value)
