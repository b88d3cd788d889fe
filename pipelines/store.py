"""The store: the only module that knows DuckLake.

Current data and all history in DuckLake tables (SQLite catalogue in WAL mode, Parquet files), one file lock around
every write transaction. Why each setting: docs/decisions/002-store.md.
"""

import fcntl
import importlib
import json
import os
import shutil
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from pipelines.contract import Contract, Register
from pipelines.outcome import CheckResult, Outcome
from pipelines.settings import Settings
from pipelines.sql import literal, quote, quote_name

SYSTEM_SCHEMA = "kho"
SYSTEM_TABLES = {
    "ledger": """
        delivery_id VARCHAR, dataset VARCHAR, received_at TIMESTAMP, file_name VARCHAR, bytes BIGINT, sha256 VARCHAR,
        synthetic BOOLEAN, run_id VARCHAR, contract_version VARCHAR, contract_fingerprint VARCHAR, outcome VARCHAR,
        rows_read BIGINT, rows_accepted BIGINT, rows_quarantined BIGINT, rows_total BIGINT, release BIGINT,
        reasons VARCHAR, started_at TIMESTAMP, finished_at TIMESTAMP, rows_left_out BIGINT, reading VARCHAR, corrects VARCHAR
    """,
    "quarantine": """
        delivery_id VARCHAR, dataset VARCHAR, row_number BIGINT, column_name VARCHAR, value VARCHAR, rule VARCHAR,
        reason_vi VARCHAR, reason_en VARCHAR, error_group VARCHAR
    """,
    "held_rows": """
        delivery_id VARCHAR, dataset VARCHAR, row_number BIGINT, cells VARCHAR, closed_by VARCHAR, closed_at TIMESTAMP
    """,
    "marks": """
        delivery_id VARCHAR, dataset VARCHAR, row_number BIGINT, column_name VARCHAR, value VARCHAR, rule VARCHAR,
        reason_vi VARCHAR, reason_en VARCHAR, error_group VARCHAR
    """,
    "left_out": """
        delivery_id VARCHAR, dataset VARCHAR, row_number BIGINT, kind VARCHAR, text VARCHAR
    """,
    "notices": """
        delivery_id VARCHAR, dataset VARCHAR, agency VARCHAR, attempted_at TIMESTAMP, sent BOOLEAN, error VARCHAR
    """,
    "checks": """
        delivery_id VARCHAR, dataset VARCHAR, name VARCHAR, violations BIGINT, vi VARCHAR, en VARCHAR,
        checked_at TIMESTAMP
    """,
    "profile": """
        delivery_id VARCHAR, dataset VARCHAR, column_name VARCHAR, rows BIGINT, nulls BIGINT, distinct_count BIGINT,
        minimum VARCHAR, maximum VARCHAR, mean DOUBLE, deviation DOUBLE, categories VARCHAR[], counts BIGINT[]
    """,
    "expectations": """
        run_id VARCHAR, checked_at TIMESTAMP, dataset VARCHAR, release BIGINT, name VARCHAR, kind VARCHAR,
        passed BOOLEAN, blocking BOOLEAN, findings VARCHAR, unmeasured VARCHAR, vi VARCHAR, en VARCHAR, page VARCHAR
    """,
    "sources": """
        dataset VARCHAR, delivery_id VARCHAR, origin VARCHAR, state VARCHAR, trouble VARCHAR, noted_at TIMESTAMP
    """,
    "register": """
        id VARCHAR, ten VARCHAR, ten_en VARCHAR, domain VARCHAR, agency VARCHAR, cycle VARCHAR, access VARCHAR,
        personal_data VARCHAR, status VARCHAR, version VARCHAR, load_mode VARCHAR, provenance VARCHAR
    """,
    "agencies": """
        code VARCHAR, name VARCHAR, name_en VARCHAR, kind VARCHAR, email VARCHAR, phone VARCHAR, identifier VARCHAR,
        identifier_scheme VARCHAR, identifier_valid_from DATE, identifier_valid_to DATE, identifier_derived BOOLEAN
    """,
}


class StoreMissing(Exception):
    """There is no store yet: nothing has been delivered."""


class SchemaChangeRefused(Exception):
    """A contract takes away or narrows a column of a table that holds releases."""


