"""Read-only sessions with agencies' databases, answers as streams of Arrow: ADBC for PostgreSQL, ODBC for MySQL/MariaDB and SQL
Server, python-oracledb for Oracle. Why these: docs/decisions/008-databases.md.
"""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa

from pipelines.contract import Source
from pipelines.sources import SourceUnavailable
from pipelines.sources.database.columns import SourceColumn, source_column
from pipelines.sources.secrets import Secret, secret
from pipelines.sql import literal

CONNECT_SECONDS = 10
BATCH_ROWS = 20_000
BATCH_BYTES = 64 << 20
TEXT_LIMIT = 256 << 10
"""Longest text (characters) that ODBC has room for in one value; a longer one is an error, never cut."""


class Session(Protocol):
    """A session that can read and cannot write."""

    dialect: str

    def columns(self, schema: str, table: str) -> list[SourceColumn]:
        """The table's columns in order; none when it does not exist, or may not be seen."""

    def read(self, sql: str) -> pa.RecordBatchReader:
        """The answer as it comes in, never whole in memory."""

    def close(self) -> None: ...


@contextmanager
def open_session(source: Source) -> Iterator[Session]:
    """A session with ``source``. Raises `SourceUnavailable`, in place of whatever the driver raises inside; `MissingSecret`."""
    password = secret(source.options["secret"]) if source.options.get("secret") else Secret("")
    session: Session | None = None
    try:
        session = _SESSIONS[source.kind](source, password)
        yield session
    except _driver_errors() as error:
        # The driver's own error is dropped, chain and all: it may quote what it was given.
        raise SourceUnavailable(f"{where(source)}: {password.hidden_in(_first_lines(error))}") from None
    finally:
        if session:
            session.close()


def where(source: Source) -> str:
    """The place, for messages: kind, host, port, database; never a user or a secret."""
    o = source.options
    return f"{source.server} ({source.kind} {o.get('host')}:{o.get('port')}/{o.get('database') or o.get('serviceName')})"


def _first_lines(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:400] or type(error).__name__


def _driver_errors() -> tuple[type[Exception], ...]:
    """What the drivers raise, as far as they are loaded by now."""
    found: list[type[Exception]] = [pa.ArrowException, OSError]
    for module, name in (("adbc_driver_manager", "Error"), ("arrow_odbc", "Error"), ("oracledb", "Error")):
        if loaded := _LOADED.get(module):
            found.append(getattr(loaded, name))
    return tuple(found)


_LOADED: dict[str, Any] = {}


def _driver(name: str) -> Any:
    """A driver's module, imported when it is first needed."""
    if name not in _LOADED:
        _LOADED[name] = importlib.import_module(name)
    return _LOADED[name]


class PostgresSession:
    """PostgreSQL through ADBC: results come by COPY in binary form, straight into Arrow."""

    dialect = "postgres"

    def __init__(self, source: Source, password: Secret) -> None:
        o = source.options
        settings = {
            "host": o["host"], "port": o["port"], "dbname": o["database"], "user": o.get("user"), "password": password.reveal() or None,
            "sslmode": o.get("tls"), "connect_timeout": CONNECT_SECONDS, "application_name": "kho", "keepalives_idle": 30,
            # The server itself refuses to write, whatever a view or function of theirs tries.
            "options": f"-c default_transaction_read_only=on -c TimeZone={o.get('timezone', 'UTC')} -c DateStyle=ISO",
        }  # fmt: skip
        quoted = (f"{k}='{_escaped(str(v))}'" for k, v in settings.items() if v is not None)
        _driver("adbc_driver_manager")
        # Every statement is a transaction of its own: a long read holds none open.
        self._connection = _driver("adbc_driver_postgresql.dbapi").connect(" ".join(quoted), autocommit=True)
        self._cursor: Any = None

    def columns(self, schema: str, table: str) -> list[SourceColumn]:
        rows = self.read(
            f"""
            SELECT a.attname AS name, format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), -1) AS type, NOT a.attnotnull AS nullable
            FROM pg_attribute a
            JOIN pg_type t ON t.oid = a.atttypid
            JOIN pg_class c ON c.oid = a.attrelid
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = {literal(schema)} AND c.relname = {literal(table)} AND c.relkind IN ('r', 'v', 'm', 'f', 'p')
                AND a.attnum > 0 AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'SELECT')
            ORDER BY a.attnum
            """
        ).read_all()
        return [source_column(*row.values()) for row in rows.to_pylist()]

    def read(self, sql: str) -> pa.RecordBatchReader:
        if self._cursor:
            self._cursor.close()
        self._cursor = self._connection.cursor()
        self._cursor.execute(sql)
        return self._cursor.fetch_record_batch()

    def close(self) -> None:
        if self._cursor:
            self._cursor.close()
        self._connection.close()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")


def _braced(text: str) -> str:
    return "{" + text.replace("}", "}}") + "}"


