"""Dagster's SQLite event log with its database engines kept open.

The stock storage makes a SQLAlchemy engine for every event and compiles every statement anew; with 226 datasets that is
most of a run (docs/decisions/003-orchestration.md has the measurement). Overrides one private method: Dagster is pinned,
and tests/pipelines/test_orchestration.py materialises through this storage and reads back.
"""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as db
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

MAX_ENGINES = 32
BUSY_TIMEOUT_SECONDS = 10


class PooledSqliteEventLogStorage(SqliteEventLogStorage):
    """Same files, same schema, same locking; one engine per run database instead of one per event."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "PooledSqliteEventLogStorage":
        return cls(inst_data=inst_data, **config_value)

    def _engine(self, shard: str) -> Engine:
        if shard not in self._engines:
            if len(self._engines) >= MAX_ENGINES:
                self._engines.popitem(last=False)[1].dispose()
            engine = db.create_engine(
                self.conn_string_for_shard(shard), poolclass=QueuePool, connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
            )
            # With the write-ahead log, NORMAL loses at most the newest events to a power cut, never consistency.
            db.event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=NORMAL"))
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        return self._engines[shard]

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock:
            engine = self._engine(shard)
            if shard not in self._initialized_dbs:
                self._initdb(engine)
                self._initialized_dbs.add(shard)
            with engine.begin() as connection:
                yield connection

    def dispose(self) -> None:
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        super().dispose()
