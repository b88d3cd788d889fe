"""The staged rows of a delivery: typed and tested, in a Parquet file; which are sound, which are held or marked, and why."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from pipelines.contract import Contract
from pipelines.gate.across import ROW as POSITION
from pipelines.gate.across import SetTest, Unasked, set_tests
from pipelines.gate.forms import Form, forms
from pipelines.gate.readers import Decision, Source
from pipelines.gate.scan import ROW, SHEET, Bit, Scan
from pipelines.gate.units import factor
from pipelines.sql import literal, quote

PARQUET = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2"
"""As the store writes its own files, so that a staged file can become one of them."""
TYPING = ("type", "ambiguous_number")
"""Rules that a column breaks when its numbers or dates are read in the wrong form."""


@dataclass(frozen=True)
class Counts:
    """Rows in the delivery; how many of them are sound, alone and together; whether any has a mark."""

    read: int
    sound: int
    marked: bool


class Staged:
    """What the scan wrote, and what its rows fail together.

    Row tests left their bits in the masks of ``file``. What rows fail together is asked by `ask` and kept in a file beside it:
    a question to the store would be answered differently after the load.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, scan: Scan, folder: Path, stored: Mapping[str, str]) -> None:
        self.connection, self.scan, self.contract = connection, scan, scan.contract
        self.file, self._together_file = folder / "typed.parquet", folder / "together.parquet"
        self.relation = f"read_parquet({literal(self.file)}, file_row_number = true)"
        self.together: list[SetTest]
        self.unasked: list[Unasked]
        self.together, self.unasked = set_tests(scan.contract, set(scan.columns), stored)
        self._failed: set[int] = set()

    @classmethod
    def of(
        cls,
        connection: duckdb.DuckDBPyConnection,
        contract: Contract,
        source: Source,
        columns: dict[str, str],
        folder: Path,
        known: Mapping[str, Form],
        stored: Mapping[str, str],
    ) -> "Staged":
        """Stage a delivery: decide from its first rows how columns write numbers and dates; where those leave a doubt that
        matters, look at all rows, and stage again if they say otherwise.

        ``columns``: contract column → delivery column. ``known``: forms that need not be found out.
        """
        found = forms(connection, contract, source.relation, columns, plain=source.plain) | dict(known)
        staged = cls(connection, Scan(contract, source, columns, found), folder, stored)
        staged._write()
        if doubtful := staged._doubtful():
            whole = forms(connection, contract, source.relation, columns, only=doubtful, limit=None)
            changed = any(replace(whole[c], evidence="") != replace(found[c], evidence="") for c in doubtful)
            staged = cls(connection, replace(staged.scan, forms=found | whole), folder, stored)
            if changed:
                staged._write()
        return staged

    def _write(self) -> None:
        self.connection.execute(f"COPY ({self.scan.sql}) TO {literal(self.file)} ({PARQUET})")

    def _doubtful(self) -> list[str]:
        """Columns whose form the first rows did not prove, and where another form would read rows that this one cannot."""
        unproven = {c: form for c, form in self.scan.forms.items() if not form.proven}
        failed = [b for b in self.scan.faults if b.test.column in unproven and b.test.rule in TYPING]
        if not failed:
            return []
        counts = self._row(", ".join(f"count(*) FILTER ({b.mask} & {b.value} <> 0)" for b in failed))
        broken = {b.test.column for b, count in zip(failed, counts, strict=True) if count}
        return sorted(broken | {c for c, form in unproven.items() if form.evidence and self.contract.by_name[c].type != "integer"})

    def _row(self, select: str, relation: str | None = None) -> tuple[int, ...]:
        row = self.connection.execute(f"SELECT {select} FROM {relation or self.relation}").fetchone()
        assert row is not None
        return row

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """What was decided about the columns, for the ledger."""
        unit = self.scan.source.unit
        decided = [form.decision(self.contract.by_name[name]) for name, form in self.scan.forms.items()]
        scaled = [
            Decision(f"{c.name}: unit", f"{unit} × {times}", f"the contract counts in {c.unit}")
            for c in self.contract.columns
            if c.name in self.scan.columns and (times := factor(unit, c)) != 1
        ]
        unasked = [
            Decision(f"tham chiếu {u.column}", "chưa xét", f"{u.dataset}: chưa có bản phát hành nào / not judged, no release yet")
            for u in self.unasked
        ]
        return (*(d for d in decided if d), *scaled, *unasked)

    # ---- what is sound

    @property
    def number(self) -> str:
        """SQL: a row's number as the sender sees it; a running number where several sheets are read as one."""
        if self.scan.source.sheet:
            return f"{POSITION} + 1"
        return ROW if self.scan.source.row else f"{POSITION} + {self.scan.source.first_row}"

    @property
    def _sound_alone(self) -> str:
        return _none(self.scan.faults)

    @property
    def sound(self) -> str:
        """SQL condition on a staged row: it is taken in."""
        errors = [i for i in sorted(self._failed) if self.together[i].level == "error"]
        return f"{self._sound_alone} AND {POSITION} NOT IN ({self._rows_of(errors)})" if errors else self._sound_alone

    def ask(self) -> Counts:
        """Find what rows fail together, in order: what an earlier test holds back, later ones do not see."""
        suspects = "".join(f", {test.suspect or 'true'}" for test in self.together)
        sound = f"SELECT * FROM {self.relation} WHERE {self._sound_alone}"
        read, marked = self._row(f"count(*), count(*) FILTER (NOT ({_none(self.scan.marks)}))")
        good, *suspected = self._row(f"count(*){suspects}", f"({sound})")
        if good and any(suspected):
            self.connection.execute("CREATE OR REPLACE TEMP TABLE together (test INTEGER, row BIGINT)")
            errors: list[int] = []
            for i, test in enumerate(self.together):
                if not suspected[i]:
                    continue
                left = f"{sound} AND {POSITION} NOT IN ({self._rows_of(errors, 'together')})" if errors else sound
                failed = self.connection.execute(
                    f"INSERT INTO together SELECT {i}, row FROM (WITH staged AS ({left}) {test.rows})"
                ).fetchone()
                if failed and failed[0]:
                    self._failed.add(i)
                    if test.level == "error":
                        errors.append(i)
                        good -= int(failed[0])
            self.connection.execute(f"COPY together TO {literal(self._together_file)} (FORMAT parquet)")
            self.connection.execute("DROP TABLE together")
        marked_together = any(self.together[i].level != "error" for i in self._failed)
        return Counts(int(read), int(good), bool(marked) or marked_together)

    def _rows_of(self, tests: Iterable[int], relation: str | None = None) -> str:
        relation = relation or f"read_parquet({literal(self._together_file)})"
        return f"SELECT row FROM {relation} WHERE test IN ({', '.join(map(str, tests))})"

    # ---- what comes of it

    @property
    def accepted(self) -> str:
        """The rows that are taken in, as the contract's columns."""
        return f"SELECT {self._names} FROM {self.relation} WHERE {self.sound}"

    @property
    def numbered(self) -> str:
        """`accepted`, each row with its number (`row_number`) before."""
        return f"SELECT {self.number} AS row_number, {self._names} FROM {self.relation} WHERE {self.sound}"

    @property
    def _names(self) -> str:
        return ", ".join(quote(c.name) for c in self.contract.columns)

    @property
    def held(self) -> str:
        """(row_number, cells): each row held back once, with its cells as JSON by contract column, as delivered where that is known."""
        cells = ", ".join(f"{quote(c)}: CAST({quote(c)} AS VARCHAR)" for c in self.scan.columns)
        return f"""
            SELECT {self.number} AS row_number, coalesce(_raw, CAST({{{cells}}} AS JSON)) AS cells
            FROM {self.relation} WHERE NOT ({self.sound})
        """

    @property
    def faults(self) -> str:
        """(row_number, column_name, value, rule, reason_vi, reason_en, error_group) per broken rule of the rows that are held."""
        return " UNION ALL ".join([*self._alone(self.scan.faults, "true"), *self._together(error=True, of_rows="true")])

    @property
    def marks(self) -> str:
        """The same of the warnings and notes on the rows that are taken in."""
        return " UNION ALL ".join([*self._alone(self.scan.marks, self.sound), *self._together(error=False, of_rows=self.sound)])

    @property
    def _place(self) -> str:
        """SQL before a reason: the sheet and the row in it, where the number alone does not say."""
        return f"'[' || {SHEET} || ', ' || {ROW} || '] '" if self.scan.source.sheet else "''"

    def _alone(self, bits: list[Bit], of_rows: str) -> Iterator[str]:
        """One row per value and test it fails; of what is wrong with one value only the first kind is said."""
        if not bits:
            return
        values = ", ".join(
            f"({i}, {literal(b.mask)}, {b.value}, {b.test.rank}, {_said(b.test.column, b.test.rule, b.test.vi, b.test.en, b.test.group)})"
            for i, b in enumerate(bits)
        )
        mask = "CASE mask " + " ".join(f"WHEN {literal(m)} THEN {m}" for m in dict.fromkeys(b.mask for b in bits)) + " END"
        hints = " ".join(f"WHEN {i} THEN CAST({b.test.suggest} AS VARCHAR)" for i, b in enumerate(bits) if b.test.suggest)
        hint = f"CASE test {hints} END" if hints else "CAST(NULL AS VARCHAR)"
        yield f"""
            SELECT row_number, column_name, value, rule,
                   place || reason_vi || coalesce('; có phải ' || hint || '?', '') AS reason_vi,
                   place || reason_en || coalesce('; is it ' || hint || '?', '') AS reason_en, error_group
            FROM (
                SELECT {self.number} AS row_number, column_name,
                       CASE WHEN column_name = '' THEN CAST(_raw AS VARCHAR) ELSE json_extract_string(_raw, '$."' || column_name || '"') END AS value,
                       rule, reason_vi, reason_en, error_group, {hint} AS hint, {self._place} AS place
                FROM {self.relation}, (VALUES {values}) AS rules(test, mask, bit, rank, column_name, rule, reason_vi, reason_en, error_group)
                WHERE _raw IS NOT NULL AND {mask} & bit <> 0 AND {of_rows}
                QUALIFY column_name = '' OR rank = min(rank) OVER (PARTITION BY {POSITION}, column_name)
            )
        """

    def _together(self, *, error: bool, of_rows: str) -> Iterator[str]:
        rules = [(i, self.together[i]) for i in sorted(self._failed) if (self.together[i].level == "error") == error]
        if not rules:
            return
        values = ", ".join(f"({i}, {_said(t.column, t.rule, t.vi, t.en, t.group)})" for i, t in rules)
        shown = " ".join(
            f"WHEN {i} THEN " + " || ' · ' || ".join(f"coalesce(CAST({quote(c)} AS VARCHAR), '')" for c in t.column.split(", "))
            for i, t in rules
        )
        yield f"""
            SELECT {self.number} AS row_number, column_name, CASE test {shown} END AS value,
                   rule, {self._place} || reason_vi AS reason_vi, {self._place} || reason_en AS reason_en, error_group
            FROM {self.relation}
            JOIN (SELECT test, row FROM read_parquet({literal(self._together_file)})) AS failed ON failed.row = {POSITION}
            JOIN (VALUES {values}) AS rules(test, column_name, rule, reason_vi, reason_en, error_group) USING (test)
            WHERE {of_rows}
        """


def _none(bits: list[Bit]) -> str:
    """SQL: no test of these found anything."""
    return " AND ".join(f"{mask} = 0" for mask in dict.fromkeys(b.mask for b in bits)) or "true"


def _said(*texts: str) -> str:
    return ", ".join(map(literal, texts))
