"""Run every benchmark and write docs/benchmarks.md. Takes some minutes; nothing else should run meanwhile."""

import os
import platform
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console

from benchmarks import dialects, gate, large, quality, search, whole, workbook
from benchmarks.measure import Figure
from pipelines.settings import PROJECT

REPORT = PROJECT / "docs/benchmarks.md"


PARTS: dict[str, Callable[[Path], list[Figure]]] = {
    "all": whole.measure,
    "expectations": quality.measure,
    "search": search.measure,
    "dialects": dialects.measure,
    "workbook": workbook.measure,
    "gate": gate.measure,
    "large": large.measure,
    "flat": large.measure_flat,
}
"""In order: some go on where another stopped. Names given on the command line are left out, and the report says so."""


def main() -> int:
    """Exit code 1 when a target was missed."""
    console = Console(stderr=True)
    left_out = [title for title in sys.argv[1:] if title in PARTS]
    parts = {title: part for title, part in PARTS.items() if title not in left_out}
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="kho-bench-") as name:
        folder = Path(name)
        for title, part in parts.items():
            with console.status(f"measuring: {title} …"):
                found = part(folder)
            for figure in found:
                console.print(_row(figure), highlight=False)
            figures += found
    REPORT.write_text(report(figures, left_out), encoding="utf-8")
    missed = [f.name for f in figures if f.met is False]
    console.print(f"{REPORT} written" + (f"; missed: {', '.join(missed)}" if missed else "; every target met"))
    return 1 if missed else 0


def report(figures: list[Figure], left_out: list[str]) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = (
        f"{os.cpu_count()} cores, {memory:.0f} GiB memory, Python {platform.python_version()}, DuckDB {version('duckdb')}, "
        f"Dagster {version('dagster')}, {platform.system()} {platform.machine()}"
    )
    return "\n".join(
        [
            "# Benchmarks",
            "",
            "Written by `make bench`; do not edit. Machines differ and are noisy: the ratio to the peer, measured in the same run, says more than",
            "the seconds. Lower is better everywhere. Commands are measured whole, start-up included; the gate and its peers without it.",
            "",
            f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine}. Data: the synthetic sample deliveries (`kho samples`).",
            "",
            "| what | measured | target | peer | peer's | ratio |",
            "|---|---:|---:|---|---:|---:|",
            *(_row(f) for f in figures),
            "",
            *([f"Left out this time: {', '.join(left_out)}.", ""] if left_out else []),
        ]
    )


def _row(figure: Figure) -> str:
    number = lambda value: "" if value is None else f"{value:,.0f} {figure.unit}" if value >= 100 else f"{value:.2f} {figure.unit}"
    target = "" if figure.target is None else f"< {figure.target:g} {figure.unit} {'✓' if figure.met else '✗ missed'}"
    name = f"{figure.name} ({figure.note})" if figure.note else figure.name
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    return f"| {name} | {number(figure.value)} | {target} | {figure.peer} | {number(figure.peer_value)} | {ratio} |"


if __name__ == "__main__":
    sys.exit(main())
