"""Tables in agencies' databases, read from real PostgreSQL and MariaDB servers through the public door: `take`."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from pipelines.sources import SourceUnavailable
from pipelines.sources.database.sessions import open_session
from pipelines.sources.secrets import MissingSecret
from tests.databases import OWNER, PASSWORD, Mariadb, Postgres
from tests.warehouse import Warehouse, column, contract

DATASET = "mot-cua/ho-so"
COLUMNS = [
    column("ma", required=True, primaryKey=True, title="Mã"),
    column("ten", required=True, title="Tên"),
    column("tien", "number", title="Số tiền"),
    column("ngay", "date", title="Ngày"),
    column("luc", "timestamp", title="Lúc"),
    column("xong", "boolean", title="Xong"),
]


NUMBERS = count(1)


@pytest.fixture
def names() -> str:
    """A name that no other test has given to a schema or table."""
    return f"bang_{next(NUMBERS)}"


class Agency:
    """An agency's database with one table, and a dataset that comes from it."""

    def __init__(self, warehouse: Warehouse, server: Postgres | Mariadb, schema: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.warehouse, self.server, self.schema = warehouse, server, schema
        self.table = f"{schema}.ho_so" if isinstance(server, Postgres) else f"nguon.{schema}"
        monkeypatch.setenv("KHO_SECRET_MOT_CUA", PASSWORD if isinstance(server, Postgres) else "")
        if isinstance(server, Postgres):
            self.run(f"CREATE SCHEMA {schema}")

    def run(self, *statements: str) -> list[Any]:
        return self.server.run(*(s.replace("$t", self.table) for s in statements))

    def create(self, rows: int = 5) -> None:
        """A table of ``rows`` rows with keys `K0001`… and times a minute apart."""
        if isinstance(self.server, Postgres):
            self.run(
                """CREATE TABLE $t (ma varchar(20) PRIMARY KEY, ten text NOT NULL, tien numeric, ngay date, luc timestamptz,
                                    xong boolean, noi_bo text)""",
                f"""INSERT INTO $t SELECT 'K' || lpad(i::text, 4, '0'), 'Hồ sơ ' || i, i * 1.25, date '2023-01-01' + i,
                    timestamp '2023-01-01 00:00' + i * interval '1 minute', i % 2 = 0, 'riêng' FROM generate_series(1, {rows}) i""",
            )
        else:
            self.run(
                """CREATE TABLE $t (ma varchar(20) PRIMARY KEY, ten varchar(100) NOT NULL, tien decimal(20, 4), ngay date, luc datetime(6),
                                    xong bit(1), noi_bo longtext) CHARACTER SET utf8mb4""",
                f"""INSERT INTO $t SELECT concat('K', lpad(seq, 4, '0')), concat('Hồ sơ ', seq), seq * 1.25,
                    date '2023-01-01' + INTERVAL seq DAY, timestamp('2023-01-01') + INTERVAL seq MINUTE, seq % 2 = 0, 'riêng'
                    FROM seq_1_to_{rows}""",
            )

    def contract(self, load_mode: str = "replace", of: list[dict[str, Any]] | None = None, **properties: Any) -> None:
        """Write the dataset's contract, its source this table."""
        properties = {"user": OWNER, "secret": "MOT_CUA"} | properties
        if isinstance(self.server, Postgres):
            entry = {"type": "postgres", "database": "postgres", "schema": self.schema}
        else:
            entry = {"type": "mysql", "database": "nguon"}
            properties = {"table": self.schema} | properties
        document = contract(DATASET, of or COLUMNS, loadMode=load_mode)
        document["servers"] = [
            {
                "server": "mot-cua", "host": "127.0.0.1", "port": self.server.port, **entry,
                "customProperties": [{"property": k, "value": v} for k, v in properties.items() if v is not None],
            }
        ]  # fmt: skip
        self.warehouse.add(document)

    def take(self) -> Any:
        return self.warehouse.take(DATASET)

    def rows(self, what: str = "*") -> list[tuple[Any, ...]]:
        return self.warehouse.rows(f"SELECT {what} FROM mot_cua.ho_so ORDER BY ma")

    def ledger(self) -> list[tuple[Any, ...]]:
        return self.warehouse.rows("SELECT outcome, file_name, rows_read, reading, reasons FROM kho.ledger ORDER BY finished_at")


@pytest.fixture(params=["postgres", "mariadb"])
def agency(request: pytest.FixtureRequest, warehouse: Warehouse, names: str, monkeypatch: pytest.MonkeyPatch) -> Agency:
    return Agency(warehouse, request.getfixturevalue(request.param), names, monkeypatch)


@pytest.fixture
def postgres_agency(postgres: Postgres, warehouse: Warehouse, names: str, monkeypatch: pytest.MonkeyPatch) -> Agency:
    return Agency(warehouse, postgres, names, monkeypatch)


def test_a_table_comes_whole_typed_and_with_the_contracts_columns_alone(agency: Agency) -> None:
    agency.create(3)
    agency.contract()
    outcome = agency.take()
    assert (outcome.verdict, outcome.rows_accepted) == ("accepted", 3)
    assert agency.rows("ma, ten, CAST(tien AS DOUBLE), CAST(ngay AS VARCHAR), CAST(luc AS VARCHAR), xong")[1] == (
        "K0002", "Hồ sơ 2", 2.5, "2023-01-03", "2023-01-01 00:02:00", True,
    )  # fmt: skip
    kept = agency.warehouse.settings.archive / outcome.sha256[:2] / f"{outcome.sha256}.parquet"
    assert kept.exists() and "riêng".encode() not in kept.read_bytes()
    assert "noi_bo" in agency.ledger()[0][3]


def test_reading_again_what_did_not_change_is_no_delivery(agency: Agency) -> None:
    agency.create()
    agency.contract()
    agency.take()
    assert agency.take().verdict == "unchanged"
    agency.run("UPDATE $t SET ten = 'khác' WHERE ma = 'K0001'")
    assert agency.take().verdict == "accepted"
    assert len(agency.ledger()) == 2


@pytest.mark.parametrize("window", [0, 1, 3, 7])
def test_windows_of_any_size_bring_every_row_once(agency: Agency, window: int) -> None:
    agency.create(7)
    agency.contract(window=window)
    assert agency.take().rows_accepted == 7
    assert [ma for (ma,) in agency.rows("ma")] == [f"K000{i}" for i in range(1, 8)]


def test_keys_of_two_columns_that_repeat_or_are_empty_lose_no_row(agency: Agency) -> None:
    """Rows of one key are never parted between windows, and rows without a key still reach the gate, which holds them."""
    agency.run(
        "CREATE TABLE $t (xa varchar(10), so integer, ten varchar(20))",
        "INSERT INTO $t VALUES ('a', 1, 'x'), ('a', 2, 'x'), ('b', 1, 'x'), ('b', 1, 'lặp'), ('b', 1, 'lặp nữa'), ('c', NULL, 'x'), (NULL, 9, 'x'), ('d', 1, 'x')",
    )
    columns = [
        column("xa", primaryKey=True, primaryKeyPosition=1),
        column("so", "integer", primaryKey=True, primaryKeyPosition=2),
        column("ten"),
    ]
    agency.contract(of=columns, window=2, table="ho_so" if isinstance(agency.server, Postgres) else agency.schema)
    outcome = agency.take()
    assert (outcome.rows_read, outcome.rows_accepted, outcome.rows_quarantined) == (8, 4, 4)


def test_a_cursor_brings_what_is_new_ties_and_late_rows_with_it(agency: Agency) -> None:
    agency.create(100)
    agency.contract("merge", cursor="luc", overlap=600, window=30)
    assert agency.take().rows_read == 100
    assert agency.take().verdict == "unchanged"
    add = "INSERT INTO $t (ma, ten, luc) VALUES "
    agency.run(add + "('M1', 'bằng mốc', '2023-01-01 01:40:00')", add + "('M2', 'đến muộn', '2023-01-01 01:35:00')")
    agency.run(add + "('M3', 'quá muộn', '2023-01-01 00:10:00')", add + "('M4', 'không mốc', NULL)")
    outcome = agency.take()
    assert outcome.verdict == "accepted" and outcome.rows_read == 11 + 3  # the last ten minutes again, and three of the four
    assert {ma for (ma,) in agency.rows("ma") if ma.startswith("M")} == {"M1", "M2", "M4"}
    assert outcome.rows_total == 103
    assert agency.take().verdict == "unchanged"
    assert "since" in agency.ledger()[-1][1]


def test_the_cursor_stays_where_it_was_when_a_delivery_is_refused(agency: Agency) -> None:
    agency.create(10)
    agency.contract("merge", cursor="luc", overlap=0)
    agency.take()
    agency.run("INSERT INTO $t (ma, ten, luc, ngay) VALUES ('M1', 'x', '2023-02-01 00:00:00', '2023-02-01')")
    agency.run("UPDATE $t SET ten = ' ' WHERE ma = 'K0010'", "UPDATE $t SET ten = ' ' WHERE ma = 'M1'")
    assert agency.take().verdict == "refused"
    lines = len(agency.ledger())
    again = agency.take()
    assert (again.verdict, again.standing, len(agency.ledger())) == ("unchanged", "refused", lines), "the same refusal is not told twice"
    agency.run("UPDATE $t SET ten = 'sửa' WHERE ten = ' '")
    assert agency.take().verdict == "accepted"
    assert ("M1", "sửa") in agency.rows("ma, ten")


def test_a_changed_contract_reads_everything_anew(agency: Agency) -> None:
    agency.create(10)
    agency.contract("merge", of=COLUMNS[:2], cursor="luc")
    agency.take()
    agency.contract("merge", of=COLUMNS[:3], cursor="luc")
    assert agency.take().rows_read == 10
    assert all(tien for (tien,) in agency.rows("tien"))


@pytest.mark.parametrize(
    ("change", "rule", "said"),
    [
        ("ALTER TABLE $t RENAME COLUMN ten TO ten_ho_so", "missing_column", "ten"),
        ("ALTER TABLE $t DROP COLUMN ngay", None, "ngay"),
        ("ALTER TABLE $t ADD COLUMN moi integer", None, "moi"),
        ("DROP TABLE $t", "missing_table", "ho"),
    ],
)
def test_drift_is_seen_before_loading(agency: Agency, change: str, rule: str | None, said: str) -> None:
    agency.create()
    agency.contract()
    agency.take()
    agency.run(change, *(["UPDATE $t SET ten = 'x'"] if rule is None else []))
    outcome = agency.take()
    if rule is None:
        assert outcome.verdict == "accepted" and said in agency.ledger()[-1][3]
    else:
        assert outcome.verdict == "refused" and outcome.reasons[0].rule == rule and said in outcome.reasons[0].vi
        assert len(agency.rows()) == 5, "the last release stays"
        assert agency.take().standing == "refused" and len(agency.ledger()) == 2


def test_a_type_that_can_hold_nothing_of_the_contracts_is_withheld(postgres_agency: Agency) -> None:
    agency = postgres_agency
    agency.create()
    agency.contract()
    agency.take()
    agency.run("ALTER TABLE $t ALTER COLUMN ngay TYPE boolean USING true")
    outcome = agency.take()
    assert outcome.verdict == "refused" and (outcome.reasons[0].rule, outcome.reasons[0].column) == ("retyped_column", "ngay")
    agency.run("ALTER TABLE $t ALTER COLUMN ngay TYPE text USING '05/02/2023'")
    assert agency.take().verdict == "accepted"
    assert "date → text" in agency.ledger()[-1][3]
    assert agency.rows("CAST(ngay AS VARCHAR)")[0] == ("2023-02-05",)


def test_columns_of_another_name_are_mapped_by_the_contract(agency: Agency) -> None:
    agency.create()
    quote = '"' if isinstance(agency.server, Postgres) else "`"
    agency.run(f"ALTER TABLE $t RENAME COLUMN ten TO {quote}Họ & TÊN{quote}")
    agency.contract(columns={"ten": "Họ & TÊN"})
    assert agency.take().verdict == "accepted"
    assert agency.rows("ten")[0] == ("Hồ sơ 1",)


@pytest.mark.parametrize("values", [["Infinity"], ["NaN"], ["12345678901234.5678"]])
def test_numbers_keep_every_digit_and_strange_ones_are_held(postgres_agency: Agency, values: list[str]) -> None:
    agency = postgres_agency
    agency.create(4)
    agency.run(f"UPDATE $t SET tien = '{values[0]}' WHERE ma = 'K0001'")
    agency.contract()
    outcome = agency.take()
    if values[0][0].isdigit():
        assert agency.rows("CAST(tien AS VARCHAR)")[0] == (values[0],)
    else:
        assert outcome.rows_quarantined == 1


def test_the_server_refuses_to_write(agency: Agency) -> None:
    """The session is read-only at the server, not by our good intentions: it would be told to write, and a function of theirs writes."""
    agency.create()
    agency.contract()
    function = "ghi_" + agency.schema
    body = f"BEGIN INSERT INTO {agency.table} (ma, ten) VALUES ('W', 'w'); RETURN 'x'; END"
    if isinstance(agency.server, Postgres):
        agency.run(f"CREATE FUNCTION {function}() RETURNS text LANGUAGE plpgsql AS $$ {body} $$")
    else:
        agency.run(f"CREATE FUNCTION {function}() RETURNS text MODIFIES SQL DATA {body}")
    source = agency.warehouse.intake().register.contracts[DATASET].source
    assert source
    for statement in (f"INSERT INTO {agency.table} (ma, ten) VALUES ('W', 'w')", f"SELECT {function}() AS x"):
        with pytest.raises(SourceUnavailable, match=r"(?i)read.only"), open_session(source) as session:
            session.read(statement).read_all()
    assert agency.run("SELECT count(*) FROM $t") == [(5,)]


def test_a_read_that_was_cut_off_goes_on_after_the_last_whole_window(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    agency.create(50)
    agency.contract(window=10)
    from pipelines.sources.database import sessions

    kind = sessions.PostgresSession if isinstance(agency.server, Postgres) else sessions.OdbcSession
    read, asked = kind.read, []

    def breaking(self: Any, sql: str) -> Any:
        asked.append(sql)
        if len(asked) == 8:
            agency.run(*_kill_others(agency.server))
        return read(self, sql)

    monkeypatch.setattr(kind, "read", breaking)
    with pytest.raises(SourceUnavailable):
        agency.take()
    before = len(asked)
    asked.extend([""] * 100)
    assert agency.take().rows_accepted == 50
    assert "resumed" in agency.ledger()[0][3] and 0 < len([sql for sql in asked if sql]) - before < 9
    assert not list((agency.warehouse.settings.staging / "sources").glob("*/*")), "nothing is left in staging"


def _kill_others(server: Postgres | Mariadb) -> list[str]:
    if isinstance(server, Postgres):
        return ["SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'kho'"]
    return [f"KILL {pid}" for (pid,) in server.run(
        "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND user = 'chu' AND command = 'Sleep'"
    )]  # fmt: skip


def test_no_transaction_is_held_open_between_windows(postgres_agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    agency = postgres_agency
    agency.create(30)
    agency.contract(window=10)
    from pipelines.sources.database import sessions

    states: list[str] = []
    read = sessions.PostgresSession.read

    def watching(self: Any, sql: str) -> Any:
        states.extend(row[0] for row in agency.run("SELECT state FROM pg_stat_activity WHERE application_name = 'kho'"))
        return read(self, sql)

    monkeypatch.setattr(sessions.PostgresSession, "read", watching)
    agency.take()
    assert len(states) > 4 and set(states) == {"idle"}


def test_what_cannot_be_reached_says_where_and_is_shown_until_it_can(agency: Agency) -> None:
    agency.create()
    port = agency.server.port
    agency.server.port = 1
    agency.contract()
    try:
        with pytest.raises(SourceUnavailable, match=r"mot-cua .*127\.0\.0\.1:1"):
            agency.take()
        with pytest.raises(SourceUnavailable):
            agency.take()
        trouble = agency.warehouse.rows("SELECT trouble FROM kho.sources")
        assert len(trouble) == 1, "the same trouble is noted once"
    finally:
        agency.server.port = port
    agency.contract()
    assert agency.take().verdict == "accepted"
    assert agency.warehouse.intake().store.source_state(DATASET).trouble is None  # type: ignore[union-attr]


def test_an_installation_gives_its_own_address(agency: Agency) -> None:
    agency.create()
    port, agency.server.port = agency.server.port, 1
    agency.contract()
    agency.server.port = port
    agency.warehouse.settings.home.mkdir(parents=True, exist_ok=True)
    (agency.warehouse.settings.home / "servers.yaml").write_text(f"mot-cua: {{port: {port}, synthetic: true}}")
    outcome = agency.take()
    assert outcome.verdict == "accepted" and outcome.synthetic and "synthetic" in outcome.file_name


def test_a_secret_that_is_not_set_is_named(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    agency.create()
    agency.contract(secret="KHONG_CO")
    with pytest.raises(MissingSecret, match="KHO_SECRET_KHONG_CO"):
        agency.take()


def test_memory_stays_flat_whatever_the_table(postgres_agency: Agency, tmp_path: Path) -> None:
    """A process that may take little more than its libraries reads a table several times that size."""
    agency = postgres_agency
    agency.run(
        "CREATE TABLE $t AS SELECT i AS ma, repeat(md5(i::text), 12) AS ten FROM generate_series(1, 400000) i",
        "ALTER TABLE $t ADD PRIMARY KEY (ma)",
    )
    agency.contract(of=[column("ma", "integer", primaryKey=True), column("ten")], window=50_000)
    program = f"""
import resource, sys
from pathlib import Path
from pipelines.contract import load_register
from pipelines.sources.kinds import fetcher
contract = load_register(Path({str(agency.warehouse.settings.register)!r})).contracts[{DATASET!r}]
fetch = fetcher("postgres")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
(fetched,) = fetch(contract, {{}}, Path({str(tmp_path)!r}))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, fetched.file.stat().st_size)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ.copy())
    assert done.returncode == 0, done.stderr
    grown, _ = map(int, done.stdout.split())
    assert grown < 130_000, f"{grown} kB for a table of 150 MB"
