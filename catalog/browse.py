"""Filtering, facet counts and paging over the catalogue: what the search page and the API's list have in common."""

from collections import Counter
from dataclasses import dataclass, field

from catalog.publish import Catalogue, Entry

FACETS = ("domain", "agency", "access", "cycle", "personal", "quality")


@dataclass(frozen=True)
class Found:
    """The datasets that match, in order, and for every facet how many each of its values would leave."""

    entries: list[Entry]
    counts: dict[str, Counter[str]] = field(default_factory=dict)


def value_of(entry: Entry, facet: str) -> str:
    return entry.quality if facet == "quality" else str(getattr(entry.contract, facet))


def browse(catalogue: Catalogue, text: str = "", chosen: dict[str, list[str]] | None = None, sort: str = "relevance") -> Found:
    """Values of one facet are alternatives, facets narrow each other. Without text, or on request, sorted by title."""
    chosen = {facet: values for facet, values in (chosen or {}).items() if values}
    if text.strip():
        matching = [catalogue.entries[id] for id in catalogue.index.search(text) if id in catalogue.entries]
        if sort == "title":
            wanted = {e.id for e in matching}
            matching = [e for e in catalogue.alphabetical if e.id in wanted]
    else:
        matching = catalogue.alphabetical
    counts: dict[str, Counter[str]] = {facet: Counter() for facet in FACETS}
    entries = []
    for entry in matching:
        misses = [facet for facet, values in chosen.items() if value_of(entry, facet) not in values]
        if not misses:
            entries.append(entry)
        for facet in FACETS:
            # A facet's own choice does not narrow its counts, so that one sees what else could be chosen.
            if not misses or misses == [facet]:
                counts[facet][value_of(entry, facet)] += 1
    return Found(entries, counts)