@dataclass
class LedgerState:
    """What the ledger says of all datasets as of one snapshot, kept in step over commits of our own."""

    snapshot: int
    releases: dict[str, "Release"]
    accepted: set[tuple[str, str]]
    judged: dict[str, Outcome]
    shas: dict[str, str] = field(default_factory=dict)
    """Delivery → the bytes of the delivery that it corrects at last, or its own."""
    sources: dict[str, "SourceState"] = field(default_factory=dict)
    unloaded: set[str] = field(default_factory=set)
    """Deliveries refused whole: a fix sheet of one brings its right rows too."""

    def take(self, outcome: Outcome, fingerprint: str) -> None:
        """Go on by one line of the ledger."""
        before = self.releases.get(outcome.dataset)
        if before and outcome.sha256 in before.due:
            before = replace(before, due=tuple(sha for sha in before.due if sha != outcome.sha256))
            self.releases[outcome.dataset] = before
        if outcome.verdict == "duplicate":
            return
        self.judged[outcome.dataset] = outcome
        base = self.shas[outcome.delivery_id] = self.shas.get(outcome.corrects, outcome.sha256)
        if outcome.release is None:
            self.unloaded.add(outcome.delivery_id)
            return
        if before and outcome.corrects and outcome.corrects not in self.unloaded:
            base, corrections, due = before.base, (*before.corrections, outcome.sha256), before.due
        else:
            earlier = (*before.corrections, *before.due) if before and before.base == base else ()
            corrections = (outcome.sha256,) if outcome.corrects else ()
            due = tuple(sha for sha in earlier if sha not in corrections)
            self.unloaded.discard(outcome.corrects)
        self.releases[outcome.dataset] = Release(outcome.release, outcome.sha256, fingerprint, outcome.rows_total, base, corrections, due)
        self.accepted.add((outcome.dataset, outcome.sha256))


@dataclass(frozen=True)
class SourceState:
    """How a dataset's source stood when it was last read."""

    origin: str
    """What ``state`` was true of: contract and place. Under another the state means nothing."""
    state: dict[str, Any]
    trouble: str | None
    """Why it could not be read the last time; None when it could."""
    at: datetime


@dataclass(frozen=True)
class Release:
    """The newest committed version of a dataset."""

    number: int
    sha256: str
    fingerprint: str
    rows: int
    base: str = ""
    """Where ``sha256`` is a fix sheet's: the bytes of the delivery that it corrects. Else ``sha256`` again."""
    corrections: tuple[str, ...] = ()
    """Fix sheets taken in on top of ``base``, by their bytes, in order."""
    due: tuple[str, ...] = ()
    """Fix sheets of ``base`` that were taken in before it was last judged, and are to be taken in again."""


