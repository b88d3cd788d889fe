"""Semantic types (`datasets/semantic-types.yaml`) and what they bring to a column: rules, and codes valid in the row's period.

A type's rule is a condition in the language of row rules, as a template: `$value` is the column itself; `$other_type` a
column of the same table with that semantic type, if it belongs to the same thing; `$west` and the like the facts of
`place` in `register.yaml`. A rule for which the table or the register has no answer does not apply.
"""

import csv
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from string import Template
from typing import Any

from pipelines.contract.model import Agency, Code, Column, Rule, SemanticType, TypeRule
from pipelines.contract.periods import holds
from pipelines.sql import literal, quote


def semantic_types_of(root: Path, specs: dict[str, Any], agencies: dict[str, Agency], as_of: str) -> dict[str, SemanticType]:
    """The semantic types that ``specs`` describe, with their code lists read from below ``root``; ``as_of`` is an ISO date."""
    types = {}
    for name, spec in specs.items():
        codes = _codes(root, agencies, spec["codeList"]) if "codeList" in spec else ()
        labels = tuple((c.code, c.label) for c in codes if c.since <= as_of and (not c.until or as_of < c.until))
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
            values=tuple(spec.get("values", ())) or tuple(code for code, _ in labels),
            check=spec.get("check"),
            personal=spec.get("personal", "none"),
            unit=spec.get("unit"),
            example=spec.get("example"),
            labels=labels,
            codes=codes,
            rules=tuple(TypeRule(**rule) for rule in spec.get("rules", ())),
            names=tuple(spec.get("names", ())),
            telling=bool(spec.get("telling")),
        )
    return types


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
        rules = [bound for rule in semantic.rules if (bound := self._rule(rule, column, semantic, columns))]
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

    def _rule(self, rule: TypeRule, column: Column, semantic: SemanticType, columns: list[Column]) -> Rule | None:
        names = {"value": quote(column.name), **{k: str(v) for k, v in self.place.items()}}
        asked = [Template(rule.condition), *([Template(rule.suggest)] if rule.suggest else [])]
        for name in {name for template in asked for name in template.get_identifiers()} - set(names):
            partner = self._partner(name, column, semantic, columns)
            if partner is None:
                return None
            names[name] = quote(partner)
        condition, *suggest = (template.substitute(names) for template in asked)
        return Rule(rule.name, condition, rule.vi, rule.en, column.name, rule.level, rule.group, suggest[0] if suggest else None)

    def _partner(self, wanted: str, column: Column, semantic: SemanticType, columns: Iterable[Column]) -> str | None:
        """The column of semantic type ``wanted`` that speaks of the same thing: `so_dinh_danh_chong` goes with `ngay_sinh_chong`."""
        other = self.types.get(wanted)
        if other is None:
            return None
        mine = remainder(column.name, semantic)
        found = [c.name for c in columns if c.semantic == wanted and remainder(c.name, other) == mine]
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
