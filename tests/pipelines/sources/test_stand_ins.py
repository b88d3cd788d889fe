"""SQL Server and Oracle, for which no server can be started here: our statements, translated, run on DuckDB behind the drivers' own
interfaces. What only the real ones show is not tested."""

import inspect
import re
from typing import Any

import arrow_odbc
import duckdb
import oracledb
import pyarrow as pa
import pytest
import sqlglot

from pipelines.sources import SourceUnavailable
from tests.warehouse import Warehouse, column, contract

ODBC_CONNECT, ORACLE_CONNECT = inspect.signature(arrow_odbc.connect), inspect.signature(oracledb.connect)
"""The drivers' own, so that a call which they would not take fails here too."""

DATASET = "mot-cua/ho-so"
COLUMNS = [
    column("ma", required=True, primaryKey=True), column("so", "integer"), column("ten", required=True), column("tien", "number"),
    column("luc", "timestamp"),
]  # fmt: skip
PASSWORD = "mật;khẩu}={của nguồn"


class Server:
    """A DuckDB that answers in place of the server, and remembers what it was told."""

    def __init__(self, dialect: str, schema: str) -> None:
        self.dialect = dialect
        self.told: list[str] = []
        self.given: dict[str, Any] = {}
        self.database = duckdb.connect()
        self.database.execute(f"CREATE SCHEMA {schema}")
        self.database.execute(
            f"CREATE TABLE {schema}.ho_so (ma VARCHAR NOT NULL, so BIGINT, ten VARCHAR, tien DECIMAL(18,4), luc TIMESTAMP, thua VARCHAR)"
        )
        self.database.execute(
            f"INSERT INTO {schema}.ho_so SELECT 'K' || i, i, 'Hồ sơ ' || i, i * 1.5, TIMESTAMP '2023-01-01' + i * INTERVAL 1 MINUTE, 'x' FROM range(1, 41) t(i)"
        )

    def answer(self, sql: str) -> pa.Table:
        self.told.append(sql)
        (ours,) = sqlglot.transpile(sql, read=self.dialect, write="duckdb")
        return self.database.execute(ours).to_arrow_table()


class OdbcReader:
    def __init__(self, table: pa.Table) -> None:
        self.schema, self._batches = table.schema, iter(table.to_batches())

    def __iter__(self) -> "OdbcReader":
        return self

    def __next__(self) -> pa.RecordBatch:
        return next(self._batches)


class OdbcConnection:
    def __init__(self, server: Server) -> None:
        self._server = server

    def read_arrow_batches(self, *given: Any, **named: Any) -> OdbcReader:
        call = inspect.signature(arrow_odbc.Connection.read_arrow_batches).bind(self, *given, **named)
        sql = call.arguments["query"]
        if sql.startswith("SET "):
            self._server.told.append(sql)
            return OdbcReader(pa.table({}))
        return OdbcReader(self._server.answer(sql))


class OracleCursor:
    def __init__(self, server: Server) -> None:
        self._server = server

    def __enter__(self) -> "OracleCursor":
        return self

    def __exit__(self, *_: Any) -> None: ...

    def execute(self, sql: str, values: dict[str, str] | None = None) -> None:
        self._server.told.append(sql)
        if values:
            self._rows = self._server.database.execute(sql.replace(":schema", "$schema").replace(":name", "$name"), values).fetchall()

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self._rows


class OracleConnection:
    def __init__(self, server: Server) -> None:
        self._server = server

    def cursor(self) -> OracleCursor:
        return OracleCursor(self._server)

    def rollback(self) -> None:
        self._server.told.append("ROLLBACK")

    def close(self) -> None: ...

    def fetch_df_batches(self, *given: Any, **named: Any) -> Any:
        sql = inspect.signature(oracledb.Connection.fetch_df_batches).bind(self, *given, **named).arguments["statement"]
        table = self._server.answer(sql)
        yield from (pa.Table.from_batches([batch], table.schema) for batch in table.to_batches(max_chunksize=7)) if len(table) else [table]


