"""A table in an agency's database: read whole or from a cursor on, in windows of its key, as one Parquet file.

Only the contract's columns are asked for. The table's columns are compared with the contract before any row is read. A read that is
cut off goes on, the next time, after the last window that came over whole. Why so: docs/decisions/008-databases.md.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.contract import Contract, Source
from pipelines.gate.readers import Decision
from pipelines.outcome import Reason
from pipelines.sources import Fetched, SourceUnavailable, Withheld
from pipelines.sources.database.columns import Fit, SourceColumn, fit, types_of
from pipelines.sources.database.extract import Extract, Windows
from pipelines.sources.database.sessions import Session, open_session, where
from pipelines.sources.database.statements import CURSOR, Table

__all__ = ["fetch", "probe"]

WINDOW_ROWS = 200_000
"""Rows per statement, unless the contract's `window` says otherwise: seconds of reading, a few megabytes of staging."""

OVERLAP_SECONDS = 600
OVERLAP_NUMBERS = 1000
OVERLAP_DAYS = 1
"""How far below the last cursor to read again, unless the contract's `overlap` says otherwise: for rows whose transaction took its
time or number early and ended late. They are merged by key, so that what is read twice is stored once."""

DEFAULT_SCHEMAS = {"mysql": "database", "oracle": "user"}


def fetch(contract: Contract, state: dict[str, Any], staging: Path) -> Iterator[Fetched | Withheld]:
    """What the table holds (with a cursor: holds new since ``state``) as one delivery; none when that is what was taken last.

    Raises `SourceUnavailable`, `MissingSecret`.
    """
    source = contract.source
    assert source
    schema, name = _table_name(contract, source)
    with open_session(source) as session:
        found = session.columns(schema, name)
        if not found:
            yield Withheld(name, (_no_table(schema, name),))
            return
        compared = fit(contract, found, state.get("columns", {}))
        cursor, fault = _cursor(source, found)
        faults = (*compared.faults, *((fault,) if fault else ()))
        if faults:
            yield Withheld(name, faults)
            return
        table = _table(session, schema, name, contract, compared, cursor)
        since = _since(source, cursor, state.get("cursor"))
        windows = Windows(staging / "sources" / contract.id.replace("/", "--"), table, source.options.get("window", WINDOW_ROWS), since)
        try:
            extract = windows.read(session)
        except BlockingIOError:
            raise SourceUnavailable(f"{where(source)}: another process is reading {schema}.{name}") from None
    with extract:
        tail = extract.fingerprint()
        if tail == state.get("tail") or (extract.rows == 0 and state):
            return
        file = extract.deliver(staging / f"{contract.id.replace('/', '--')}.parquet", list(compared.columns))
        label = name if since is None else f"{name} since {since}".replace(":", ".")
        yield Fetched(
            file,
            f"{label}.parquet",
            _next_state(source, cursor, extract, found, tail, state),
            decisions=(*compared.decisions, *_told(session, extract, since)),
        )


def probe(contract: Contract) -> str:
    """Look whether the table is there and fits the contract. Raises `SourceUnavailable`, `MissingSecret`."""
    source = contract.source
    assert source
    schema, name = _table_name(contract, source)
    with open_session(source) as session:
        found = session.columns(schema, name)
        if not found:
            raise SourceUnavailable(f"{where(source)}: {_no_table(schema, name).en}")
        compared = fit(contract, found, {})
        if compared.faults:
            raise SourceUnavailable(f"{where(source)}: {compared.faults[0].en}")
        return f"{schema}.{name}: {len(compared.columns)} of {len(found)} columns"


def _table_name(contract: Contract, source: Source) -> tuple[str, str]:
    options = source.options
    schema = options.get("schema") or options.get(DEFAULT_SCHEMAS.get(source.kind, ""), "")
    name = str(options.get("table", contract.table))
    if source.kind == "oracle":  # Oracle keeps in capitals what was not quoted
        return str(schema).upper() if "schema" not in options else str(schema), name if "table" in options else name.upper()
    return str(schema), name


def _no_table(schema: str, name: str) -> Reason:
    return Reason(
        "missing_table", "", 1,
        f"Nguồn không có bảng {schema}.{name}, hoặc tài khoản đọc không được phép xem",
        f"The source has no table {schema}.{name}, or the reading account may not see it",
    )  # fmt: skip


def _table(session: Session, schema: str, name: str, contract: Contract, compared: Fit, cursor: SourceColumn | None) -> Table:
    key = tuple(compared.columns[k] for k in contract.key if k in compared.columns)
    return Table(session.dialect, schema, name, compared.columns, key, cursor)


def _cursor(source: Source, found: list[SourceColumn]) -> tuple[SourceColumn | None, Reason | None]:
    name = source.options.get("cursor")
    if name is None:
        return None, None
    column = next((c for c in found if c.name == name), None)
    if column and column.family in ("integer", "date", "timestamp"):
        return column, None
    what = f"có kiểu {column.type}" if column else "không có trong bảng nguồn"
    what_en = f"is of type {column.type}" if column else "is not in the source's table"
    return None, Reason(
        "cursor", str(name), 1,
        f"Cột mốc {name} {what}; cần một cột số nguyên, ngày hoặc thời điểm chỉ tăng",
        f"The cursor column {name} {what_en}; it must hold whole numbers, dates or times that only grow",
    )  # fmt: skip


def _since(source: Source, cursor: SourceColumn | None, reached: Any) -> Any:
    """The lowest cursor value to read, given the highest that was taken; None for everything."""
    if cursor is None or reached is None:
        return None
    overlap = source.options.get("overlap")
    if cursor.family == "integer":
        return int(reached) - (OVERLAP_NUMBERS if overlap is None else overlap)
    if cursor.family == "date":
        return date.fromisoformat(reached) - timedelta(days=OVERLAP_DAYS if overlap is None else overlap)
    return datetime.fromisoformat(reached) - timedelta(seconds=OVERLAP_SECONDS if overlap is None else overlap)


def _next_state(
    source: Source, cursor: SourceColumn | None, extract: Extract, found: list[SourceColumn], tail: str, state: dict[str, Any]
) -> dict[str, Any]:
    """Columns as they were, how far the cursor came, and the fingerprint of what the next fetch would find if nothing changed."""
    following: dict[str, Any] = {"columns": types_of(found), "tail": tail}
    if cursor:
        top = extract.highest(CURSOR)
        reached = state.get("cursor") if top is None else top if cursor.family == "integer" else top.isoformat()
        following |= {"cursor": reached, "tail": extract.fingerprint(_since(source, cursor, reached))}
    return following


def _told(session: Session, extract: Extract, since: Any) -> Iterator[Decision]:
    yield Decision("read", f"{extract.rows} rows in {extract.windows} windows", f"from {session.dialect}, the contract's columns alone")
    if since is not None:
        yield Decision("read from", str(since), "the last cursor less the overlap; rows known already are merged by key")
    if extract.resumed:
        yield Decision("resumed", f"after {extract.resumed} windows", "the reading before was cut off")