class OdbcSession:
    """A database through its ODBC driver, which the system provides (Debian: `odbc-mariadb`, `tdsodbc`, Microsoft's `msodbcsql18`)."""

    dialect: str
    wide = False
    """Fetch text as UTF-16, whatever the process's locale."""

    def __init__(self, attributes: dict[str, Any], source: Source, password: Secret, statements: tuple[str, ...]) -> None:
        odbc = _driver("arrow_odbc")
        text = "".join(f"{name}={_braced(str(value))};" for name, value in attributes.items())
        self._connection = odbc.connect(
            text, user=source.options.get("user"), password=password.reveal(), login_timeout_sec=CONNECT_SECONDS
        )
        self._encoding = odbc.TextEncoding.UTF16 if self.wide else odbc.TextEncoding.UTF8
        for statement in statements:
            self._connection.read_arrow_batches(statement)

    def columns(self, schema: str, table: str) -> list[SourceColumn]:
        rows = self.read(self._catalogue(schema, table))
        found = pa.Table.from_batches(list(rows), rows.schema).to_pylist()
        return [source_column(str(name), str(kind), str(nullable).upper() == "YES") for name, kind, nullable in map(dict.values, found)]

    def _catalogue(self, schema: str, table: str) -> str:
        raise NotImplementedError

    def read(self, sql: str) -> pa.RecordBatchReader:
        reader = self._connection.read_arrow_batches(
            sql, batch_size=BATCH_ROWS, max_bytes_per_batch=BATCH_BYTES, max_text_size=TEXT_LIMIT, payload_text_encoding=self._encoding,
            fetch_concurrently=False,
        )  # fmt: skip
        return pa.RecordBatchReader.from_batches(reader.schema, reader)

    def close(self) -> None:
        del self._connection


class MysqlSession(OdbcSession):
    """MySQL and MariaDB; the server refuses to write in this session."""

    dialect = "mysql"

    def __init__(self, source: Source, password: Secret) -> None:
        o = source.options
        offset = datetime.now(ZoneInfo(o.get("timezone", "UTC"))).strftime("%z")
        attributes = {
            "Driver": o.get("driver", "MariaDB Unicode"), "Server": o["host"], "Port": o["port"], "Database": o["database"],
            "CHARSET": "utf8mb4", "FORWARDONLY": 1, "NO_CACHE": 1,
        } | ({"FORCETLS": 1} if o.get("tls") else {})  # fmt: skip
        statements = (
            "SET SESSION TRANSACTION READ ONLY",
            f"SET time_zone = '{offset[:3]}:{offset[3:]}'",
            "SET sql_mode = replace(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')",
        )
        super().__init__(attributes, source, password, statements)

    def _catalogue(self, schema: str, table: str) -> str:
        return f"""
            SELECT column_name, if(column_type LIKE 'bigint%unsigned', 'bigint unsigned', data_type), is_nullable
            FROM information_schema.columns
            WHERE table_schema = {literal(schema)} AND table_name = {literal(table)}
            ORDER BY ordinal_position
        """


class SqlServerSession(OdbcSession):
    """SQL Server. It knows no read-only session: the account must be one that may only read."""

    dialect = "tsql"
    wide = True

    def __init__(self, source: Source, password: Secret) -> None:
        o = source.options
        attributes = {
            "Driver": o.get("driver", "ODBC Driver 18 for SQL Server"), "Server": f"{o['host']},{o['port']}", "Database": o["database"],
            "Encrypt": o.get("tls", "yes"), "ApplicationIntent": "ReadOnly", "APP": "kho",
        }  # fmt: skip
        super().__init__(attributes, source, password, ("SET LOCK_TIMEOUT 60000",))

    def _catalogue(self, schema: str, table: str) -> str:
        # SQL Server calls a row's version `timestamp`: a number of its own, no time.
        return f"""
            SELECT COLUMN_NAME, CASE DATA_TYPE WHEN 'timestamp' THEN 'rowversion' ELSE DATA_TYPE END AS DATA_TYPE, IS_NULLABLE
            FROM INFORMATION_SCHEMA.COLUMNS
            WHERE TABLE_SCHEMA = N{literal(schema)} AND TABLE_NAME = N{literal(table)}
            ORDER BY ORDINAL_POSITION
        """


class OracleSession:
    """Oracle through python-oracledb in its thin mode: no Oracle software needed. Every read is a read-only transaction."""

    dialect = "oracle"

    def __init__(self, source: Source, password: Secret) -> None:
        o = source.options
        self._connection = _driver("oracledb").connect(
            user=o.get("user"), password=password.reveal(), host=o["host"], port=int(o["port"]), service_name=o["serviceName"],
            protocol="tcps" if o.get("tls") else "tcp", tcp_connect_timeout=CONNECT_SECONDS,
        )  # fmt: skip

    def columns(self, schema: str, table: str) -> list[SourceColumn]:
        with self._connection.cursor() as cursor:
            cursor.execute(
                """
                SELECT column_name, data_type, nullable
                FROM all_tab_columns
                WHERE owner = :schema AND table_name = :name
                ORDER BY column_id
                """,
                {"schema": schema, "name": table},
            )
            return [source_column(name, kind, nullable == "Y", oracle=True) for name, kind, nullable in cursor.fetchall()]

    def read(self, sql: str) -> pa.RecordBatchReader:
        self._connection.rollback()
        with self._connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
        frames = self._connection.fetch_df_batches(sql, size=BATCH_ROWS)
        first = pa.table(next(frames))  # there is always one, if only to say which columns there are

        def batches() -> Iterator[pa.RecordBatch]:
            yield from first.to_batches()
            for frame in frames:
                yield from pa.table(frame).to_batches()

        return pa.RecordBatchReader.from_batches(first.schema, batches())

    def close(self) -> None:
        self._connection.close()


_SESSIONS: dict[str, Any] = {"postgres": PostgresSession, "mysql": MysqlSession, "sqlserver": SqlServerSession, "oracle": OracleSession}
