"""Cells that a spreadsheet would run as a formula, disarmed in every CSV that the warehouse writes; and the way back.

A CSV carries no cell types, so a text such as ``=HYPERLINK(…)`` becomes a formula when the file is opened. As OWASP advises
(“CSV Injection”), such a text gets an apostrophe in front. Numbers (``-5``) and phone numbers (``+84 912 345 678``) stay as they
are: a spreadsheet reads them as numbers, not as commands. A text that begins with apostrophes and would be taken for
a guarded one gets one more, so that `unguarded` undoes `guarded` exactly, whatever the text.

Workbooks need none of this: a text cell is a text cell.
"""

import re

from pipelines.sql import literal

COMMAND = r"=+\-@\t\r\n＝＋－＠"
"""First characters that start a formula, in a pattern's class; the wide forms too, which Excel folds."""
RISKY = rf"'*[{COMMAND}](?s:.*)"
NUMBER = r"[+\-]?[0-9][0-9 .,()\-]*"
GUARDED = rf"''*[{COMMAND}](?s:.*)"

_RISKY, _NUMBER = re.compile(RISKY), re.compile(NUMBER)


def guarded(text: str) -> str:
    """SQL: ``text`` (SQL) as it may stand in a CSV."""
    return (
        f"CASE WHEN regexp_full_match({text}, {literal(RISKY)}) AND NOT regexp_full_match({text}, {literal(NUMBER)}) "
        f"THEN '''' || {text} ELSE {text} END"
    )


def unguarded(text: str) -> str:
    """SQL: what `guarded` was given, from what it made."""
    return f"CASE WHEN regexp_full_match({text}, {literal(GUARDED)}) THEN substr({text}, 2) ELSE {text} END"


def risky(text: str) -> bool:
    """Whether a spreadsheet may run ``text`` when it stands in a cell without a type."""
    return bool(_RISKY.fullmatch(text)) and not _NUMBER.fullmatch(text)
