"""Files of another machine: which are new, whole and unchanged, brought into the staging folder so that a cut is taken up again."""

import fcntl
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar

from pipelines.archive import SUFFIX
from pipelines.contract import Contract
from pipelines.sources import Fetched, SourceUnavailable
from pipelines.sources.dropfolder import shown_name, unfinished_name

SYNTHETIC_MARK = "synthetic"
T = TypeVar("T")


@dataclass(frozen=True)
class RemoteFile:
    """A file as a listing shows it."""

    name: str
    size: int
    version: str
    """Changes with the content, as far as the place can tell: an ETag, or the time of modification."""
    modified: float
    """Seconds since 1970, by the other machine's clock: for the order alone."""


class Changed(Exception):
    """The file is not the listed one any more."""


class Place(Protocol):
    """One folder of another machine. Every method raises `SourceUnavailable` when the machine cannot be reached."""

    identity: str
    """Tells this place from all others; holds no secret."""

    def listing(self) -> list[RemoteFile]:
        """The files of the folder, nothing else."""
        ...

    def read(self, file: RemoteFile, offset: int) -> Iterator[bytes]:
        """The file's bytes from ``offset``. Raises `Changed` when it is seen to be another than listed."""
        ...

    def unchanged(self, file: RemoteFile) -> bool:
        """Whether the file, read to the end, is the listed one still."""
        ...

    def remove(self, name: str) -> None: ...


def options_of(contract: Contract, read: Callable[[Mapping[str, Any]], tuple[T | None, list[tuple[str, str]]]]) -> T:
    """The contract's source as its kind reads it. Raises `SourceUnavailable` when this installation's own address is a mistake."""
    assert contract.source
    options, faults = read(contract.source.options)
    if options is None:
        raise SourceUnavailable(f"{contract.source.server}: " + "; ".join(f"{message}: {fix}" for message, fix in faults))
    return options


def describe(place: Place, pattern: str) -> str:
    """What a place holds, in a line."""
    fitting = [file for file in place.listing() if fnmatchcase(file.name, pattern) and not unfinished_name(file.name)]
    return f"{len(fitting)} files fit {pattern}, {sum(file.size for file in fitting):,} bytes"


def pull(
    place: Place, pattern: str, state: dict[str, Any], staging: Path, *, steady_seconds: float = 0, done_mark: str | None = None,
    remove_taken: bool = False,
) -> Iterator[Fetched]:  # fmt: skip
    """What is new in ``place`` since ``state``, the oldest first; ``state`` is ``{"taken": {name: [version, size]}}``.

    A file is whole when its ``done_mark`` stands beside it or, without one, when two listings ``steady_seconds`` apart
    agree; 0 where a place shows whole files only. With ``remove_taken``, files that an earlier pull brought, and whose
    delivery was committed, are removed from the place.
    """
    taken: dict[str, list[Any]] = state.get("taken", {})
    listed = {file.name: file for file in place.listing()}
    fits = lambda name: fnmatchcase(name, pattern) and not unfinished_name(name)
    known = {name: taken[name] for name in taken if name in listed}
    new = [file for file in listed.values() if fits(file.name) and known.get(file.name) != [file.version, file.size]]
    if remove_taken:
        for name in [n for n, marks in known.items() if marks == [listed[n].version, listed[n].size]]:
            place.remove(name)
            if done_mark and f"{name}{done_mark}" in listed:
                place.remove(f"{name}{done_mark}")
    if done_mark:
        new = [file for file in new if f"{file.name}{done_mark}" in listed]
    elif new and steady_seconds:
        time.sleep(steady_seconds)
        again = set(place.listing())
        new = [file for file in new if file in again]
    for file in sorted(new, key=lambda f: (f.modified, f.name)):
        try:
            fetched = _fetch(place, file, staging)
        except Changed:
            continue  # the next pull finds what it has become
        known = {**known, file.name: [file.version, file.size]}
        name = shown_name(file.name)
        yield Fetched(fetched, name, {"taken": known}, SYNTHETIC_MARK in name.lower(), judged_once=True)


def _fetch(place: Place, file: RemoteFile, staging: Path) -> Path:
    """Bring ``file`` into ``staging``, going on where a cut one ended. Raises `Changed`."""
    marks = hashlib.sha256("\0".join((place.identity, file.name, file.version, str(file.size))).encode("utf-8", "surrogateescape"))
    unfinished = staging / f"{marks.hexdigest()}.part"
    staging.mkdir(parents=True, exist_ok=True)
    with unfinished.open("ab") as target:
        try:
            fcntl.flock(target, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SourceUnavailable(f"{shown_name(file.name)} is being fetched by another run") from None
        try:
            for chunk in place.read(file, target.tell()):
                target.write(chunk)
            if target.tell() != file.size or not place.unchanged(file):
                raise Changed(file.name)
        except Changed:
            unfinished.unlink()
            raise
        target.flush()
        suffix = PurePosixPath(file.name).suffix.lower()
        return unfinished.replace(unfinished.with_suffix(suffix if SUFFIX.fullmatch(suffix) else ""))
