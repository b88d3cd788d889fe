"""Judge one delivery: read, map, type, test, find repeated keys; say what is accepted, held back, or refused whole."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import duckdb

from pipelines.contract import Contract
from pipelines.gate.across import set_tests
from pipelines.gate.headers import match
from pipelines.gate.readers import Decision, Source, Unreadable, read
from pipelines.gate.readers.source import rows_left_out
from pipelines.gate.rules import tests
from pipelines.gate.scan import scan
from pipelines.gate.staged import Staged
from pipelines.outcome import Reason
from pipelines.sql import literal

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


NOTHING_STORED: Mapping[str, str] = MappingProxyType({})


def judge(
    connection: duckdb.DuckDBPyConnection, contract: Contract, file: Path, staging: Path, stored: Mapping[str, str] = NOTHING_STORED
) -> Judgement:
    """Judge the delivery ``file``. ``staging`` is a Parquet file to write, to be kept (with `together_file`) until the judgement is used.

    ``stored`` maps datasets that hold a release to their tables in SQL, as far as the contract refers to them.
    """
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
        return _with_reading(connection, source, _rows(connection, contract, source, mapping.columns, staging, stored))
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        damage = Unreadable.because_of(error, file)
        return refusal("unreadable", damage.vi, damage.en)
    finally:
        connection.unregister("delivery")


def _with_reading(connection: duckdb.DuckDBPyConnection, source: Source, judgement: Judgement) -> Judgement:
    """The judgement with what the reader decided and left out. Left-out rows are few: they are kept as values."""
    rows = connection.execute(source.left_out).fetchall() if source.left_out else []
    return replace(judgement, left_out=rows_left_out(rows), rows_left_out=len(rows), decisions=(*source.decisions, *judgement.decisions))


def _rows(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    source: Source,
    columns: dict[str, str],
    staging: Path,
    stored: Mapping[str, str],
) -> Judgement:
    found = tests(contract, set(columns))
    together, unasked = set_tests(contract, set(columns), stored)
    connection.execute(f"COPY ({scan(contract, source.relation, columns, found)}) TO {literal(staging)} (FORMAT parquet, COMPRESSION zstd)")
    staged = Staged(contract, staging, found, together, source.first_row)
    counts = staged.ask(connection)
    if counts.read == 0:
        return refusal("empty", "Tệp không có hàng dữ liệu nào", "The file has a header but no rows")
    held = counts.read - counts.sound
    quarantine = staged.faults("error") if held else None
    reasons = _reasons(connection, quarantine) if quarantine else ()
    marks = staged.faults("warning")
    decisions = tuple(
        Decision(f"tham chiếu {u.column}", "chưa xét", f"{u.dataset}: chưa có bản phát hành nào / not judged, no release yet")
        for u in unasked
    )
    held_rows = staged.held if held else None
    if held > contract.threshold * counts.read or counts.sound == 0:
        share = 100 * held / counts.read
        whole = Reason(
            "threshold", "", held,
            f"{held} trên {counts.read} hàng sai ({share:.1f} %), quá ngưỡng {100 * contract.threshold:g} %: trả lại cả đợt giao",
            f"{held} of {counts.read} rows are wrong ({share:.1f} %), above the threshold of {100 * contract.threshold:g} %: the whole delivery is refused",
        )  # fmt: skip
        return Judgement(counts.read, 0, held, (whole, *reasons), None, quarantine, held_rows, decisions=decisions)
    return Judgement(counts.read, counts.sound, held, reasons, staged.accepted, quarantine, held_rows, marks, decisions=decisions)


def _reasons(connection: duckdb.DuckDBPyConnection, quarantine: str) -> tuple[Reason, ...]:
    """How often each rule was broken, in words that hold for all its rows: what is special to one row follows a semicolon."""
    counts = connection.execute(
        f"""
        SELECT rule, column_name, count(*) AS n, split_part(min(reason_vi), '; có phải ', 1), split_part(min(reason_en), '; is it ', 1)
        FROM ({quarantine}) GROUP BY rule, column_name ORDER BY n DESC, rule, column_name
        """
    ).fetchall()
    return tuple(Reason(*row) for row in counts)
