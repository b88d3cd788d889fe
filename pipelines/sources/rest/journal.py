"""How far a pull has come: a file of rows, and a journal with one line per page, so that a pull cut off goes on where it was."""

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from pipelines.sources import SourceUnavailable
from pipelines.sources.rest.answer import Form, Page, Request

GOOD_FOR_SECONDS = 24 * 3600
"""Older progress is dropped: half of a pull should not be of yesterday."""
CHUNK = 1 << 20


@dataclass
class Position:
    """What has come so far, and what to ask next (None: nothing is left)."""

    next: Request | None
    pages: int = 0
    rows: int = 0
    bytes: int = 0
    total: int | None = None
    newest: str | None = None
    synthetic: bool = False
    resumed_after: int = 0
    """Pages that were there already when this pull began."""
    fields: frozenset[str] = frozenset()
    asked: set[str] = field(default_factory=set)
    """Marks of the requests made."""
    seen: set[str] = field(default_factory=set)
    """Marks of the pages' contents."""

    def advance(self, line: dict[str, Any]) -> None:
        """Take in what the journal's line says of one more page."""
        self.next = Request(**line["next"]) if line["next"] else None
        self.pages += 1
        self.rows += line["rows"]
        self.bytes = line["bytes"]
        self.total = self.total if line["total"] is None else line["total"]
        self.newest = line["newest"]
        self.synthetic = line["synthetic"]
        self.fields |= frozenset(line["fields"])
        self.asked.add(line["asked"])
        if line["content"]:
            self.seen.add(line["content"])


class Journal:
    """A context manager around one pull; nobody else pulls the same dataset meanwhile.

    ``identity`` is everything that the rows depend on: progress made under another one is dropped. No secret may be in it, nor in
    any request noted: the journal is a plain file.
    """

    def __init__(self, folder: Path, identity: str, form: Form) -> None:
        self._folder, self._identity, self._form = folder, identity, form
        self._rows, self._lines = folder / "rows.part", folder / "progress.jsonl"

    def __enter__(self) -> "Journal":
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = (self._folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise SourceUnavailable("another run is reading this source") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.close()

    def resume(self, start: Request) -> Position:
        """Where the last pull broke off; else the beginning."""
        position = self._position(start)
        if position is None:
            return self.begin(start)
        position.resumed_after = position.pages
        return position

    def begin(self, start: Request) -> Position:
        """Drop what has come and begin."""
        self._rows.write_bytes(self._form.head)
        self._lines.write_text(json.dumps({"of": self._identity}) + "\n", encoding="utf-8")
        self._hash = hashlib.blake2b(self._form.head, digest_size=16)
        return Position(start, bytes=len(self._form.head))

    def note(self, position: Position, request: Request, page: Page, follow: Request | None, newest: str | None) -> None:
        """Write a page's rows, then the line that says so."""
        content = self._form.between + page.content if position.rows and page.rows else page.content
        with self._rows.open("ab") as rows:
            rows.write(content)
        self._hash.update(content)
        line = {
            "asked": request.mark,
            "content": page.mark,
            "rows": page.rows,
            "bytes": position.bytes + len(content),
            "hash": self._hash.hexdigest(),
            "total": page.total,
            "newest": newest,
            "synthetic": position.synthetic,
            "fields": sorted(page.fields - position.fields),
            "next": asdict(follow) if follow else None,
        }
        with self._lines.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        position.advance(line)

    @contextmanager
    def finished(self, name: str) -> Iterator[Path]:
        """The whole file under ``name`` and its suffix; gone afterwards, and the progress with it."""
        self._lines.unlink()
        with self._rows.open("ab") as rows:
            rows.write(self._form.tail)
        try:
            yield self._rows.replace(self._folder / f"{name}{self._form.suffix}")
        finally:
            self.drop()

    def drop(self) -> None:
        """Forget the progress and remove every file of the pull."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _position(self, start: Request) -> Position | None:
        """The progress noted, where it is of the same pull, recent, and the rows are all there."""
        if not self._lines.exists() or not self._rows.exists() or time.time() - self._lines.stat().st_mtime > GOOD_FOR_SECONDS:
            return None
        try:
            identity, *lines = _whole_lines(self._lines)
            position = Position(start)
            for line in lines:
                position.advance(line)
        except (ValueError, KeyError, TypeError):
            return None  # written by another version, or by nobody
        if identity != {"of": self._identity} or not lines:
            return None
        self._hash = hashlib.blake2b(digest_size=16)
        with self._rows.open("r+b") as rows:
            for size in _steps(position.bytes):
                self._hash.update(rows.read(size))
            if self._hash.hexdigest() != lines[-1]["hash"]:
                return None  # the machine went down before the rows reached the disk
            rows.truncate(position.bytes)
        # A line cut off in the middle goes, so that the next one does not continue it.
        kept = "".join(json.dumps(line) + "\n" for line in (identity, *lines))
        self._lines.write_text(kept, encoding="utf-8")
        return position


def _whole_lines(file: Path) -> list[dict[str, Any]]:
    lines = []
    for text in file.read_text(encoding="utf-8").splitlines(keepends=True):
        if not text.endswith("\n"):
            break
        lines.append(json.loads(text))
    return lines or [{}]


def _steps(size: int) -> Iterator[int]:
    yield from (CHUNK for _ in range(size // CHUNK))
    yield size % CHUNK
