"""The catalogue that follows the register's files and the store's snapshots while requests are being served."""

import logging
import threading
from dataclasses import replace
from pathlib import Path

import duckdb

from catalog.facts import ReadableStore, read_facts
from catalog.publish import Catalogue, build, index_of
from pipelines.contract import InvalidRegister, load_register, register_state

log = logging.getLogger(__name__)


class Live:
    """Holds the newest good `Catalogue`. Readers take the reference once per request; a rebuild swaps it in one step."""

    def __init__(self, root: Path, store: ReadableStore) -> None:
        """Builds the first catalogue at once; raises `InvalidRegister` when there is no good register to start from."""
        self.store = store
        self._root = root
        self._files = register_state(root)
        register = load_register(root)
        self._catalogue = build(register, read_facts(store))
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._connecting = threading.Lock()
        self._stop = threading.Event()

    @property
    def catalogue(self) -> Catalogue:
        return self._catalogue

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """A cursor of the one read-only connection, for one request; raises `StoreMissing` while nothing is stored."""
        with self._connecting:
            if self._connection is None:
                self._connection = self.store.reader()
        cursor = self._connection.cursor()
        cursor.execute("USE lake")
        return cursor

    def refresh(self) -> bool:
        """Rebuild what changed since the last look; whether anything did."""
        files, snapshot = register_state(self._root), self.store.snapshot()
        old = self._catalogue
        if files == self._files and snapshot == old.snapshot:
            return False
        register, index, mistakes = old.register, old.index, old.mistakes
        if files != self._files:
            try:
                register = load_register(self._root)
                index, mistakes = index_of(register), ()
            except InvalidRegister as invalid:
                mistakes = tuple(map(str, invalid.problems))
                log.error("the register is invalid; the catalogue keeps the last good one\n%s", "\n".join(mistakes))
            self._files = files
        self._catalogue = replace(build(register, read_facts(self.store), index), mistakes=mistakes)
        return True

    def follow(self, seconds: float = 1.0) -> None:
        """Look for changes in a background thread until `stop`."""
        threading.Thread(target=self._follow, args=(seconds,), name="catalogue", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def _follow(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            try:
                self.refresh()
            except Exception:  # the next look may succeed; the last good catalogue stays
                log.exception("the catalogue could not be rebuilt")
