"""Putting a delivery down in the drop folder as one whole file: it is not seen before it is complete."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

NAME_BYTES = 200
_UNFIT = re.compile(r"[\x00-\x1f\x7f/\\\u202a-\u202e\u2066-\u2069]+")


def fit_name(name: str) -> str:
    """``name`` as a file name in our folder: no path, no control or direction characters, not hidden, not too long."""
    stem, dot, suffix = _UNFIT.sub("_", Path(name.replace("\\", "/")).name).strip(" .~").rpartition(".")
    room = NAME_BYTES - len(suffix.encode()) - 1
    return f"{(stem if dot else suffix).encode()[:room].decode(errors='ignore') or 'tep'}{dot}{suffix if dot else ''}"


def put_down(drop: Path, dataset: str, name: str, chunks: Iterable[bytes]) -> Path:
    """Write a delivery of ``dataset`` into the drop folder, durably, then give it its name. A waiting file is never replaced."""
    folder = drop / dataset
    folder.mkdir(parents=True, exist_ok=True)
    name = fit_name(name)
    unfinished = folder / f".{os.getpid()}-{os.urandom(4).hex()}.part"
    try:
        with unfinished.open("wb") as target:
            for chunk in chunks:
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        stem, dot, suffix = name.rpartition(".")
        for number in range(1, 10_000):
            place = folder / (name if number == 1 else f"{stem or suffix} ({number}){dot}{suffix if dot else ''}")
            try:
                os.link(unfinished, place)  # unlike a rename, this fails when the name is taken
            except FileExistsError:
                continue
            return place
        raise FileExistsError(f"{folder}: {name} waits there ten thousand times")
    finally:
        unfinished.unlink(missing_ok=True)
