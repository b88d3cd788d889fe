"""Template tags and filters: words in the visitor's language, Vietnamese numbers and times."""

import hashlib
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django import template

from catalog.pages.words import WORDS

register = template.Library()
STATIC = Path(__file__).parent / "static"


def translate(key: str, language: str, **values: Any) -> str:
    vi, en = WORDS[key]
    text = en if language == "en" else vi
    return text.format(**values) if values else text


@register.simple_tag(takes_context=True)
def t(context: template.Context, key: str, suffix: object = None, **values: Any) -> str:
    """The word or sentence ``key``; ``{% t "access." c.access %}`` joins a prefix and a value."""
    return translate(key if suffix is None else f"{key}{suffix}", context["language"], **values)


@register.simple_tag(takes_context=True)
def pick(context: template.Context, vi: str, en: str) -> str:
    """Whichever of the two is in the visitor's language, else the one there is."""
    return (en or vi) if context["language"] == "en" else (vi or en)


@register.simple_tag(takes_context=True)
def number(context: template.Context, value: int | float | Decimal | None, places: int = 0) -> str:
    if value is None:
        return "–"
    text = f"{value:,.{places}f}"
    return text if context["language"] == "en" else text.translate(str.maketrans(",.", ".,"))


@register.simple_tag(takes_context=True)
def percent(context: template.Context, share: float | None) -> str:
    """A share 0–1 as per cent, cut and not rounded: 99.99 % is not all."""
    if share is None:
        return "–"
    value = int(share * 10_000) / 100
    return number(context, value, 0 if value == int(value) else 2) + " %"


@register.simple_tag(takes_context=True)
def moment(context: template.Context, value: datetime | None, form: str = "%d/%m/%Y %H:%M") -> str:
    """A UTC time of the store on the warehouse's clock."""
    if value is None:
        return "–"
    return value.replace(tzinfo=UTC).astimezone(ZoneInfo(context["register"].timezone)).strftime(form)


@register.simple_tag(takes_context=True)
def domain_title(context: template.Context, domain: str) -> str:
    return str(context["register"].domain_title(domain, context["language"]))


@register.simple_tag
def asset(name: str) -> str:
    """Address of a static file that changes when the file does, so that browsers may keep it."""
    return f"/static/{name}?v={_digests()[name]}"


@cache
def _digests() -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in STATIC.iterdir()}


@register.simple_tag(takes_context=True)
def cell(context: template.Context, value: object) -> str:
    """One value of a data table: numbers without idle zeros, dates the Vietnamese way, nothing for nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return translate("yes" if value else "no", context["language"])
    if isinstance(value, datetime):
        return value.strftime("%d/%m/%Y %H:%M")  # what the agency wrote, not a time of the store
    if isinstance(value, date):
        return value.strftime("%d/%m/%Y")
    if isinstance(value, Decimal | float):
        text = f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"
        return text if context["language"] == "en" else text.replace(".", ",")
    text = str(value)
    return text if len(text) <= 200 else text[:200] + "…"
