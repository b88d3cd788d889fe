"""Text as delivered → tidy text → the column's type, in SQL."""

from pipelines.contract import Column
from pipelines.contract.options import STRPTIME
from pipelines.sql import literal, quote

TIDY = "[!-~À-ưẠ-ỹ]([ -~À-ưẠ-ỹ]*[!-~À-ưẠ-ỹ])?"
"""Text that neither trimming nor NFC would change: ASCII and composed Vietnamese letters, no space at the ends.

Nearly all text is; one match costs a third of normalising it.
"""


def raw(column: str) -> str:
    return quote(f"r_{column}")


def tidy(text: str) -> str:
    """SQL that trims and NFC-normalises ``text`` (SQL); empty becomes NULL."""
    return f"CASE WHEN regexp_full_match({text}, {literal(TIDY)}) THEN {text} ELSE nullif(trim(nfc_normalize({text})), '') END"


def cast(column: Column) -> str:
    """Text as delivered → the column's type, NULL where it cannot be. ISO forms and the Vietnamese dd/mm/yyyy."""
    text = raw(column.name)
    written = f", try_strptime({text}, {literal(STRPTIME[column.format])})" if column.format else ""
    if column.type == "integer":
        return (
            f"CASE WHEN regexp_full_match({text}, '[+-]?[0-9]+([.]0+)?') THEN TRY_CAST(regexp_replace({text}, '[.]0+$', '') AS BIGINT) END"
        )
    if column.type == "number":
        return f"TRY_CAST({text} AS {column.sql_type})"
    if column.type == "boolean":
        return f"""CASE WHEN lower({text}) IN ('true', 't', '1', 'yes', 'có', 'x', 'đúng') THEN true
                        WHEN lower({text}) IN ('false', 'f', '0', 'no', 'không', 'sai') THEN false END"""
    if column.type == "date":
        return f"""coalesce(
            CASE WHEN regexp_full_match({text}, '[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}([ T]00:00:00([.]0+)?)?') THEN TRY_CAST(left({text}, 10) AS DATE) END,
            CAST(coalesce(try_strptime({text}, '%d/%m/%Y'){written}) AS DATE))"""
    if column.type == "timestamp":
        return (
            f"coalesce(TRY_CAST({text} AS TIMESTAMP), try_strptime({text}, ['%d/%m/%Y %H:%M:%S', '%d/%m/%Y %H:%M', '%d/%m/%Y']){written})"
        )
    return text