@pytest.fixture
def sqlserver(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server("tsql", "dbo")

    def connect(*given: Any, **named: Any) -> OdbcConnection:
        server.given = ODBC_CONNECT.bind(*given, **named).arguments
        return OdbcConnection(server)

    monkeypatch.setattr(arrow_odbc, "connect", connect)
    return server


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server("oracle", "KHO")
    server.database.execute(
        "CREATE TABLE all_tab_columns (owner VARCHAR, table_name VARCHAR, column_name VARCHAR, data_type VARCHAR, nullable VARCHAR, column_id INTEGER)"
    )
    kinds = ["VARCHAR2", "NUMBER", "NVARCHAR2", "NUMBER", "TIMESTAMP(6)", "CLOB"]
    for number, (name, kind) in enumerate(zip(["ma", "so", "ten", "tien", "luc", "thua"], kinds, strict=True)):
        server.database.execute(
            "INSERT INTO all_tab_columns VALUES ('KHO', 'HO_SO', ?, ?, ?, ?)", [name, kind, "N" if name == "ma" else "Y", number]
        )
    # What Oracle writes of a number, in DuckDB's words.
    monkeypatch.setattr(server, "answer", _with_numbers(server))

    def connect(**named: Any) -> OracleConnection:
        server.given = ORACLE_CONNECT.bind(**named).arguments
        return OracleConnection(server)

    monkeypatch.setattr(oracledb, "connect", connect)
    return server


def _with_numbers(server: Server) -> Any:
    answer = server.answer

    def translated(sql: str) -> pa.Table:
        return answer(re.sub(r"TO_CHAR\((source\.\"\w+\"), 'TM9', '[^)]*'\)", r"CAST(\1 AS VARCHAR2(60))", sql))

    return translated


def written(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any], **properties: Any) -> None:
    monkeypatch.setenv("KHO_SECRET_MOT_CUA", PASSWORD)
    document = contract(DATASET, COLUMNS, loadMode="merge")
    given = {"user": "kho", "secret": "MOT_CUA", "cursor": "luc", "overlap": 60, "window": 9} | properties
    document["servers"] = [
        {"server": "mot-cua", "host": "csdl.invalid", **entry, "customProperties": [{"property": k, "value": v} for k, v in given.items()]}
    ]
    warehouse.add(document)


SQLSERVER = {"type": "sqlserver", "port": 1433, "database": "MotCua", "schema": "dbo"}
ORACLE = {"type": "oracle", "port": 1521, "serviceName": "MOTCUA"}


@pytest.mark.parametrize("kind", ["sqlserver", "oracle"])
def test_whole_then_from_the_cursor_on(
    kind: str, request: pytest.FixtureRequest, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    server: Server = request.getfixturevalue(kind)
    written(warehouse, monkeypatch, SQLSERVER if kind == "sqlserver" else ORACLE)
    outcome = warehouse.take(DATASET)
    assert (outcome.verdict, outcome.rows_accepted) == ("accepted", 40), outcome.reasons
    assert warehouse.rows("SELECT so, ten, CAST(tien AS DOUBLE), CAST(luc AS VARCHAR) FROM mot_cua.ho_so WHERE ma = 'K7'") == [
        (7, "Hồ sơ 7", 10.5, "2023-01-01 00:07:00")
    ]
    assert warehouse.take(DATASET).verdict == "unchanged"
    schema = "dbo" if kind == "sqlserver" else "KHO"
    server.database.execute(f"INSERT INTO {schema}.ho_so VALUES ('M1', 1, 'mới', 1, TIMESTAMP '2023-01-01 00:40:00', NULL)")
    assert warehouse.take(DATASET).rows_read == 3
    assert not any("thua" in sql for sql in server.told if "FROM all_tab" not in sql), (
        "columns that the contract does not ask for stay there"
    )


def test_sql_server_is_told_that_we_only_read_and_its_braces_are_escaped(
    sqlserver: Server, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(warehouse, monkeypatch, SQLSERVER | {"database": "Mot}Cua;PWD=x"})
    warehouse.take(DATASET)
    text = sqlserver.given["connection_string"]
    assert "ApplicationIntent={ReadOnly};" in text and "Encrypt={yes};" in text and "Database={Mot}}Cua;PWD=x};" in text
    assert sqlserver.given["password"] == PASSWORD and PASSWORD not in text


def test_oracle_reads_in_read_only_transactions(oracle: Server, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    written(warehouse, monkeypatch, ORACLE)
    warehouse.take(DATASET)
    reads = [i for i, sql in enumerate(oracle.told) if sql.startswith("SELECT")]
    assert reads and all(oracle.told[i - 2 : i] == ["ROLLBACK", "SET TRANSACTION READ ONLY"] for i in reads)
    assert (oracle.given["service_name"], oracle.given["password"]) == ("MOTCUA", PASSWORD)


def test_a_driver_that_quotes_the_password_is_silenced(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(**_: Any) -> None:
        raise oracledb.DatabaseError(f"ORA-01017: invalid credential {PASSWORD}")

    monkeypatch.setattr(oracledb, "connect", connect)
    written(warehouse, monkeypatch, ORACLE)
    with pytest.raises(SourceUnavailable, match="ORA-01017") as caught:
        warehouse.take(DATASET)
    assert PASSWORD not in str(caught.value) and caught.value.__cause__ is None and caught.value.__suppress_context__
