"""Judge one delivery: read, map, type, test, find repeated keys; say what is accepted, held back, or refused whole."""

from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from pipelines.contract import Contract
from pipelines.gate.headers import match
from pipelines.gate.readers import Decision, Source, Unreadable, read
from pipelines.gate.readers.source import rows_left_out
from pipelines.gate.rules import Test, tests
from pipelines.gate.scan import MASK_BITS, scan
from pipelines.outcome import Reason
from pipelines.sql import literal, quote

SHOWN_UNKNOWN = 10


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

    @property
    def refused(self) -> bool:
        return self.accepted is None


def refusal(rule: str, vi: str, en: str, column: str = "", rows: int = 0) -> Judgement:
    """A delivery refused before its rows were looked at."""
    return Judgement(rows, 0, 0, (Reason(rule, column, 1, vi, en),), None)


def withheld(reasons: tuple[Reason, ...]) -> Judgement:
    """A delivery refused before it came: what its source offers cannot be taken."""
    return Judgement(0, 0, 0, reasons, None)


def judge(connection: duckdb.DuckDBPyConnection, contract: Contract, file: Path, staging: Path) -> Judgement:
    """Judge the delivery ``file``. ``staging`` is a Parquet file to write, to be kept until the judgement is used."""
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
        return _with_reading(connection, source, _rows(connection, contract, source, mapping.columns, staging))
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        damage = Unreadable.because_of(error, file)
        return refusal("unreadable", damage.vi, damage.en)
    finally:
        connection.unregister("delivery")


def _with_reading(connection: duckdb.DuckDBPyConnection, source: Source, judgement: Judgement) -> Judgement:
    """The judgement with what the reader decided and left out. Left-out rows are few: they are kept as values."""
    rows = connection.execute(source.left_out).fetchall() if source.left_out else []
    return replace(judgement, left_out=rows_left_out(rows), rows_left_out=len(rows), decisions=source.decisions)


def _rows(connection: duckdb.DuckDBPyConnection, contract: Contract, source: Source, columns: dict[str, str], staging: Path) -> Judgement:
    found = tests(contract, set(columns))
    connection.execute(f"COPY ({scan(contract, source.relation, columns, found)}) TO {literal(staging)} (FORMAT parquet, COMPRESSION zstd)")
    staged = f"read_parquet({literal(staging)}, file_row_number = true)"
    mask_names = [f"_mask{i}" for i in range((max(len(found), 1) - 1) // MASK_BITS + 1)]
    sound = " AND ".join(f"{m} = 0" for m in mask_names)
    rows, good, distinct = _count(connection, contract, staged, sound)
    if rows == 0:
        return refusal("empty", "Tệp không có hàng dữ liệu nào", "The file has a header but no rows")
    repeated = "SELECT NULL AS row WHERE false"
    if distinct < good:
        key = ", ".join(quote(k) for k in contract.key)
        repeated = f"""
            SELECT file_row_number AS row FROM {staged} WHERE {sound}
            QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY file_row_number) > 1
        """
        good = distinct
    reasons, quarantine, held_rows = ((), None, None) if good == rows else _faults(connection, contract, source, staged, found, repeated)
    names = ", ".join(quote(c.name) for c in contract.columns)
    accepted = f"SELECT {names} FROM {staged} WHERE {sound} AND file_row_number NOT IN ({repeated})"
    held = rows - good
    if held > contract.threshold * rows or good == 0:
        share = 100 * held / rows
        reasons = (
            Reason("threshold", "", held, f"{held} trên {rows} hàng sai ({share:.1f} %), quá ngưỡng {100 * contract.threshold:g} %: trả lại cả đợt giao",
                   f"{held} of {rows} rows are wrong ({share:.1f} %), above the threshold of {100 * contract.threshold:g} %: the whole delivery is refused"),
            *reasons,
        )  # fmt: skip
        return Judgement(rows, 0, held, reasons, None, quarantine, held_rows)
    return Judgement(rows, good, held, reasons, accepted, quarantine, held_rows)


def _count(connection: duckdb.DuckDBPyConnection, contract: Contract, staged: str, sound: str) -> tuple[int, int, int]:
    key = ", ".join(quote(k) for k in contract.key)
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER ({sound}), count(DISTINCT row({key})) FILTER ({sound}) FROM {staged}"
    ).fetchone()
    assert row is not None
    return int(row[0]), int(row[1]), int(row[2])


def _faults(
    connection: duckdb.DuckDBPyConnection, contract: Contract, source: Source, staged: str, found: list[Test], repeated: str
) -> tuple[tuple[Reason, ...], str, str]:
    """Counts per rule; the quarantine's rows, one per row and broken rule; and each held row once, as it came."""
    rules = [(i // MASK_BITS, 1 << (i % MASK_BITS), t) for i, t in enumerate(found)]
    values = ", ".join(
        f"({mask}, {bit}, {literal(t.column)}, {literal(t.rule)}, {literal(t.vi)}, {literal(t.en)}, {literal(t.group)})"
        for mask, bit, t in rules
    )
    mask_of = "CASE mask " + " ".join(f"WHEN {m} THEN _mask{m}" for m in sorted({m for m, _, _ in rules})) + " END"
    key = ", ".join(contract.key)
    shown_key = " || ' · ' || ".join(f"coalesce(CAST({quote(k)} AS VARCHAR), '')" for k in contract.key)
    quarantine = f"""
        SELECT file_row_number + {source.first_row} AS row_number,
               column_name,
               CASE WHEN column_name = '' THEN CAST(_raw AS VARCHAR) ELSE json_extract_string(_raw, '$."' || column_name || '"') END AS value,
               rule, vi AS reason_vi, en AS reason_en, error_group
        FROM {staged}, (VALUES {values}) AS rules(mask, bit, column_name, rule, vi, en, error_group)
        WHERE _raw IS NOT NULL AND {mask_of} & bit <> 0
          -- A value that is missing or not of its type is said once, not again by each test on it.
        UNION ALL
        SELECT file_row_number + {source.first_row}, {literal(key)}, {shown_key}, 'duplicate_key',
               'Khóa trùng với một hàng ở trên', 'The key repeats that of a row above', 'duplicate'
        FROM {staged} WHERE file_row_number IN ({repeated})
    """
    counts = connection.execute(
        f"""
        SELECT rule, column_name, count(*) AS n, any_value(reason_vi), any_value(reason_en)
        FROM ({quarantine}) GROUP BY rule, column_name ORDER BY n DESC, rule, column_name
        """
    ).fetchall()
    cells = ", ".join(f"{quote(c.name)}: CAST({quote(c.name)} AS VARCHAR)" for c in contract.columns)
    held = f"""
        SELECT file_row_number + {source.first_row} AS row_number, coalesce(_raw, CAST({{{cells}}} AS JSON)) AS cells
        FROM {staged} WHERE _raw IS NOT NULL OR file_row_number IN ({repeated})
    """
    return tuple(Reason(*row) for row in counts), quarantine, held
