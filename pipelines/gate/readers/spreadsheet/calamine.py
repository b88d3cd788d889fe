"""calamine in a process of its own.

A damaged workbook can make a parser ask for 16 GB, and a library in Rust then ends its process, or send it round in circles: that must
be neither the daemon's process nor the run's. One process serves all the workbooks of the one that started it, because starting one costs as long as reading twenty small ones.
"""

import atexit
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Lock, Timer
from typing import Any

import pyarrow as pa

from pipelines.gate.readers.source import Unreadable

MEMORY = 4 << 30
"""Bytes of address space: enough for the largest sheet that `package` lets through, and a limit for what it cannot foresee."""
SECONDS, SECONDS_PER_MB = 30, 5
"""How long one answer may take: ten times what a busy machine needs. A damaged file can send a parser round in circles."""
PROGRAM = Path(__file__).with_name("calamine_process.py")


@dataclass(frozen=True)
class Loaded:
    """``cells``: a text column per column in use, row 0 is row 1 of the sheet; ``columns`` says which columns these are, from 0."""

    cells: pa.Table
    columns: list[int]
    visible: bool
    errors: list[tuple[int, int, str]]
    """(row, column of ``cells``, calamine's name of the error), from 0."""


class Refused(Exception):
    """calamine cannot read the file; the message is its own."""


class _Process:
    """The child and the pipe to it. A request is a line of JSON; so is the answer, after which the cells may follow as Arrow."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        command = [sys.executable, "-I", str(PROGRAM), str(MEMORY)]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def ask(self, seconds: float, request: dict[str, Any]) -> tuple[dict[str, Any], pa.Table | None]:
        assert self.child.stdin is not None and self.child.stdout is not None
        watch = Timer(seconds, self.child.kill)
        watch.start()
        try:
            self.child.stdin.write(json.dumps(request).encode() + b"\n")
            self.child.stdin.flush()
            answer = json.loads(self.child.stdout.readline())
            with_cells = answer.get("cells", False)
            return answer, pa.ipc.open_stream(self.child.stdout).read_all() if with_cells else None
        finally:
            watch.cancel()

    def end(self) -> None:
        self.child.kill()
        self.child.communicate()


_process: _Process | None = None
_one_at_a_time = Lock()


def names(file: Path) -> list[str]:
    """The names of a workbook's sheets. Raises `Refused`, or `Unreadable` where reading brings the process down."""
    return list(_ask(file, do="names")[0]["names"])


def load(file: Path, sheet: str) -> Loaded:
    """One sheet. Raises like `names`. The workbook last asked for stays open in the other process."""
    answer, cells = _ask(file, do="load", sheet=sheet)
    assert cells is not None
    return Loaded(cells, answer["columns"], answer["visible"], [tuple(error) for error in answer["errors"]])


def _ask(file: Path, **request: Any) -> tuple[dict[str, Any], pa.Table | None]:
    global _process
    seconds = SECONDS + SECONDS_PER_MB * file.stat().st_size / 2**20
    with _one_at_a_time:
        if _process is None or _process.owner != os.getpid():  # never over a pipe that a fork has in common
            _process = _Process()
        try:
            answer, cells = _process.ask(seconds, {"file": str(file), **request})
        except (OSError, ValueError, pa.ArrowException) as error:
            _stop()
            raise Unreadable(
                "Sổ tính bị hỏng, hoặc quá lớn để đọc; hãy mở bằng Excel, lưu lại thành .xlsx rồi gửi lại, hoặc gửi CSV",
                "The workbook is damaged, or too big to be read; open it in Excel, save it as .xlsx and send it again, or send CSV",
            ) from error
    if "refused" in answer:
        raise Refused(answer["refused"])
    return answer, cells


def _stop() -> None:
    global _process
    if _process is not None and _process.owner == os.getpid():
        _process.end()
    _process = None


atexit.register(_stop)
