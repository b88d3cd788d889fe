"""The data dictionary of a dataset as lines that a page can show."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from catalog.access import Decision
from catalog.facts import Profile
from catalog.pages.tags import translate
from catalog.publish import Entry
from pipelines.contract import Column, Register, SemanticType

SHOWN_VALUES = 12


@dataclass(frozen=True)
class Line:
    """One column; ``profile`` is empty where the visitor may not read the column.

    ``extremes`` are its least and greatest value, where the values have an order that means something.
    """

    column: Column
    semantic: SemanticType | None
    rules: list[str]
    values: tuple[str, ...]
    profile: Profile | None
    readable: bool
    extremes: tuple[object, object] | None


def dictionary(register: Register, entry: Entry, decision: Decision, language: str) -> list[Line]:
    return [_line(register, entry, column, column.name in decision.columns, language) for column in entry.contract.columns]


def _line(register: Register, entry: Entry, column: Column, readable: bool, language: str) -> Line:
    semantic = register.semantic_types.get(column.semantic) if column.semantic else None
    # A code list of hundreds is named by its semantic type; printing it would bury the column.
    values = column.values if len(column.values) <= SHOWN_VALUES else ()
    profile = entry.profile.get(column.name) if readable else None
    return Line(column, semantic, _rules(column, language), values, profile, readable, _extremes(column, profile))


ORDERED: dict[str, Callable[[str], object]] = {
    "integer": Decimal,
    "number": Decimal,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
}
"""Types whose extremes say something, and how the profile's text becomes a value again; of text, only keys and periods do."""


def _extremes(column: Column, profile: Profile | None) -> tuple[object, object] | None:
    if profile is None or profile.minimum is None or profile.maximum is None:
        return None
    if read := ORDERED.get(column.type):
        try:
            return read(profile.minimum), read(profile.maximum)
        except (ValueError, ArithmeticError):  # the release was made when the column had another type
            return None
    return (profile.minimum, profile.maximum) if column.type == "string" and column.key and not column.values else None


def _rules(column: Column, language: str) -> list[str]:
    word = lambda key, **values: translate(f"rule.{key}", language, **values)
    rules = []
    if column.unique:
        rules.append(word("unique"))
    if column.minimum is not None:
        rules.append(f"≥ {column.minimum}")
    if column.maximum is not None:
        rules.append(f"≤ {column.maximum}")
    if column.exclusive_minimum is not None:
        rules.append(f"> {column.exclusive_minimum}")
    if column.exclusive_maximum is not None:
        rules.append(f"< {column.exclusive_maximum}")
    if column.multiple_of is not None:
        rules.append(word("multiple", n=column.multiple_of))
    if column.min_length is not None:
        rules.append(word("min_length", n=column.min_length))
    if column.max_length is not None:
        rules.append(word("max_length", n=column.max_length))
    if column.pattern and not column.semantic:
        rules.append(word("pattern", pattern=column.pattern))
    if column.check:
        rules.append(word("checksum"))
    if column.format:
        rules.append(word("format", format=column.format))
    if len(column.values) > SHOWN_VALUES:
        rules.append(word("list", n=len(column.values)))
    if column.example:
        rules.append(word("example", example=column.example))
    return rules
