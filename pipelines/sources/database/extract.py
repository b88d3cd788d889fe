"""Rows of a table as files in the staging folder: window by window, so that a read which is cut off goes on where it was."""

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.sources.database.sessions import Session
from pipelines.sources.database.statements import CURSOR, Table, windows_fit
from pipelines.sql import literal, quote

RESUMABLE_SECONDS = 6 * 3600
"""After this a read that was cut off starts anew: what was read before is too old to stand beside the rest."""


@dataclass
class Progress:
    """How far a read came. ``low`` is the key of the last row of the last complete window; None before the first."""

    reading: str
    started: float
    windows: int = 0
    low: list[Any] | None = None
    complete: bool = False


@dataclass
class Extract:
    """Rows that were read, as Parquet files of one window each. A context: what is left of it is removed at its end."""

    folder: Path
    files: list[Path]
    windows: int
    resumed: int
    """Windows that an earlier, cut-off read had brought."""
    lock: TextIO
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        self.rows = sum(pq.read_metadata(file).num_rows for file in self.files)

    def __enter__(self) -> "Extract":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()

    @property
    def _relation(self) -> str:
        return f"read_parquet([{', '.join(literal(f) for f in self.files)}], union_by_name = true)"

    def highest(self, column: str) -> Any:
        """The highest value of a column; None when there is none."""
        return self._ask(f"SELECT max({quote(column)}) FROM {self._relation}")[0]

    def fingerprint(self, since: Any = None) -> str:
        """Equal for equal rows in whatever order; of the rows with a cursor from ``since`` on (or none at all) where it is given."""
        where = f"WHERE {quote(CURSOR)} >= {literal(since)} OR {quote(CURSOR)} IS NULL" if since is not None else ""
        return "-".join(map(str, self._ask(f"SELECT count(*), sum(hash(r)) FROM (SELECT * FROM {self._relation} {where}) AS r")))

    def _ask(self, sql: str) -> tuple[Any, ...]:
        with duckdb.connect() as connection:
            connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false; SET threads = 2")
            row = connection.execute(sql).fetchone()
        assert row is not None
        return row

    def deliver(self, file: Path, columns: list[str]) -> Path:
        """Write the rows, ``columns`` alone, as one Parquet file: the same rows make the same bytes."""
        schema = pq.read_schema(self.files[0])
        schema = pa.schema([schema.field(name) for name in columns])
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for part in self.files:
                for batch in pq.ParquetFile(part).iter_batches(columns=columns):
                    writer.write_batch(batch.select(columns).cast(schema))
        return file


class Windows:
    """A table, to be read in windows of at most ``rows`` rows of its key; 0, or a key that cannot be ordered, is one window."""

    def __init__(self, folder: Path, table: Table, rows: int, since: Any) -> None:
        self.folder, self.table, self.since = folder, table, since
        self.rows = rows if windows_fit(table.key) else 0
        seal = repr((table, self.rows, since))
        self.reading = hashlib.sha256(seal.encode()).hexdigest()

    def read(self, session: Session) -> Extract:
        """Read what is missing. When the connection breaks, what came over whole is kept for the next try.

        The folder is one reader's at a time; raises `BlockingIOError` while another process reads the same table.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        lock = self.folder.with_suffix(".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._read(session, lock)
        except BaseException:
            lock.close()
            raise

    def _read(self, session: Session, lock: TextIO) -> Extract:
        progress = self._progress()
        resumed = progress.windows
        while not progress.complete:
            low = tuple(progress.low) if progress.low is not None else None
            high = self._boundary(session, low)
            self._write(session, progress.windows, self.table.page(low, high, self.since))
            progress.windows += 1
            progress.low, progress.complete = (list(high), False) if high else (progress.low, True)
            self._save(progress)
        # Rows without a key are the gate's to judge: they must come too.
        if self.table.key and any(c.nullable for c in self.table.key):
            self._write(session, progress.windows, self.table.page(None, None, self.since, keyless=True))
        return Extract(self.folder, sorted(self.folder.glob("*.parquet")), progress.windows, resumed, lock)

    def _boundary(self, session: Session, low: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        """The key up to which the next window goes; None when it is the last. Rows of one key are never parted."""
        if not self.rows:
            return None
        found = session.read(self.table.boundary(low, self.since, self.rows)).read_all()
        return tuple(column[0].as_py() for column in found.columns) if len(found) else None

    def _write(self, session: Session, number: int, sql: str) -> None:
        file = self.folder / f"{number:06}.parquet"
        unfinished = file.with_suffix(".part")
        answer = session.read(sql)
        with pq.ParquetWriter(unfinished, _storable(answer.schema), compression="lz4") as writer:
            for batch in answer:
                writer.write_batch(_stored(batch))
        unfinished.rename(file)

    def _progress(self) -> Progress:
        """Where the last read stopped, if it was the same reading and not long ago; otherwise the folder emptied for a new one."""
        try:
            saved = Progress(**json.loads((self.folder / "progress.json").read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            saved = Progress("", 0)
        if saved.reading == self.reading and time.time() - saved.started < RESUMABLE_SECONDS:
            saved.low = [_of_json(value) for value in saved.low] if saved.low is not None else None
            return saved
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return Progress(self.reading, time.time())

    def _save(self, progress: Progress) -> None:
        unfinished = self.folder / "progress.part"
        unfinished.write_text(json.dumps(vars(progress), default=_to_json, ensure_ascii=False), encoding="utf-8")
        unfinished.replace(self.folder / "progress.json")


def _to_json(value: Any) -> dict[str, str]:
    """A key's value that JSON has no form for; `_of_json` reads it back."""
    return {next(name for name, (kind, _) in _SPELT.items() if isinstance(value, kind)): str(value)}


def _of_json(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    ((name, text),) = value.items()
    return _SPELT[name][1](text)


_SPELT: dict[str, tuple[type, Callable[[str], Any]]] = {
    "datetime": (datetime, datetime.fromisoformat),
    "date": (date, date.fromisoformat),
    "number": (Decimal, Decimal),
}


def _storable(schema: pa.Schema) -> pa.Schema:
    """Types that Parquet holds as such: a driver's own extension types as what they are stored as; nothing but NULL as text."""
    kinds = [f.type.storage_type if isinstance(f.type, pa.BaseExtensionType) else f.type for f in schema]
    kinds = [pa.string() if pa.types.is_null(kind) else kind for kind in kinds]
    return pa.schema([pa.field(f.name, kind) for f, kind in zip(schema, kinds, strict=True)])


def _stored(batch: pa.RecordBatch) -> pa.RecordBatch:
    schema = _storable(batch.schema)
    arrays = [a.storage if isinstance(a, pa.ExtensionArray) else a for a in batch.columns]
    return pa.RecordBatch.from_arrays([a.cast(f.type) for a, f in zip(arrays, schema, strict=True)], schema=schema)
