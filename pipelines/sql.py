"""The one place where names become SQL: values are bound, identifiers and literals quoted here."""

from collections.abc import Iterable

SHORT_LIST = 16


def quote(identifier: str) -> str:
    """An identifier as DuckDB wants it quoted."""
    return '"' + identifier.replace('"', '""') + '"'


def quote_name(schema: str, table: str) -> str:
    """``schema.table``, both quoted."""
    return f"{quote(schema)}.{quote(table)}"


def literal(text: object) -> str:
    """A text literal, for the few statements that take no bound values (ATTACH, COPY … TO, COMMENT)."""
    return "'" + str(text).replace("'", "''") + "'"


def one_of(text: str, values: Iterable[object]) -> str:
    """Whether ``text`` (SQL) is one of ``values``, in a projection over very many rows; NULL or false where it is NULL.

    DuckDB makes a join of `IN` with five values or more, even inside a CASE that no row enters; a list is searched where it stands,
    and the words of an ENUM are found by hash: a tenth of the join's cost for 188 codes.
    """
    words = ", ".join(dict.fromkeys(literal(value) for value in values))
    if words.count(", ") < SHORT_LIST:
        return f"list_contains([{words}], {text})"
    return f"(TRY_CAST({text} AS ENUM ({words})) IS NOT NULL)"
