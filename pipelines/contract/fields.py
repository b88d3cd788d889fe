"""Which fields of ODCS a contract may use: those that something here acts on, and those that only describe.

A field that the code does not know is a mistake, never ignored: whoever writes `partitioned: true` believes that it
does something.
"""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

DESCRIPTIVE = {"id", "tags", "authoritativeDefinitions"}
KNOWN = {
    "contract": DESCRIPTIVE | {
        "apiVersion", "kind", "name", "version", "status", "domain", "team", "description", "schema", "customProperties", "slaProperties",
        "servers", "tenant", "dataProduct", "contractCreatedTs", "support", "price", "roles",
    },
    "table": DESCRIPTIVE | {
        "name", "physicalName", "physicalType", "logicalType", "businessName", "description", "dataGranularityDescription", "properties",
        "quality", "relationships",
    },
    "column": DESCRIPTIVE | {
        "name", "businessName", "description", "logicalType", "logicalTypeOptions", "physicalName", "physicalType", "required", "unique",
        "primaryKey", "primaryKeyPosition", "quality", "relationships", "customProperties", "examples", "criticalDataElement",
    },
    "rule": DESCRIPTIVE | {
        "name", "description", "type", "metric", "arguments", "unit", "severity", "dimension", "businessImpact", "customProperties",
        "engine", "implementation", "query", "mustBe", "mustNotBe", "mustBeGreaterThan", "mustBeGreaterOrEqualTo", "mustBeLessThan",
        "mustBeLessOrEqualTo", "mustBeBetween", "mustNotBeBetween",
    },
    "relationship": {"type", "from", "to", "customProperties"},
}  # fmt: skip
FLAGS = ("required", "unique", "primaryKey")


def unknown_fields(element: str, raw: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(field, message, fix) for every field of ``raw`` that an ``element`` (a key of `KNOWN`) does not have."""
    known = KNOWN[element]
    for name in raw:
        if name not in known:
            near = get_close_matches(str(name), known, 1, cutoff=0.75)
            yield str(name), f"`{name}` is not a field that is acted on here", f"did you mean `{near[0]}`?" if near else "take it out"
    if element == "column":
        for name in FLAGS:
            if name in raw and not isinstance(raw[name], bool):
                yield name, f"`{raw[name]}` is neither true nor false", "write true or false"
