"""Judge one delivery: read, map, type, test, find repeated keys; say what is accepted, held back, or refused whole."""

from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from pipelines.contract import Contract
from pipelines.gate.forms import forms
from pipelines.gate.headers import match
from pipelines.gate.readers import Decision, Source, Unreadable, read
from pipelines.gate.readers.source import rows_left_out
from pipelines.gate.scan import ROW, Bit, Scan
from pipelines.gate.totals import Disagreement, disagreements
from pipelines.gate.units import factor
from pipelines.outcome import Reason
from pipelines.sql import literal, quote

SHOWN_UNKNOWN = 10
PARQUET = "FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2"
"""As the store writes its own files, so that a staged file can become one of them."""


@dataclass(frozen=True)
class Judgement:
    """``accepted`` is SQL over the staged file, None when the delivery is refused whole.

    ``quarantine`` is SQL yielding (row_number, column_name, value, rule, reason_vi, reason_en, error_group), one row per broken
    rule; ``held`` yields (row_number, cells), each quarantined row once with its cells as delivered (JSON by contract column).
    ``marks`` is like ``quarantine``, for rows that are accepted all the same: warnings, missing codes, restored zeros.
    ``left_out`` yields (row_number, kind, text) of the file's rows that are not data.
    """

    rows_read: int
    rows_accepted: int
    rows_quarantined: int
    reasons: tuple[Reason, ...]
    accepted: str | None
    quarantine: str | None = None
    held: str | None = None
    marks: str | None = None
    left_out: str | None = None
    rows_left_out: int = 0
    decisions: tuple[Decision, ...] = ()
    whole: Path | None = None
    """The staged Parquet file, when every row of it is accepted: it can be registered as it stands, without a copy."""

    @property
    def refused(self) -> bool:
        return self.accepted is None


def refusal(rule: str, vi: str, en: str, column: str = "", rows: int = 0) -> Judgement:
    """A delivery refused before its rows were looked at."""
    return Judgement(rows, 0, 0, (Reason(rule, column, 1, vi, en),), None)


def judge(connection: duckdb.DuckDBPyConnection, contract: Contract, file: Path, staging: Path) -> Judgement:
    """Judge the delivery ``file``. ``staging`` is a folder to write to, to be kept until the judgement is used."""
    try:
        source = read(connection, file, contract)
    except Unreadable as error:
        return refusal("unreadable", error.vi, error.en)
    mapping = match(contract, source.header)
    if mapping.missing or mapping.unknown:
        faults = [
            Reason("missing_column", name, 1, f"Thiếu cột bắt buộc {name} ({contract.by_name[name].title})",
                   f"The required column {name} ({contract.by_name[name].title_en}) is missing")
            for name in mapping.missing
        ]  # fmt: skip
        for name, near in mapping.unknown[:SHOWN_UNKNOWN]:
            hint = (f"; có phải {near}?", f"; is it {near}?") if near else ("", "")
            faults.append(
                Reason("unknown_column", name, 1, f"Cột «{name}» không có trong hợp đồng dữ liệu{hint[0]}",
                       f"Column “{name}” is not in the contract{hint[1]}")
            )  # fmt: skip
        return _with_reading(connection, source, Judgement(0, 0, 0, tuple(faults), None))
    try:
        staged = Staged.of(connection, contract, source, mapping.columns, staging)
        return _with_reading(connection, source, staged.judgement(), staged.decisions)
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        damage = Unreadable.because_of(error, file)
        return refusal("unreadable", damage.vi, damage.en)
    finally:
        connection.unregister("delivery")


def _with_reading(
    connection: duckdb.DuckDBPyConnection, source: Source, judgement: Judgement, decisions: tuple[Decision, ...] = ()
) -> Judgement:
    """The judgement with what the reader decided and left out. Left-out rows are few: they are kept as values."""
    rows = connection.execute(source.left_out).fetchall() if source.left_out else []
    return replace(judgement, left_out=rows_left_out(rows), rows_left_out=len(rows), decisions=source.decisions + decisions)


