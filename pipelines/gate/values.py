"""Text as delivered → tidy text → the column's type, in SQL.

Every expression tries the form that nearly all values have first: `coalesce` and `CASE` look at the rest only for the rows
that are left.
"""

import re

from pipelines.contract import Column
from pipelines.contract.options import STRPTIME
from pipelines.formula_guard import unguarded
from pipelines.gate.forms import EITHER, PLAIN, SURE_COMMA, SURE_POINT, Form, bare
from pipelines.sql import literal, one_of, quote

TIDY = "[!-~À-ưẠ-ỹ]([ -~À-ưẠ-ỹ]*[!-~À-ưẠ-ỹ])?"
"""Text that neither trimming nor NFC would change: ASCII and composed Vietnamese letters, no space at the ends.

One match costs a third of normalising.
"""
FIXED_LENGTH = re.compile(r"\[0-9\]\{(\d+)\}")
EATEN_ZEROS = 2
"""So many leading zeros a spreadsheet may have eaten from a code that no closed list confirms (a birth province 001 has two)."""
TRUE = ("true", "t", "1", "yes", "có", "x", "đúng")
FALSE = ("false", "f", "0", "no", "không", "sai")
NOT_ENTERED = {
    "KHONG_AP_DUNG": "không áp dụng",
    "CHUA_XAC_DINH": "chưa xác định",
    "KHONG_RO": "không rõ",
    "CHUA_NHAP": "chưa nhập",
    "HAN_CHE": "hạn chế cung cấp",
}
"""Explicit codes for a value that is not there, and what they say; they hold for every column."""
NO_FIGURE = dict.fromkeys(("-", "–", "—", "…", "...", "..", "x", "X", "N/A", "n/a", "#N/A", "NULL", "null"), "không có số liệu")
"""What clerks write for a number or a date that is not there. In a text column it may be the text."""


def raw(column: str) -> str:
    """The delivery's tidy text of a contract column."""
    return quote(f"r_{column}")


def tidy(text: str) -> str:
    """SQL that trims and NFC-normalises ``text`` (SQL) and takes the guard against formulas away; empty becomes NULL."""
    # ASCII that begins after the apostrophe in the code table and does not end in a space is tidy: two cheap looks for most values.
    quick = f"strlen({text}) = length({text}) AND {text} >= '(' AND NOT ends_with({text}, ' ')"
    slow = f"nullif(trim(nfc_normalize({text})), '')"
    return f"""CASE WHEN {quick} THEN {text}
                    WHEN starts_with({text}, '''') THEN nullif(trim(nfc_normalize({unguarded(text)})), '')
                    WHEN regexp_full_match({text}, {literal(TIDY)}) THEN {text}
                    ELSE {slow} END"""


def missing_codes(column: Column, declared: dict[str, str]) -> dict[str, str]:
    """Codes that stand for a missing value in this column, and why it is missing. ``declared`` are the contract's own."""
    if column.type == "string":
        return {code: why for code, why in (NOT_ENTERED | declared).items() if code not in column.values}
    figures = {code: why for code, why in NO_FIGURE.items() if column.type != "boolean" or code.lower() != "x"}
    return figures | NOT_ENTERED | declared


def text_value(column: Column, declared: dict[str, str]) -> str:
    """A text column's value: NULL for a code of missing data, leading zeros given back where the type has one length."""
    text = raw(column.name)
    value = f"CASE WHEN {one_of(text, missing_codes(column, declared))} THEN NULL ELSE {text} END"
    if zeros := restored(column):
        value = f"CASE WHEN {zeros} THEN lpad({text}, {fixed_length(column)}, '0') ELSE {value} END"
    return value


def fixed_length(column: Column) -> int | None:
    """Digits of a code whose semantic type has exactly one length; None where it may vary."""
    match = FIXED_LENGTH.fullmatch(column.pattern or "") if column.semantic and column.type == "string" else None
    return int(match[1]) if match else None


def restored(column: Column) -> str | None:
    """SQL: whether this value lost leading zeros that can be given back; None where the type does not allow it."""
    length = fixed_length(column)
    if length is None:
        return None
    text = raw(column.name)
    fewest = 1 if column.values else length - EATEN_ZEROS
    return f"(strlen({text}) < {length} AND regexp_full_match({text}, '[0-9]{{{max(fewest, 1)},}}'))"


def cast(column: Column, form: Form | None = None, declared: dict[str, str] | None = None) -> str:
    """Text as delivered → the column's type, NULL where it cannot be."""
    form = form or Form(decimal=".")
    text = raw(column.name)
    written = [f"try_strptime({text}, {literal(STRPTIME[column.format])})"] if column.format else []
    if column.type == "integer":
        return whole_number(text, form)
    if column.type == "number":
        return number(text, column.sql_type, form)
    if column.type == "boolean":
        return f"CASE WHEN {one_of(f'lower({text})', TRUE)} THEN true WHEN {one_of(f'lower({text})', FALSE)} THEN false END"
    if column.type == "date":
        return date(text, form, written)
    if column.type == "timestamp":
        return timestamp(text, form, written)
    return text_value(column, declared or {})


