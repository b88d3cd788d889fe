"""What foreign keys point to: the distinct values of a column of a dataset already made, numbered."""

from dataclasses import dataclass

import duckdb

from pipelines.contract import Column
from pipelines.sql import literal, quote


@dataclass(frozen=True)
class Parent:
    """Table ``name`` with `_number` (from 0), `_value`, and the columns of the first row that holds the value."""

    name: str
    size: int

    def join(self, column: Column) -> str:
        return f"LEFT JOIN {self.name} AS {alias(column)} ON {alias(column)}._number = {quote(f'_k_{column.name}')}"


def alias(column: Column) -> str:
    """What a parent is called in the query of the dataset whose column refers to it."""
    return quote(f"_parent_{column.name}")


class Parents:
    """The parents that one run has needed so far."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self.made: set[str] = set()
        """Datasets whose tables exist."""
        self._found: dict[tuple[str, str, tuple[str, ...]], Parent] = {}

    def of(self, column: Column) -> Parent | None:
        """The parent of a column that refers to another dataset; None when that has no rows to choose from.

        A closed list on the column itself narrows the choice.
        """
        assert column.references
        dataset, target = column.references
        if dataset not in self.made:
            return None
        key = (dataset, target, column.values)
        if key not in self._found:
            name = quote(f"_parents_{len(self._found)}")
            allowed = f"AND CAST({quote(target)} AS VARCHAR) IN ({', '.join(map(literal, column.values))})" if column.values else ""
            self.connection.execute(
                f"""
                CREATE TABLE {name} AS
                SELECT row_number() OVER (ORDER BY _row) - 1 AS _number, {quote(target)} AS _value, *
                FROM (SELECT * RENAME (row_index AS _row)
                      FROM {quote(dataset)}
                      WHERE {quote(target)} IS NOT NULL {allowed}
                      QUALIFY row_number() OVER (PARTITION BY {quote(target)} ORDER BY row_index) = 1)
                """
            )
            row = self.connection.execute(f"SELECT count(*) FROM {name}").fetchone()
            self._found[key] = Parent(name, int(row[0]) if row else 0)
        parent = self._found[key]
        return parent if parent.size else None