def connect(memory_limit: str | None = "1GB") -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with DuckLake loaded from the installed wheels: no INSTALL, no network, no ~/.duckdb."""
    connection = duckdb.connect()
    connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
    if memory_limit:
        connection.execute(f"SET memory_limit = {literal(memory_limit)}")
    for name in ("sqlite_scanner", "ducklake"):
        package = importlib.import_module(f"duckdb_extension_{name}")
        folder = Path(str(package.__file__)).parent / "extensions" / f"v{duckdb.__version__}"
        connection.execute(f"LOAD {literal(folder / f'{name}.duckdb_extension')}")
    return connection


class Store:
    """One lake. Cheap to make; the writing connection opens on first use and stays."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._writer: duckdb.DuckDBPyConnection | None = None
        self._gate: duckdb.DuckDBPyConnection | None = None
        self._mutex = threading.RLock()
        self._synced: set[str] = set()
        self._state: LedgerState | None = None

    # ---- reading

    def snapshot(self) -> int:
        """Number of the newest snapshot; 0 when there is no store. A few microseconds: fit for polling."""
        if not self.settings.catalogue.exists():
            return 0
        try:
            catalogue = sqlite3.connect(f"file:{self.settings.catalogue}?mode=ro", uri=True, timeout=5)
            try:
                return int(catalogue.execute("SELECT coalesce(max(snapshot_id), 0) FROM ducklake_snapshot").fetchone()[0])
            finally:
                catalogue.close()
        except sqlite3.OperationalError:
            return 0  # being created this moment

    def reader(self) -> duckdb.DuckDBPyConnection:
        """A new read-only connection, the lake its default catalogue. Never blocks on a writer; close it after use.

        Raises `StoreMissing` when nothing was ever stored.
        """
        if self.snapshot() == 0:
            raise StoreMissing(f"no store at {self.settings.home}: run `kho run` first")
        connection = connect()
        connection.execute(self._attach("READ_ONLY"))
        connection.execute("USE lake")
        return connection

    def _attach(self, mode: str) -> str:
        # The lake remembers where its data was when it was made; a folder that was moved or restored is elsewhere.
        return f"""
            ATTACH {literal(f"ducklake:sqlite:{self.settings.catalogue}")} AS lake
            (DATA_PATH {literal(f"{self.settings.data}/")}, OVERRIDE_DATA_PATH true, META_BUSY_TIMEOUT 5000, {mode})
        """

    # ---- writing

    @contextmanager
    def gate_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own for judging a delivery: outside every lock and transaction, the lake read-only in sight."""
        with self._mutex:
            if self._gate is None:
                self._gate = connect("700MB")
                # The scan's hundreds of small expressions share little: looking for it takes as long as reading a small file.
                self._gate.execute("SET disabled_optimizers = 'common_subexpressions'")
                self._gate.execute(f"SET temp_directory = {literal(self.settings.staging / 'duckdb')}")
            if self.snapshot() and not self._gate.execute("SELECT 1 FROM duckdb_databases() WHERE database_name = 'lake'").fetchone():
                self._gate.execute(self._attach("READ_ONLY"))
            yield self._gate

    def stored(self, contract: Contract, register: Register) -> dict[str, str]:
        """What a delivery of ``contract`` is judged against: datasets that hold a release → their tables for `gate_connection`."""
        asked = {reference.dataset for reference in contract.references} | {contract.id}
        releases = self.releases()
        others = [register.contracts[dataset] for dataset in sorted(asked) if dataset in releases]
        return {other.id: f"lake.{quote_name(other.schema, other.table)}" for other in others}

    def _open(self) -> duckdb.DuckDBPyConnection:
        if self._writer is None:
            self.settings.data.mkdir(parents=True, exist_ok=True)
            self.settings.staging.mkdir(parents=True, exist_ok=True)
            connection = connect()
            connection.execute(f"SET temp_directory = {literal(self.settings.staging / 'duckdb')}")
            connection.execute(self._attach("META_JOURNAL_MODE 'WAL'"))
            for option, value in (("parquet_compression", "zstd"), ("parquet_version", "2"), ("data_inlining_row_limit", "0")):
                connection.execute(f"CALL lake.set_option({literal(option)}, {literal(value)})")
            connection.execute("USE lake")
            self._writer = connection
        return self._writer

    @contextmanager
    def _locked(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """The writing connection under the file lock: SQLite loses almost half of unlocked concurrent commits."""
        self.settings.lock.parent.mkdir(parents=True, exist_ok=True)
        with self._mutex, self.settings.lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._open()

    @contextmanager
    def transaction(self, message: str, info: dict[str, Any]) -> Iterator[duckdb.DuckDBPyConnection]:
        """One commit: all that is done inside becomes visible at once, or nothing does.

        ``message`` and ``info`` stand on the snapshot (`FROM lake.snapshots()`). New Parquet files reach the disk
        before the commit does; DuckLake itself does not see to that.
        """
        with self._locked() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
                connection.execute(
                    "CALL ducklake_set_commit_message('lake', ?, ?, extra_info => ?)",
                    ["kho", message, json.dumps(info, ensure_ascii=False)],
                )
                self._sync_new_files()
                connection.execute("COMMIT")
            except BaseException:
                try:
                    connection.execute("ROLLBACK")
                except duckdb.Error:
                    self.close()  # a connection that cannot roll back is not used again
                raise

    def adopt(self, connection: duckdb.DuckDBPyConnection, contract: Contract, file: Path) -> None:
        """Make a Parquet file one of the table's own, without writing its rows again.

        Columns of the file that the table lacks are ignored. Call it inside a `transaction`; when that fails the file stays behind,
        unreferenced, for the removal of orphans.
        """
        folder = self.settings.data / contract.schema / contract.table
        folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"{uuid.uuid4()}.parquet"
        try:
            os.link(file, place)
        except OSError:  # another disk
            shutil.copyfile(file, place)
        connection.execute(
            "CALL ducklake_add_data_files('lake', ?, ?, schema => ?, ignore_extra_columns => true)",
            [contract.table, str(place), contract.schema],
        )

    def _sync_new_files(self) -> None:
        for folder, _, names in os.walk(self.settings.data):
            new = [path for name in names if (path := f"{folder}/{name}") not in self._synced]
            if not new:
                continue
            for path in [*new, folder]:
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            self._synced.update(new)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    # ---- tables

    def prepare(self, register: Register) -> None:
        """Create what the register describes and the store lacks, in one transaction; refresh `kho.register`.

        A new column of a contract is added to its table. Tables of contracts that are gone stay, with their history.
        """
        with self._locked() as connection:
            tables = _tables(connection)
        statements = [
            f"CREATE TABLE {quote_name(SYSTEM_SCHEMA, name)} ({columns})"
            for name, columns in SYSTEM_TABLES.items()
            if (SYSTEM_SCHEMA, name) not in tables
        ]
        for name, columns in SYSTEM_TABLES.items():
            statements += _widen(name, columns, tables.get((SYSTEM_SCHEMA, name)))
        for contract in register.contracts.values():
            existing = tables.get((contract.schema, contract.table))
            statements += _create(contract) if existing is None else _evolve(contract, existing)
        schemas = {c.schema for c in register.contracts.values()} | {SYSTEM_SCHEMA}
        statements = [f"CREATE SCHEMA IF NOT EXISTS {quote(s)}" for s in sorted(schemas - {s for s, _ in tables})] + statements
        register_rows = [
            (c.id, c.title, c.title_en, c.domain, c.agency, c.cycle, c.access, c.personal, c.status, c.version, c.load_mode, c.provenance)
            for c in register.contracts.values()
        ]
        agency_rows = [
            (a.code, a.name, a.name_en, a.kind, a.email, a.phone, a.identifier, a.identifier_scheme, a.identifier_valid_from,
             a.identifier_valid_to, a.identifier_derived)
            for a in register.agencies.values()
        ]  # fmt: skip
        if not statements and self._holds("register", register_rows) and self._holds("agencies", agency_rows):
            return
        with self.transaction("register", {"datasets": len(register_rows)}) as connection:
            for statement in statements:
                connection.execute(statement)
            for table, rows in (("register", register_rows), ("agencies", agency_rows)):
                connection.execute(f"DELETE FROM {quote_name(SYSTEM_SCHEMA, table)}")
                if rows:
                    marks = ", ".join("(" + ", ".join("?" * len(rows[0])) + ")" for _ in rows)
                    connection.execute(
                        f"INSERT INTO {quote_name(SYSTEM_SCHEMA, table)} VALUES {marks}", [value for row in rows for value in row]
                    )

    def _holds(self, table: str, rows: list[tuple[Any, ...]]) -> bool:
        with self._locked() as connection:
            stored = connection.execute(f"SELECT * FROM {quote_name(SYSTEM_SCHEMA, table)}").fetchall()
        text = lambda values: sorted(tuple("" if v is None else str(v) for v in row) for row in values)
        return text(stored) == text(rows)

    # ---- releases

    def releases(self) -> dict[str, Release]:
        """The newest release of every dataset."""
        return self._ledger_state().releases

    def accepted_before(self, dataset: str, sha256: str) -> bool:
        """Whether these bytes were ever accepted for the dataset (matters for `append`)."""
        return (dataset, sha256) in self._ledger_state().accepted

    def judged(self, dataset: str) -> Outcome | None:
        """What became of the newest delivery that the gate judged."""
        return self._ledger_state().judged.get(dataset)

    def source_state(self, dataset: str) -> SourceState | None:
        """How the dataset's source stood when it was last read; None when it never was."""
        return self._ledger_state().sources.get(dataset)

    def note_source(self, dataset: str, origin: str, state: dict[str, Any], trouble: str | None = None) -> None:
        """Write down how a source stands where no delivery came of it: it could not be read, or can be again."""
        with self.transaction(f"{dataset}: source", {"dataset": dataset}) as connection:
            noted = record_source(connection, dataset, None, origin, state, trouble)
        self.remember_source(dataset, noted)

    def _ledger_state(self) -> LedgerState:
        snapshot = self.snapshot()
        if self._state is None or self._state.snapshot != snapshot:
            with self._locked() as connection:
                rows = connection.execute(
                    """
                    SELECT dataset, outcome, file_name, sha256, delivery_id, rows_read, rows_accepted, rows_quarantined,
                           rows_total, release, synthetic, contract_fingerprint, corrects
                    FROM kho.ledger
                    WHERE outcome <> 'duplicate' OR corrects IS NOT NULL
                    ORDER BY finished_at, release
                    """
                ).fetchall()
                checks: dict[str, list[CheckResult]] = {}
                for delivery, *check in connection.execute("SELECT delivery_id, name, violations, vi, en FROM kho.checks").fetchall():
                    checks.setdefault(delivery, []).append(CheckResult(*check))
                sources = connection.execute(
                    "SELECT dataset, origin, state, trouble, noted_at FROM kho.sources ORDER BY noted_at"
                ).fetchall()
            state = LedgerState(snapshot, {}, set(), {})
            for dataset, origin, found, trouble, at in sources:
                state.sources[dataset] = SourceState(origin, json.loads(found), trouble, at)
            for row in rows:
                dataset, verdict, file_name, sha, delivery, read, accepted, held, total, number, synthetic, fingerprint, corrects = row
                outcome = Outcome(
                    dataset, verdict, file_name, sha, delivery, read, accepted, held, total, number, synthetic,
                    standing=verdict, checks=tuple(checks.get(delivery, ())), corrects=corrects or "",
                )  # fmt: skip
                state.take(outcome, fingerprint)
            self._state = state
        return self._state

    def remember_source(self, dataset: str, source: SourceState | None) -> None:
        """Like `remember`, of a source's state that a commit of our own held."""
        if self._state is not None and source:
            self._state.sources[dataset] = source
            self._state.snapshot = self.snapshot()

    def remember(self, outcome: Outcome, fingerprint: str) -> None:
        """Carry the known ledger state over a commit of our own, so that 226 loads do not read it 226 times."""
        if self._state is None:
            return
        self._state.take(outcome, fingerprint)
        self._state.snapshot = self.snapshot()

    def compact_system_tables(self) -> None:
        """Merge the small files that one-row inserts leave in the ledger and its companions."""
        with self._locked() as connection:
            for table in (
                "ledger",
                "profile",
                "checks",
                "quarantine",
                "held_rows",
                "marks",
                "left_out",
                "notices",
                "expectations",
                "sources",
            ):
                connection.execute(f"CALL ducklake_merge_adjacent_files('lake', {literal(table)}, schema => {literal(SYSTEM_SCHEMA)})")