@dataclass(frozen=True)
class Staged:
    """A delivery's rows typed and tested, in a Parquet file."""

    connection: duckdb.DuckDBPyConnection
    scan: Scan
    file: Path

    @classmethod
    def of(
        cls, connection: duckdb.DuckDBPyConnection, contract: Contract, source: Source, columns: dict[str, str], staging: Path
    ) -> "Staged":
        """Stage a delivery: decide from its first rows how columns write numbers and dates; where those leave a doubt that
        matters, look at all rows, and stage again if they say otherwise."""
        staging.mkdir(parents=True, exist_ok=True)
        found = forms(connection, contract, source.relation, columns, plain=source.plain)
        staged = cls(connection, Scan(contract, source, columns, found), staging / "typed.parquet")
        staged._write()
        if doubtful := staged._doubtful():
            whole = forms(connection, contract, source.relation, columns, only=doubtful, limit=None)
            changed = any(replace(whole[c], evidence="") != replace(found[c], evidence="") for c in doubtful)
            staged = replace(staged, scan=replace(staged.scan, forms=found | whole))
            if changed:
                staged._write()
        return staged

    def _write(self) -> None:
        self.connection.execute(f"COPY ({self.scan.sql}) TO {literal(self.file)} ({PARQUET})")

    def _doubtful(self) -> list[str]:
        """Columns whose form the first rows did not prove, and where another form would read rows that this one cannot."""
        unproven = {c: form for c, form in self.scan.forms.items() if not form.proven}
        failed = [b for b in self.scan.faults if b.test.column in unproven and b.test.rule in ("type", "ambiguous_number")]
        if not failed:
            return []
        counts = self._ask(", ".join(f"count(*) FILTER ({b.mask} & {b.value} <> 0)" for b in failed))
        broken = {b.test.column for b, count in zip(failed, counts, strict=True) if count}
        return sorted(broken | {c for c, form in unproven.items() if form.evidence and self.scan.contract.by_name[c].type != "integer"})

    @property
    def decisions(self) -> tuple[Decision, ...]:
        contract, unit = self.scan.contract, self.scan.source.unit
        decided = [form.decision(contract.by_name[name]) for name, form in self.scan.forms.items()]
        scaled = [
            Decision(f"{c.name}: unit", f"{unit} × {times}", f"the contract counts in {c.unit}")
            for c in contract.columns
            if c.name in self.scan.columns and (times := factor(unit, c)) != 1
        ]
        return tuple(d for d in decided if d) + tuple(scaled)

    def judgement(self) -> Judgement:
        """Accepted, held back or refused."""
        contract = self.scan.contract
        rows, good, distinct, marked = (int(n) for n in self._ask(self._totals()))
        if rows == 0:
            return refusal("empty", "Tệp không có hàng dữ liệu nào", "The file has a header but no rows")
        repeated = self._repeated() if distinct < good else 0
        good -= repeated
        names = ", ".join(quote(c.name) for c in contract.columns)
        held = rows - good
        accepted = f"SELECT {names} FROM {self._rows} WHERE {self._sound}" + (f" AND {self._is_repeated('NOT IN')}" if repeated else "")
        quarantine = self._quarantine(repeated > 0) if held else None
        held_rows = self._held(repeated > 0) if held else None
        reasons = self._counted(quarantine) if quarantine else ()
        wrong_totals = disagreements(self.connection, self.scan, self._rows, self._number) if self.scan.source.totals else []
        marks = self._found(self.scan.marks) if marked else None
        if wrong_totals:
            marks = " UNION ALL ".join(filter(None, [marks, Disagreement.sql(wrong_totals)]))
            reasons += tuple(d.reason for d in wrong_totals)
        judged = Judgement(rows, good, held, reasons, accepted, quarantine, held_rows, marks, whole=self.file if good == rows else None)
        if held > contract.threshold * rows or good == 0:
            share = 100 * held / rows
            refused = Reason(
                "threshold", "", held,
                f"{held} trên {rows} hàng sai ({share:.1f} %), quá ngưỡng {100 * contract.threshold:g} %: trả lại cả đợt giao",
                f"{held} of {rows} rows are wrong ({share:.1f} %), above the threshold of {100 * contract.threshold:g} %: the whole delivery is refused",
            )  # fmt: skip
            return replace(judged, rows_accepted=0, accepted=None, whole=None, marks=None, reasons=(refused, *reasons))
        return judged

    # ---- questions to the staged rows

    @property
    def _rows(self) -> str:
        return f"read_parquet({literal(self.file)}, file_row_number = true)"

    @property
    def _sound(self) -> str:
        return _none(self.scan.faults)

    @property
    def _number(self) -> str:
        """A row's number as the sender sees it."""
        return ROW if self.scan.source.row else f"file_row_number + {self.scan.source.first_row}"

    def _ask(self, select: str) -> tuple[int, ...]:
        row = self.connection.execute(f"SELECT {select} FROM {self._rows}").fetchone()
        assert row is not None
        return row

    def _totals(self) -> str:
        # Hashes first: 64 bits that are all different prove that no key repeats, at a third of the cost of comparing keys.
        key = ", ".join(quote(k) for k in self.scan.contract.key)
        marked = f"count(*) FILTER (NOT ({_none(self.scan.marks)}))"
        return f"count(*), count(*) FILTER ({self._sound}), count(DISTINCT hash({key})) FILTER ({self._sound}), {marked}"

    @property
    def _repeated_file(self) -> Path:
        return self.file.with_name("repeated.parquet")

    def _is_repeated(self, word: str = "IN") -> str:
        return f"file_row_number {word} (SELECT row FROM read_parquet({literal(self._repeated_file)}))"

    def _repeated(self) -> int:
        """Find the sound rows whose key a row above has; how many there are."""
        key = ", ".join(quote(k) for k in self.scan.contract.key)
        row = self.connection.execute(
            f"""
            COPY (
                SELECT file_row_number AS row
                FROM {self._rows}
                WHERE {self._sound}
                  AND ({key}) IN (SELECT ({key}) FROM {self._rows} WHERE {self._sound} GROUP BY ALL HAVING count(*) > 1)
                QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY file_row_number) > 1
            ) TO {literal(self._repeated_file)} (FORMAT parquet)
            """
        ).fetchone()
        assert row is not None
        return int(row[0])

    def _found(self, bits: list[Bit]) -> str:
        """One row per row and test that found something: the layout of the quarantine and of the marks."""
        values = ", ".join(
            f"({literal(b.mask)}, {b.value}, {literal(b.test.column)}, {literal(b.test.rule)}, {literal(b.test.vi)}, {literal(b.test.en)}, "
            f"{literal(b.test.group)})"
            for b in bits
        )
        mask_of = "CASE mask " + " ".join(f"WHEN {literal(m)} THEN {m}" for m in dict.fromkeys(b.mask for b in bits)) + " END"
        return f"""
            SELECT {self._number} AS row_number,
                   column_name,
                   CASE WHEN column_name = '' THEN CAST(_raw AS VARCHAR) ELSE json_extract_string(_raw, '$."' || column_name || '"') END AS value,
                   rule, vi AS reason_vi, en AS reason_en, error_group
            FROM {self._rows}, (VALUES {values}) AS rules(mask, bit, column_name, rule, vi, en, error_group)
            WHERE _raw IS NOT NULL AND {mask_of} & bit <> 0
        """

    def _quarantine(self, repeated: bool) -> str:
        parts = [self._found(self.scan.faults)] if self.scan.faults else []
        if repeated:
            key = self.scan.contract.key
            shown = " || ' · ' || ".join(f"coalesce(CAST({quote(k)} AS VARCHAR), '')" for k in key)
            parts.append(
                f"""
                SELECT {self._number}, {literal(", ".join(key))}, {shown}, 'duplicate_key',
                       'Khóa trùng với một hàng ở trên', 'The key repeats that of a row above', 'duplicate'
                FROM {self._rows} WHERE {self._is_repeated()}
                """
            )
        return " UNION ALL ".join(parts)

    def _held(self, repeated: bool) -> str:
        cells = ", ".join(f"{quote(c)}: CAST({quote(c)} AS VARCHAR)" for c in self.scan.columns)
        of_repeated = f"OR {self._is_repeated()}" if repeated else ""
        return f"""
            SELECT {self._number} AS row_number, coalesce(_raw, CAST({{{cells}}} AS JSON)) AS cells
            FROM {self._rows} WHERE NOT ({self._sound}) {of_repeated}
        """

    def _counted(self, quarantine: str) -> tuple[Reason, ...]:
        counts = self.connection.execute(
            f"""
            SELECT rule, column_name, count(*) AS n, any_value(reason_vi), any_value(reason_en)
            FROM ({quarantine}) GROUP BY rule, column_name ORDER BY n DESC, rule, column_name
            """
        ).fetchall()
        return tuple(Reason(*row) for row in counts)


def _none(bits: list[Bit]) -> str:
    """SQL: no test of these found anything."""
    return " AND ".join(f"{mask} = 0" for mask in dict.fromkeys(b.mask for b in bits)) or "true"
