"""Which column of the delivery is which column of the contract: by name, title or declared synonym, accents aside."""

import re
import unicodedata
from dataclasses import dataclass
from difflib import get_close_matches

from pipelines.contract import Contract


def fold(text: str) -> str:
    """Lower case, no accents, đ as d, words joined by one underscore: how headers are compared, never how data is kept."""
    plain = unicodedata.normalize("NFD", text.replace("đ", "d").replace("Đ", "D"))
    return re.sub(r"[^a-z0-9]+", "_", "".join(c for c in plain if not unicodedata.combining(c)).lower()).strip("_")


@dataclass(frozen=True)
class Mapping:
    """``columns``: contract column → delivery column. The other two say what does not fit."""

    columns: dict[str, str]
    missing: list[str]
    unknown: list[tuple[str, str | None]]
    """(header, nearest contract column or None)."""


def known_names(contract: Contract) -> dict[str, str]:
    """Folded name, title or synonym → column of the contract."""
    known: dict[str, str] = {}
    for column in contract.columns:
        for name in (column.name, column.title, *column.synonyms):
            known.setdefault(fold(name), column.name)
        if column.semantic == "hinh_hoc":
            known.setdefault("geometry", column.name)
    return known


def match(contract: Contract, header: list[str]) -> Mapping:
    """Map a delivery's header. A column of the contract may be missing only when nothing requires it."""
    known = known_names(contract)
    columns: dict[str, str] = {}
    unknown: list[tuple[str, str | None]] = []
    for name in header:
        target = known.get(fold(name))
        if target is None or target in columns:
            near = get_close_matches(fold(name), list(known), 1, cutoff=0.7)
            unknown.append((name, known[near[0]] if near else None))
        else:
            columns[target] = name
    return Mapping(columns, [c.name for c in contract.columns if c.required and c.name not in columns], unknown)