def record_source(
    connection: duckdb.DuckDBPyConnection,
    dataset: str,
    delivery: str | None,
    origin: str,
    state: dict[str, Any],
    trouble: str | None = None,
) -> SourceState:
    """How a source stands, as one row in the open transaction: with its delivery, or neither."""
    at = datetime.now(UTC).replace(tzinfo=None)
    connection.execute(
        "INSERT INTO kho.sources (dataset, delivery_id, origin, state, trouble, noted_at) VALUES (?, ?, ?, ?, ?, ?)",
        [dataset, delivery, origin, json.dumps(state, ensure_ascii=False), trouble, at],
    )
    return SourceState(origin, state, trouble, at)


def _tables(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], dict[str, str]]:
    """Columns and types of every table of the lake, in order."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    rows = connection.execute(
        """
        SELECT schema_name, table_name, column_name, data_type
        FROM duckdb_columns()
        WHERE database_name = 'lake' AND NOT internal
        ORDER BY schema_name, table_name, column_index
        """
    ).fetchall()
    for schema, table, column, kind in rows:
        found.setdefault((schema, table), {})[column] = kind
    return found


def _create(contract: Contract) -> list[str]:
    table = quote_name(contract.schema, contract.table)
    columns = ", ".join(f"{quote(c.name)} {c.sql_type}" for c in contract.columns)
    comments = [f"COMMENT ON TABLE {table} IS {literal(f'{contract.title} / {contract.title_en}')}"]
    comments += [f"COMMENT ON COLUMN {table}.{quote(c.name)} IS {literal(f'{c.title} / {c.title_en}')}" for c in contract.columns]
    return [f"CREATE TABLE {table} ({columns})", *comments]


def _widen(name: str, columns: str, existing: dict[str, str] | None) -> list[str]:
    """Statements that add to a system table of an older warehouse the columns that it lacks."""
    declared = [column.split() for column in columns.split(",")]
    table = quote_name(SYSTEM_SCHEMA, name)
    return [f"ALTER TABLE {table} ADD COLUMN {quote(c)} {kind}" for c, kind in declared if existing is not None and c not in existing]


def _evolve(contract: Contract, existing: dict[str, str]) -> list[str]:
    """Statements that add the contract's new columns. Anything else that differs is left to `ensure_fits`."""
    table = quote_name(contract.schema, contract.table)
    return [f"ALTER TABLE {table} ADD COLUMN {quote(c.name)} {c.sql_type}" for c in contract.columns if c.name not in existing]


def ensure_fits(connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """Raise `SchemaChangeRefused` when the table cannot hold what the contract now describes."""
    described = connection.execute(f"DESCRIBE {quote_name(contract.schema, contract.table)}").fetchall()
    existing = {name: kind for name, kind, *_ in described}
    for column in contract.columns:
        if existing.get(column.name) != column.sql_type:
            raise SchemaChangeRefused(
                f"{contract.id}: column {column.name} is {existing.get(column.name)} in the store and {column.sql_type} in the "
                "contract; give the dataset a new id or restore the type"
            )
