"""The one place where names become SQL: values are bound, identifiers and literals quoted here."""


def quote(identifier: str) -> str:
    """An identifier as DuckDB wants it quoted."""
    return '"' + identifier.replace('"', '""') + '"'


def quote_name(schema: str, table: str) -> str:
    """``schema.table``, both quoted."""
    return f"{quote(schema)}.{quote(table)}"


def literal(text: object) -> str:
    """A text literal, for the few statements that take no bound values (ATTACH, COPY … TO, COMMENT)."""
    return "'" + str(text).replace("'", "''") + "'"