def _first(quick: str, rest: str, text: str) -> str:
    """SQL: ``quick``, and ``rest`` for the rows where that is NULL. Inside the CASE nothing of ``rest`` is computed ahead for all rows."""
    return f"coalesce({quick}, CASE WHEN {text} IS NOT NULL THEN {rest} END)"


def _plain(text: str, form: Form) -> str:
    """SQL: a number's text with the decimal point and nothing else, NULL where the text is no number or could be two."""
    digits = bare(text)
    point, comma = f"replace({digits}, ',', '')", f"replace(replace({digits}, '.', ''), ',', '.')"
    either = {".": point, ",": comma, None: "NULL"}[form.decimal]
    return f"""CASE WHEN regexp_full_match({digits}, {literal(PLAIN)}) THEN {digits}
                    WHEN regexp_full_match({digits}, {literal(SURE_POINT)}) THEN {point}
                    WHEN regexp_full_match({digits}, {literal(SURE_COMMA)}) THEN {comma}
                    WHEN regexp_full_match({digits}, {literal(EITHER)}) THEN {either} END"""


def number(text: str, sql_type: str, form: Form) -> str:
    """A number of ``sql_type`` (SQL) under ``form``."""
    rest = f"TRY_CAST({_plain(text, form)} AS {sql_type})"
    floating = sql_type.upper() in ("DOUBLE", "REAL", "FLOAT")  # these know NaN and infinity, which are no figures
    if floating:
        rest = f"coalesce({rest}, CASE WHEN regexp_full_match({text}, '[+-]?[0-9]+([.][0-9]*)?[eE][+-]?[0-9]+') THEN TRY_CAST({text} AS {sql_type}) END)"
    if form.decimal == "." and not floating:
        return _first(f"TRY_CAST({text} AS {sql_type})", rest, text)
    quick = "[+-]?[0-9]+([.][0-9]+)?" if form.decimal == "." else PLAIN
    return _first(f"CASE WHEN regexp_full_match({text}, {literal(quick)}) THEN TRY_CAST({text} AS {sql_type}) END", rest, text)


def whole_number(text: str, form: Form) -> str:
    """A BIGINT under ``form``: decimals are accepted where they are zeros."""
    plain = _plain(text, form)
    rest = f"CASE WHEN regexp_full_match({plain}, '[+-]?[0-9]+([.]0+)?') THEN TRY_CAST(regexp_replace({plain}, '[.]0+$', '') AS BIGINT) END"
    # A cast would round 12.6; what has no point it cannot round.
    return _first(f"CASE WHEN NOT contains({text}, '.') THEN TRY_CAST({text} AS BIGINT) END", rest, text)


def date(text: str, form: Form, written: list[str]) -> str:
    """A DATE under ``form``, or as ``written`` (SQL) says: ISO, dd/mm/yyyy with any separator, a spreadsheet's serial day."""
    iso = f"CASE WHEN strlen({text}) = 10 THEN TRY_CAST({text} AS DATE) END"
    long = f"CASE WHEN regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[ T]00:00(:00([.]0+)?)?') THEN TRY_CAST(left({text}, 10) AS DATE) END"
    if form.swapped:
        iso, long = (f"try_strptime(strftime({x}, '%Y-%d-%m'), '%Y-%m-%d')" for x in (iso, long))
    numeric = f"try_strptime(regexp_replace(regexp_replace({text}, ' 0?0:00(:00)?$', ''), '[-.]', '/', 'g'), {literal(_order(form))})"
    rest = f"coalesce({', '.join(f'CAST({x} AS DATE)' for x in (long, *written, numeric, _serial(text)))})"
    return _first(f"CAST({iso} AS DATE)", rest, text)


def timestamp(text: str, form: Form, written: list[str]) -> str:
    """A TIMESTAMP under ``form``, or as ``written`` (SQL) says."""
    iso = f"CASE WHEN {text} >= '0' AND regexp_matches({text}, '^[0-9]{{4}}-') THEN TRY_CAST({text} AS TIMESTAMP) END"
    if form.swapped:
        iso = f"try_strptime(strftime({iso}, '%Y-%d-%m %H:%M:%S'), '%Y-%m-%d %H:%M:%S')"
    order = _order(form)
    patterns = ", ".join(literal(p) for p in (f"{order} %H:%M:%S", f"{order} %H:%M", order))
    numeric = f"try_strptime(regexp_replace({text}, '^([0-9]{{1,2}})[-.]([0-9]{{1,2}})[-.]', '\\1/\\2/'), [{patterns}])"
    return _first(iso, f"coalesce({', '.join((*written, numeric, _serial(text)))})", text)


def _order(form: Form) -> str:
    return "%d/%m/%Y" if form.day_first else "%m/%d/%Y"


def _serial(text: str) -> str:
    """A spreadsheet's day number (1954 to 2064: five digits that are no other date) as a TIMESTAMP, to the second."""
    seconds = f"CAST(round(CAST({text} AS DOUBLE) * 86400) AS BIGINT)"
    return f"CASE WHEN regexp_full_match({text}, '[2-5][0-9]{{4}}([.][0-9]+)?') THEN TIMESTAMP '1899-12-30' + to_seconds({seconds}) END"
