"""Judge one delivery: read, map, type, test, find repeated keys; say what is accepted, held back, or refused whole."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import duckdb

from pipelines.contract import Contract
from pipelines.gate.forms import Form
from pipelines.gate.headers import match
from pipelines.gate.readers import UNPACKED_LIMIT, Decision, Source, Unreadable, read
from pipelines.gate.staged import Staged
from pipelines.gate.thresholds import identifier_reasons, refusal_reasons
from pipelines.gate.totals import Disagreement, disagreements
from pipelines.outcome import Reason
from pipelines.sql import literal

SHOWN_UNKNOWN = 10
NOTHING_STORED: Mapping[str, str] = MappingProxyType({})


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
    numbered: str | None = None
    """``accepted`` with the ``row_number`` before its columns."""
    whole: Path | None = None
    """The staged Parquet file, when every row of it is accepted: it can be registered as it stands, without a copy."""

    @property
    def refused(self) -> bool:
        return self.accepted is None


def refusal(rule: str, vi: str, en: str, column: str = "", rows: int = 0) -> Judgement:
    """A delivery refused before its rows were looked at."""
    return Judgement(rows, 0, 0, (Reason(rule, column, 1, vi, en),), None)


def withheld(reasons: tuple[Reason, ...]) -> Judgement:
    """A delivery refused before it came: what its source offers cannot be taken."""
    return Judgement(0, 0, 0, reasons, None)


def judge(
    connection: duckdb.DuckDBPyConnection,
    contract: Contract,
    file: Path,
    staging: Path,
    stored: Mapping[str, str] = NOTHING_STORED,
    *,
    source: Source | None = None,
    known: Mapping[str, Form] | None = None,
    unpacked_limit: int = UNPACKED_LIMIT,
    careful: bool = False,
) -> Judgement:
    """Judge the delivery ``file``. ``staging`` is a folder to write to, to be kept until the judgement is used.

    ``stored`` maps datasets that hold a release to their tables in SQL, as far as the contract refers to them;
    ``source`` is the delivery where it is opened already; ``known`` the forms of columns that need not be found out again;
    ``unpacked_limit`` the bytes that a packed delivery may unpack to; ``careful``: see `read`.
    """
    staging.mkdir(parents=True, exist_ok=True)
    try:
        source = source or read(connection, file, contract, careful, unpacked_limit)
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
        return _with_reading(connection, source, staging, Judgement(0, 0, 0, tuple(faults), None))
    try:
        staged = Staged.of(connection, contract, source, mapping.columns, staging, known or {}, stored)
        return _with_reading(connection, source, staging, _judged(staged), staged.decisions)
    except (duckdb.InvalidInputException, duckdb.ConversionException) as error:
        if source.csv and not careful:
            return judge(connection, contract, file, staging, stored, known=known, unpacked_limit=unpacked_limit, careful=True)
        damage = Unreadable.because_of(error, file)
        return refusal("unreadable", damage.vi, damage.en)
    finally:
        connection.unregister("delivery")


def _with_reading(
    connection: duckdb.DuckDBPyConnection, source: Source, staging: Path, judgement: Judgement, decisions: tuple[Decision, ...] = ()
) -> Judgement:
    """The judgement with what the reader decided and what it left out."""
    judgement = replace(judgement, decisions=source.decisions + decisions)
    if source.left_out is None:
        return judgement
    # A file of its own: the store's connection sees no relation of this one, and blank lines can be half a million.
    file = staging / "left_out.parquet"
    row = connection.execute(
        f"COPY (SELECT row_number, kind, text FROM ({source.left_out})) TO {literal(file)} (FORMAT parquet)"
    ).fetchone()
    assert row is not None
    return replace(judgement, left_out=f"SELECT * FROM read_parquet({literal(file)})", rows_left_out=int(row[0]))


def _judged(staged: Staged) -> Judgement:
    """Accepted, held back or refused."""
    contract, connection = staged.contract, staged.connection
    counts = staged.ask()
    if counts.read == 0:
        return refusal("empty", "Tệp không có hàng dữ liệu nào", "The file has a header but no rows")
    held = counts.read - counts.sound
    quarantine = staged.faults if held else None
    reasons = _counted(connection, quarantine) if quarantine else ()
    marks = staged.marks if counts.marked else None
    if wrong_totals := disagreements(connection, staged.scan, staged.relation) if staged.scan.source.totals else []:
        marks = " UNION ALL ".join(filter(None, [marks, Disagreement.sql(wrong_totals)]))
        reasons += tuple(d.reason for d in wrong_totals)
    judged = Judgement(
        counts.read, counts.sound, held, reasons, staged.accepted, quarantine, staged.held if held else None, marks,
        numbered=staged.numbered, whole=None if held else staged.file,
    )  # fmt: skip
    wrong = _wrong_values(connection, quarantine) if quarantine else {}
    if refusals := refusal_reasons(contract, counts.read, held, wrong):
        return replace(judged, rows_accepted=0, accepted=None, whole=None, marks=None, reasons=(*refusals, *reasons))
    return replace(judged, reasons=(*identifier_reasons(contract, wrong), *reasons))


def _wrong_values(connection: duckdb.DuckDBPyConnection, quarantine: str) -> dict[str, int]:
    """Per column, the rows in which its value breaks a rule. The columns of a composite key are wrong together."""
    counts = connection.execute(
        f"""
        SELECT name, count(DISTINCT row_number)
        FROM (SELECT row_number, unnest(string_split(column_name, ', ')) AS name FROM ({quarantine}))
        GROUP BY name
        """
    ).fetchall()
    return dict(counts)


def _counted(connection: duckdb.DuckDBPyConnection, quarantine: str) -> tuple[Reason, ...]:
    """How often each rule was broken, in words that hold for all its rows: what is special to one row stands before or behind."""
    counts = connection.execute(
        f"""
        SELECT rule, column_name, count(*) AS n,
               regexp_replace(split_part(min(reason_vi), '; có phải ', 1), '^\\[[^\\]]*\\] ', ''),
               regexp_replace(split_part(min(reason_en), '; is it ', 1), '^\\[[^\\]]*\\] ', '')
        FROM ({quarantine}) GROUP BY rule, column_name ORDER BY n DESC, rule, column_name
        """
    ).fetchall()
    return tuple(Reason(*row) for row in counts)
