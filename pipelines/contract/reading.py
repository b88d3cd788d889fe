"""`customProperties.reading` of a contract → `Reading`: what is pinned about the files an agency sends."""

import codecs
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from pipelines.contract.model import Reading

LEGACY_ENCODINGS = ("tcvn3", "vni", "vps", "viscii")
WORDS = {
    "delimiter": "delimiter",
    "quote": "quote",
    "encoding": "encoding",
    "headerRow": "header_row",
    "byPosition": "by_position",
    "sheets": "sheets",
    "sheetColumn": "sheet_column",
    "groupColumn": "group_column",
    "missingCodes": "missing_codes",
    "decimal": "decimal",
    "dayFirst": "day_first",
}
"""Key in the contract → field of `Reading`."""


def reading_of(raw: Any, columns: set[str]) -> tuple[Reading, list[tuple[str, str]]]:
    """The reading that ``raw`` describes, and its mistakes as (message, fix) pairs; with any, nothing is pinned."""
    if raw is None:
        return Reading(), []
    if not isinstance(raw, dict):
        return Reading(), [("reading is not a mapping", f"write `name: value` pairs; known are: {', '.join(WORDS)}")]
    faults = [fault for key, value in raw.items() for fault in _faults(key, value, columns)]
    if faults:
        return Reading(), faults
    pinned = {WORDS[key]: value for key, value in raw.items()}
    if "sheets" in pinned:
        pinned["sheets"] = tuple(pinned["sheets"])
    return Reading(**pinned), []


def _faults(key: str, value: Any, columns: set[str]) -> Iterator[tuple[str, str]]:
    if key not in WORDS:
        near = get_close_matches(str(key), WORDS, 1)
        yield f"reading.{key} is not known", f"did you mean `{near[0]}`?" if near else f"known are: {', '.join(WORDS)}"
    elif key in ("delimiter", "quote") and not (isinstance(value, str) and len(value) == 1):
        yield f"reading.{key} `{value}` is not one character", "write one character in quotes, such as ';'"
    elif key == "encoding" and not _known_encoding(value):
        yield f"reading.encoding `{value}` is not known", f"write utf-8, utf-16, cp1258 or one of: {', '.join(LEGACY_ENCODINGS)}"
    elif key == "headerRow" and not (isinstance(value, int) and not isinstance(value, bool) and value > 0):
        yield f"reading.headerRow `{value}` is not a row", "write the row's number in the file, counted from 1"
    elif key in ("byPosition", "dayFirst") and not isinstance(value, bool):
        yield f"reading.{key} `{value}` is neither true nor false", "write true or false"
    elif key == "sheets" and not (isinstance(value, list) and value and all(isinstance(name, str) for name in value)):
        yield f"reading.sheets `{value}` is not a list of sheet names", "write [Sheet1, Sheet2], or ['*'] for all"
    elif key in ("sheetColumn", "groupColumn") and value not in columns:
        near = get_close_matches(str(value), columns, 1)
        yield (
            f"reading.{key} `{value}` is no column",
            f"did you mean `{near[0]}`?" if near else f"columns are: {', '.join(sorted(columns))}",
        )
    elif key == "missingCodes" and not (isinstance(value, dict) and all(isinstance(t, str) for pair in value.items() for t in pair)):
        yield f"reading.missingCodes `{value}` is not a mapping of text", 'write {"-": không phát sinh, "x": chưa nhập}'
    elif key == "decimal" and value not in (",", "."):
        yield f"reading.decimal `{value}` is no decimal mark", "write ',' or '.'"


def _known_encoding(value: Any) -> bool:
    if value in LEGACY_ENCODINGS:
        return True
    try:
        return bool(codecs.lookup(value))
    except (LookupError, TypeError):
        return False
