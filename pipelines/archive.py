"""Every delivery as it came, kept by the hash of its bytes."""

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path, PurePosixPath

CHUNK = 1 << 20
SUFFIX = re.compile(r"(\.[a-z0-9]{1,16}){1,2}")


class Changed(Exception):
    """A file was written to, or replaced, while it was read: it is not a delivery yet."""


def digest(file: Path) -> str:
    """SHA-256 of a file, streamed."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def keep(archive: Path, file: Path) -> tuple[str, Path]:
    """Copy ``file`` into the archive, durably, and return its SHA-256 and its place there.

    The hash is of the bytes that were copied, so a file replaced while it is read cannot be archived under another's name.
    Raises `Changed` when the file did not hold still; nothing is kept then.
    """
    archive.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=archive, prefix=".arriving-")
    temporary = Path(name)
    try:
        sha = hashlib.sha256()
        with file.open("rb") as source, os.fdopen(descriptor, "wb") as target:
            before = os.fstat(source.fileno())
            while chunk := source.read(CHUNK):
                sha.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        if _marks(before) != _marks(file.lstat()):
            raise Changed(file.name)
        place = find(archive, sha.hexdigest(), suffix_of(file.name))
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            shutil.move(temporary, place)
        return sha.hexdigest(), place
    finally:
        temporary.unlink(missing_ok=True)


def suffix_of(name: str) -> str:
    """The suffix that says how a file is read: `.csv`, `.zip`, and both of `.csv.gz`."""
    path = PurePosixPath(name.lower())
    inner = PurePosixPath(path.stem).suffix
    return inner + path.suffix if path.suffix == ".gz" and inner[1:].isalpha() else path.suffix


def _marks(facts: os.stat_result) -> tuple[int, ...]:
    return facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def find(archive: Path, sha256: str, suffix: str) -> Path:
    """Where a delivery with this hash and file suffix is kept; a suffix that can be no format's is left out."""
    return archive / sha256[:2] / f"{sha256}{suffix if SUFFIX.fullmatch(suffix) else ''}"
