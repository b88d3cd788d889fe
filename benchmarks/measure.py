"""How a measurement is taken, and what it is held against."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One line of the report. ``target`` and ``value`` are in the same unit; lower is better."""

    name: str
    value: float
    unit: str
    target: float | None = None
    peer: str = ""
    peer_value: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.peer_value if self.peer_value else None

    @property
    def met(self) -> bool | None:
        return None if self.target is None else self.value < self.target


@dataclass(frozen=True)
class Cost:
    """What a command took: wall seconds, and the largest resident size of its process in MB."""

    seconds: float
    megabytes: float
    code: int


def command(words: list[str], environment: dict[str, str] | None = None) -> Cost:
    """Run a command to its end, its output thrown away."""
    start = time.perf_counter()
    process = subprocess.Popen(words, env=os.environ | (environment or {}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(time.perf_counter() - start, usage.ru_maxrss / 1024, process.returncode)


def python(code: str, *arguments: str | Path, environment: dict[str, str] | None = None) -> Cost:
    """Run Python code in a process of its own."""
    return command([sys.executable, "-c", code, *map(str, arguments)], environment)


def python_work(code: str, *arguments: str | Path) -> Cost:
    """Run Python code in a process of its own; its seconds are those it prints last, so that imports do not count."""
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the measured code ended with {process.returncode}")
    return Cost(float(printed.split()[-1]), usage.ru_maxrss / 1024, 0)


def middle_of(times: int, measure: Callable[[], Cost]) -> Cost:
    """The median of some runs by time, so that one disturbance does not decide."""
    costs = sorted((measure() for _ in range(times)), key=lambda c: c.seconds)
    return costs[len(costs) // 2]


def milliseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def middle(values: list[float]) -> float:
    return median(values)
