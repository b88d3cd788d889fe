"""`logicalTypeOptions` of a column → the limits on its values, and what is wrong with them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

ORDERED = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
KNOWN: dict[str, tuple[str, ...]] = {
    "string": ("format", "minLength", "maxLength", "pattern"),
    "integer": (*ORDERED, "multipleOf", "format"),
    "number": (*ORDERED, "multipleOf", "format"),
    "date": (*ORDERED, "format"),
    "timestamp": (*ORDERED, "format", "timezone", "defaultTimezone"),
    "boolean": (),
}
"""ODCS 3.1, by logical type."""
TEXT_FORMATS = {
    "email": r"[A-Za-z0-9][A-Za-z0-9._%+'-]{0,63}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,}",
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*:[^\s<>\"]+",
    "uuid": r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    "hostname": r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
    "ipv4": r"((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])",
    "ipv6": r"([0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|([0-9A-Fa-f]{1,4}:){1,7}:|([0-9A-Fa-f]{1,4}:){1,6}(:[0-9A-Fa-f]{1,4}){1,6}|::([0-9A-Fa-f]{1,4}(:[0-9A-Fa-f]{1,4}){0,6})?",
    "byte": r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?",
    "time": r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?",
}
"""The formats that ODCS names for text, as whole-value patterns; `byte` is Base64, `time` the time of day (HH:mm, HH:mm:ss)."""
WHOLE_FORMATS = {f"{sign}{bits}": bits for sign in "iu" for bits in (8, 16, 32, 64)}
"""Whole numbers by the bits that they fill; a BIGINT holds no more than 64."""
DATE_FORMATS = {
    "yyyy-MM-dd": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "dd/MM/yyyy": "[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}",
    "dd-MM-yyyy": "[0-9]{1,2}-[0-9]{1,2}-[0-9]{4}",
    "dd.MM.yyyy": "[0-9]{1,2}[.][0-9]{1,2}[.][0-9]{4}",
    "yyyyMMdd": "[0-9]{8}",
}
"""JDK date forms → how they look in text."""
MOMENT_FORMATS = {f"{day} {clock}": f"{DATE_FORMATS[day]} {look}" for day in DATE_FORMATS for clock, look in (
    ("HH:mm", "[0-9]{1,2}:[0-9]{2}"), ("HH:mm:ss", "[0-9]{1,2}:[0-9]{2}:[0-9]{2}"),
)}  # fmt: skip
WRITTEN_FORMATS = DATE_FORMATS | MOMENT_FORMATS
STRPTIME = {
    form: form.replace("yyyy", "%Y").replace("MM", "%m").replace("dd", "%d").replace("HH", "%H").replace("mm", "%M").replace("ss", "%S")
    for form in WRITTEN_FORMATS
}
"""JDK date forms → how DuckDB reads them."""


@dataclass(frozen=True)
class Options:
    """The limits, as a column carries them; None where there is none."""

    minimum: Any = None
    maximum: Any = None
    exclusive_minimum: Any = None
    exclusive_maximum: Any = None
    multiple_of: float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    format: str | None = None


def options_of(raw: dict[str, Any], kind: str) -> tuple[Options, list[tuple[str, str, str]]]:
    """The limits that ``raw`` sets on a column of logical type ``kind``, and its mistakes as (option, message, fix); with any, none is set."""
    raw = {name: value for name, value in raw.items() if value is not None}
    faults = list(_faults(raw, kind))
    if faults:
        return Options(), faults
    form = raw.get("format")
    low, high = raw.get("minimum"), raw.get("maximum")
    if form in WHOLE_FORMATS and kind == "integer":
        least, most = _range(form)
        low = least if low is None else max(low, least)
        high = most if high is None else min(high, most)
    pattern = raw.get("pattern")
    if kind == "string" and form in TEXT_FORMATS:
        pattern = TEXT_FORMATS[form] if pattern is None else pattern
    return (
        Options(
            low,
            high,
            raw.get("exclusiveMinimum"),
            raw.get("exclusiveMaximum"),
            raw.get("multipleOf"),
            raw.get("minLength"),
            raw.get("maxLength"),
            pattern,
            form if kind in ("date", "timestamp") else None,
        ),
        [],
    )


def _range(form: str) -> tuple[int, int]:
    """What fits into a whole number of this format, and into the BIGINT that holds it."""
    bits, signed = WHOLE_FORMATS[form], form.startswith("i")
    least = -(2 ** (bits - 1)) if signed else 0
    return least, min(2 ** (bits - signed) - 1, 2**63 - 1)


def pattern_fault(pattern: Any) -> str | None:
    """Why ``pattern`` cannot be matched in both engines, or None."""
    if not isinstance(pattern, str):
        return "is not text"
    try:
        re.compile(f"^(?:{pattern})$")
    except re.error as error:
        return f"is no regular expression: {error}"
    if re.search(r"\(\?[=!<]|\\[1-9]", pattern):
        return "looks around or back, which the gate's engine (RE2) cannot"
    return None


def _faults(raw: dict[str, Any], kind: str) -> Iterator[tuple[str, str, str]]:
    known = KNOWN.get(kind, ())
    for name, value in raw.items():
        if name not in known:
            near = get_close_matches(str(name), known, 1)
            hint = f"did you mean `{near[0]}`?" if near else f"{kind} has: {', '.join(known) or 'no options'}"
            yield str(name), f"`{name}` is no option of {kind}", hint
        elif name in ("minLength", "maxLength"):
            if not _whole(value) or value < 0:
                yield name, f"`{value}` is not a length", "write a whole number of characters"
        elif name == "pattern":
            if fault := pattern_fault(value):
                yield name, fault, "correct the pattern"
        elif name == "multipleOf":
            if not _number(value) or value <= 0:
                yield name, f"`{value}` is not a step", "write a number above 0"
        elif name in ORDERED:
            yield from _bound_faults(name, value, kind)
        elif name == "format":
            yield from _format_faults(value, kind, raw)
        elif name == "timezone":
            if value is not False:
                yield name, "times are kept as the clock shows them, without a zone", "write `timezone: false` or take it out"
        elif name == "defaultTimezone":
            yield name, "times are kept in the register's time zone", "take it out; `timezone` stands in register.yaml"
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength")):
        if low in raw and high in raw and type(raw[low]) is type(raw[high]) and raw[low] > raw[high]:
            yield low, f"`{raw[low]}` is above {high} `{raw[high]}`", "no value can pass: correct one of the two"


def _bound_faults(name: str, value: Any, kind: str) -> Iterator[tuple[str, str, str]]:
    if kind in ("integer", "number"):
        if not _number(value):
            yield name, f"`{value}` is not a number", "write a number"
        return
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        yield name, f"`{value}` is not a date", "write it as '2023-06-30' or '2023-06-30 08:00:00'"


def _format_faults(value: Any, kind: str, raw: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    known: dict[str, tuple[str, ...]] = {
        "string": tuple(TEXT_FORMATS),
        "integer": tuple(WHOLE_FORMATS),
        "number": ("f64",),
        "date": tuple(DATE_FORMATS),
        "timestamp": tuple(MOMENT_FORMATS),
    }
    if value not in known[kind]:
        near = get_close_matches(str(value), known[kind], 1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        yield "format", f"`{value}` is no format of {kind}", f"{hint}write one of: {', '.join(known[kind])}"
    elif kind == "string" and "pattern" in raw:
        yield "format", f"`{value}` and a pattern say the same thing twice", "keep one of the two"


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
