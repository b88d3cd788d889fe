"""The staged rows of a delivery: which are sound, which are held or marked, and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.contract import Contract, Level
from pipelines.gate.across import ROW, SetTest
from pipelines.gate.rules import Test
from pipelines.gate.scan import MASK_BITS
from pipelines.sql import literal, quote

NO_ROWS = "(SELECT CAST(NULL AS INTEGER) AS test, CAST(NULL AS BIGINT) AS row WHERE false)"


@dataclass(frozen=True)
class Counts:
    """Rows in the delivery, and how many of them are sound, alone and together."""

    read: int
    sound: int


class Staged:
    """The Parquet file that the scan wrote, with what its rows were tested for.

    Row tests left their bits in its masks. What rows fail together is asked by `ask` and kept in a small file beside it
    (``together_file``): a question to the store would be answered differently after the load.
    """

    def __init__(self, contract: Contract, file: Path, tests: list[Test], together: list[SetTest], first_row: int) -> None:
        self.contract, self.tests, self.together, self.first_row = contract, tests, together, first_row
        self.relation = f"read_parquet({literal(file)}, file_row_number = true)"
        self.together_file = together_file(file)
        self._failed = NO_ROWS

    # ---- what is sound

    @property
    def _sound_alone(self) -> str:
        bits: dict[int, int] = {}
        for i, test in enumerate(self.tests):
            if test.level == "error":
                bits[i // MASK_BITS] = bits.get(i // MASK_BITS, 0) | 1 << (i % MASK_BITS)
        return " AND ".join(f"_mask{mask} & {of_mask} = 0" for mask, of_mask in bits.items()) or "true"

    @property
    def sound(self) -> str:
        """SQL condition on a staged row: it is taken in."""
        errors = [i for i, test in enumerate(self.together) if test.level == "error"]
        if self._failed == NO_ROWS or not errors:
            return self._sound_alone
        return f"{self._sound_alone} AND {ROW} NOT IN ({self._rows_of(errors, self._failed)})"

    def ask(self, connection: duckdb.DuckDBPyConnection) -> Counts:
        """Find what rows fail together, in order: what an earlier test holds back, later ones do not see."""
        suspects = "".join(f", {test.suspect or 'true'}" for test in self.together)
        sound = f"SELECT * FROM {self.relation} WHERE {self._sound_alone}"
        row = connection.execute(f"SELECT (SELECT count(*) FROM {self.relation}), count(*){suspects} FROM ({sound})").fetchone()
        assert row is not None
        read, good, *suspected = row
        if not good or not any(suspected):
            return Counts(int(read), int(good))
        connection.execute("CREATE OR REPLACE TEMP TABLE together (test INTEGER, row BIGINT)")
        errors: list[int] = []
        for i, test in enumerate(self.together):
            if not suspected[i]:
                continue
            left = f"{sound} AND {ROW} NOT IN ({self._rows_of(errors, 'together')})" if errors else sound
            failed = connection.execute(f"INSERT INTO together SELECT {i}, row FROM (WITH staged AS ({left}) {test.rows})").fetchone()
            if failed and failed[0] and test.level == "error":
                errors.append(i)
                good -= int(failed[0])
        connection.execute(f"COPY together TO {literal(self.together_file)} (FORMAT parquet)")
        connection.execute("DROP TABLE together")
        self._failed = f"(SELECT test, row FROM read_parquet({literal(self.together_file)}))"
        return Counts(int(read), int(good))

    @staticmethod
    def _rows_of(tests: list[int], relation: str) -> str:
        return f"SELECT row FROM {relation} WHERE test IN ({', '.join(map(str, tests))})" if tests else "SELECT NULL WHERE false"

    # ---- what comes of it

    @property
    def accepted(self) -> str:
        """The rows that are taken in, as the contract's columns."""
        names = ", ".join(quote(c.name) for c in self.contract.columns)
        return f"SELECT {names} FROM {self.relation} WHERE {self.sound}"

    @property
    def held(self) -> str:
        """(row_number, cells): each row held back once, with its cells as JSON by contract column, as delivered where that is known."""
        cells = ", ".join(f"{quote(c.name)}: CAST({quote(c.name)} AS VARCHAR)" for c in self.contract.columns)
        return f"""
            SELECT {ROW} + {self.first_row} AS row_number, coalesce(_raw, CAST({{{cells}}} AS JSON)) AS cells
            FROM {self.relation} WHERE NOT ({self.sound})
        """

    def faults(self, level: Level) -> str | None:
        """(row_number, column_name, value, rule, reason_vi, reason_en, error_group) per broken rule of this level; None when there is none.

        At level *warning* of the rows that are taken in all the same.
        """
        of_rows = " AND ".join(("true", f"({self.sound})") if level == "warning" else ("true",))
        parts = [*self._alone(level, of_rows), *self._together(level, of_rows)]
        return " UNION ALL ".join(parts) if parts else None

    def _alone(self, level: Level, of_rows: str) -> Iterator[str]:
        """One row per value and test it fails; of what is wrong with one value only the first kind is said."""
        rules = [(i, t) for i, t in enumerate(self.tests) if t.level == level]
        if not rules:
            return
        values = ", ".join(
            f"({i}, {i // MASK_BITS}, {1 << (i % MASK_BITS)}, {t.rank}, {_said(t.column, t.rule, t.vi, t.en, t.group)})" for i, t in rules
        )
        mask = "CASE mask " + " ".join(f"WHEN {m} THEN _mask{m}" for m in sorted({i // MASK_BITS for i, _ in rules})) + " END"
        hints = " ".join(f"WHEN {i} THEN CAST({t.suggest} AS VARCHAR)" for i, t in rules if t.suggest)
        hint = f"CASE test {hints} END" if hints else "CAST(NULL AS VARCHAR)"
        yield f"""
            SELECT row_number, column_name, value, rule,
                   reason_vi || coalesce('; có phải ' || hint || '?', '') AS reason_vi,
                   reason_en || coalesce('; is it ' || hint || '?', '') AS reason_en, error_group
            FROM (
                SELECT {ROW} + {self.first_row} AS row_number, column_name,
                       CASE WHEN column_name = '' THEN CAST(_raw AS VARCHAR) ELSE json_extract_string(_raw, '$."' || column_name || '"') END AS value,
                       rule, reason_vi, reason_en, error_group, {hint} AS hint
                FROM {self.relation}, (VALUES {values}) AS rules(test, mask, bit, rank, column_name, rule, reason_vi, reason_en, error_group)
                WHERE _raw IS NOT NULL AND {mask} & bit <> 0 AND {of_rows}
                QUALIFY column_name = '' OR rank = min(rank) OVER (PARTITION BY {ROW}, column_name)
            )
        """

    def _together(self, level: Level, of_rows: str) -> Iterator[str]:
        rules = [(i, t) for i, t in enumerate(self.together) if t.level == level]
        if not rules or self._failed == NO_ROWS:
            return
        values = ", ".join(f"({i}, {_said(t.column, t.rule, t.vi, t.en, t.group)})" for i, t in rules)
        shown = " ".join(
            f"WHEN {i} THEN " + " || ' · ' || ".join(f"coalesce(CAST({quote(c)} AS VARCHAR), '')" for c in t.column.split(", "))
            for i, t in rules
        )
        yield f"""
            SELECT {ROW} + {self.first_row} AS row_number, column_name, CASE test {shown} END AS value,
                   rule, reason_vi, reason_en, error_group
            FROM {self.relation}
            JOIN {self._failed} AS failed ON failed.row = {ROW}
            JOIN (VALUES {values}) AS rules(test, column_name, rule, reason_vi, reason_en, error_group) USING (test)
            WHERE {of_rows}
        """


def together_file(staging: Path) -> Path:
    """Where the rows that fail together are kept for as long as ``staging`` is."""
    return staging.with_suffix(".together.parquet")


def _said(*texts: str) -> str:
    return ", ".join(map(literal, texts))
