"""The drop folder: which of its entries are deliveries, whole, and in what order.

Files come by SMB, scp, rsync or a person's hand; few of these write under another name and rename at the end, and none
says when it is done. A file is therefore a delivery only when everything agrees that nobody writes it any more: its name,
the time since its last change, the system's list of open files where it can be asked, and the closing mark of formats
that have one.
"""

import fcntl
import hashlib
import json
import os
import signal
import stat
import time
import unicodedata
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

UNFINISHED_STARTS = (".", "~")
"""Hidden, an Office owner file (`~$so-lieu.xlsx`), a LibreOffice lock (`.~lock.so-lieu.ods#`), rsync's `.so-lieu.xlsx.Xy12`."""

UNFINISHED_ENDS = (".part", ".partial", ".filepart", ".tmp", ".temp", ".crdownload", ".download", ".swp", ".done", "~")
"""Partial copies of browsers, WinSCP, FileZilla and editors; and the empty mark that follows a finished upload."""

UNSHOWN = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Unicode categories: controls, formatting (among it the reversal of direction), bytes that are no UTF-8, line separators."""

CLUTTER = ("thumbs.db", "desktop.ini")

CHUNK = 1 << 20
SHOWN_DIGITS = 16
"""Of a file's hash in the name under which `put` leaves it."""

PATIENCE = 30
"""Times the quiet time that a file without its closing mark may pause (a connection lost and taken up again) before it
goes to the gate, which refuses it as damaged."""


def unfinished_name(name: str) -> bool:
    """Whether a file of this name is not, or not yet, a delivery."""
    folded = name.lower()
    return name.startswith(UNFINISHED_STARTS) or folded.endswith(UNFINISHED_ENDS) or folded in CLUTTER


def shown_name(name: str) -> str:
    """A file's name as ledger and pages may show it: composed letters, no line break, no reversal of the reading direction."""
    return "".join("�" if unicodedata.category(letter) in UNSHOWN else letter for letter in unicodedata.normalize("NFC", name))


@dataclass(frozen=True)
class Dropped:
    """A file of the drop folder as it was when it was looked at."""

    path: Path
    inode: int
    size: int
    modified_ns: int
    changed_ns: int
    """When content, name or attributes last changed, by the file system's own clock: a sender can set ``modified_ns`` back, not this."""

    @classmethod
    def of(cls, path: Path, facts: os.stat_result) -> "Dropped":
        return cls(path, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)

    @property
    def name(self) -> str:
        return shown_name(self.path.name)

    def unchanged(self) -> bool:
        """Whether the same file is there still, untouched since the look."""
        try:
            return self == Dropped.of(self.path, self.path.lstat())
        except FileNotFoundError:
            return False


@dataclass(frozen=True)
class Look:
    """What the drop folder of one dataset holds."""

    ready: tuple[Dropped, ...] = ()
    """Whole files, the oldest first."""
    arriving: tuple[Path, ...] = ()
    """Files that are being written, as far as one can tell."""
    passed_over: tuple[tuple[Path, str], ...] = ()
    """What is never read, and why."""
    wait: float = 0.0
    """Seconds after which the files that have just changed will have been quiet for long enough."""


def look(folder: Path, quiet: float, taken: frozenset[Dropped] = frozenset()) -> Look:
    """Look into a dataset's folder once. ``quiet``: seconds without a change after which a file counts as written.

    ``taken`` are files taken in before that could not be removed. Raises `OSError` when the folder cannot be read.
    """
    ready, arriving, passed_over, wait, now = [], [], [], 0.0, time.time()
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return Look()
    with entries:
        for entry in entries:
            if unfinished_name(entry.name):
                continue
            path = folder / entry.name
            try:
                facts = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # taken away while we looked
            dropped = Dropped.of(path, facts)
            age = now - facts.st_ctime
            if not stat.S_ISREG(facts.st_mode):
                passed_over.append((path, _kind(facts.st_mode)))
            elif dropped in taken:
                passed_over.append((path, "taken in already, and cannot be removed: check the folder's permissions"))
            elif 0 <= age < quiet:  # a change in the future is a clock that differs: it says nothing
                arriving.append(path)
                wait = max(wait, quiet - age)
            elif _being_written(path) or (age < PATIENCE * quiet and _lacks_its_end(path)):
                arriving.append(path)
            else:
                ready.append(dropped)
    ready.sort(key=lambda d: (d.modified_ns, d.path.name))
    return Look(tuple(ready), tuple(arriving), tuple(passed_over), wait)


