"""A folder for what a reader makes of a file before it can be read: unpacked, transcoded, repaired."""

import shutil
import tempfile
import weakref
from pathlib import Path

import duckdb


class Scratch:
    """A folder beside the connection's own spill files; it goes when the last source that reads from it goes."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        row = connection.execute("SELECT current_setting('temp_directory')").fetchone()
        spill = Path(row[0]).parent if row and row[0] else None
        if spill:
            spill.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="reading-", dir=spill))
        self._end = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)

    def file(self, name: str) -> Path:
        """A new file in the folder; ``name`` is the reader's own, never the sender's."""
        return self.folder / f"{len(list(self.folder.iterdir()))}-{name}"