def settled(folder: Path, quiet: float, taken: frozenset[Dropped] = frozenset()) -> Look:
    """`look`, after giving files that have just changed the time to be quiet: ``quiet`` seconds at the most."""
    first = look(folder, quiet, taken)
    if not first.wait:
        return first
    time.sleep(first.wait)
    return look(folder, quiet, taken)


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder: put the files themselves here"
    if stat.S_ISLNK(mode):
        return "a symbolic link: links are not followed"
    return "not a regular file"


def _being_written(path: Path) -> bool:
    """Whether any process of this machine has the file open for writing; False where the system cannot tell.

    Linux grants a read lease only on a file that nobody has open for writing. It is given back at once: a writer who comes
    in between would have to wait, and we would be sent the signal.
    """
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False  # who archives the file will say what is wrong
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)  # the usual signal would end the process; this one is ignored
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # another user's file, or a file system without leases (NFS, SMB)
    finally:
        os.close(descriptor)
    return False


def _lacks_its_end(path: Path) -> bool:
    """Whether the file begins as a zip (XLSX and ODS are zips) or as Parquet, and does not end as one."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start == b"PK\x03\x04":
                return not zipfile.is_zipfile(file)
            if start == b"PAR1":
                file.seek(-4, os.SEEK_END)
                return file.read() != start
    except OSError:
        return False
    return False


def clear(dropped: Dropped, memory: Path) -> bool:
    """Remove a file that was taken in, unless another has come under its name meanwhile.

    False when it cannot be removed: then ``memory`` keeps its marks, and `taken` tells it from a new delivery for ever.
    """
    if not dropped.unchanged():
        return True
    try:
        dropped.path.unlink(missing_ok=True)
    except OSError:
        marks = [os.fspath(dropped.path), dropped.inode, dropped.size, dropped.modified_ns, dropped.changed_ns]
        with memory.open("a", encoding="ascii") as lines:
            lines.write(json.dumps(marks) + "\n")
        return False
    return True


def taken(memory: Path) -> frozenset[Dropped]:
    """The files that `clear` could not remove."""
    try:
        lines = memory.read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return frozenset()
    return frozenset(Dropped(Path(path), *marks) for path, *marks in map(json.loads, lines))


# ---- putting a file there


class Readable(Protocol):
    """Bytes that come piece by piece."""

    def read(self, size: int, /) -> bytes: ...


class TooLarge(Exception):
    """More bytes came than may."""


class Incomplete(Exception):
    """Nothing came, or not what was announced."""


@dataclass(frozen=True)
class Landed:
    """A file put into the drop folder."""

    path: Path
    sha256: str
    size: int


def put(folder: Path, name: str, body: Readable, limit: int, size: int | None = None, sha256: str | None = None) -> Landed:
    """Write ``body`` into the drop folder: seen whole or not at all, the same bytes under one name however often they come.

    ``size`` and ``sha256`` are what the sender announced. Raises `TooLarge` above ``limit`` bytes, `Incomplete` when the
    body is empty or not what was announced, and whatever ``body`` raises; then nothing is left in the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f".{uuid.uuid4()}.upload"
    digest, came = hashlib.sha256(), 0
    try:
        with unfinished.open("xb") as target:
            while chunk := body.read(CHUNK):
                came += len(chunk)
                if came > limit:
                    raise TooLarge
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        if size is not None and came != size:
            raise Incomplete(f"{came:,} of {size:,} bytes came: send the file again")
        if came == 0:
            raise Incomplete("the file is empty")
        if sha256 is not None and digest.hexdigest() != sha256:
            raise Incomplete(f"the file arrived damaged: its sha256 here is {digest.hexdigest()}")
        clean = PurePosixPath(shown_name(name))
        landed = folder / f"{clean.stem}.{digest.hexdigest()[:SHOWN_DIGITS]}{clean.suffix}"
        unfinished.replace(landed)
        return Landed(landed, digest.hexdigest(), came)
    finally:
        unfinished.unlink(missing_ok=True)


def waiting(folder: Path, sha256: str) -> bool:
    """Whether a file that `put` wrote still waits there."""
    mark = f".{sha256[:SHOWN_DIGITS]}."
    return folder.is_dir() and any(mark in path.name for path in folder.iterdir())
