"""All 226 datasets through Dagster, from nothing and again, against plain DuckDB that loads the same files unchecked."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import fastexcel
from rich.console import Console

from benchmarks.measure import Cost, Figure, command, middle_of, python
from catalog.sample_servers import start_sample_servers
from catalog.services import Services
from pipelines.contract import load_register
from pipelines.settings import PROJECT, Settings

KHO = [sys.executable, "-m", "catalog.cli"]

PLAIN = """
import sys
from pathlib import Path
from benchmarks.whole import load_plainly
load_plainly([Path(sys.argv[1]), Path(sys.argv[2])], Path(sys.argv[3]))
"""


FORMATS = (".csv", ".xlsx", ".json", ".geojson", ".xml", ".parquet")


def load_plainly(folders: list[Path], target: Path) -> None:
    """Every delivery into a table of one DuckDB file: no contract, no check, no ledger, no history."""
    with duckdb.connect(str(target)) as connection:
        for number, file in enumerate(sorted(f for folder in folders for f in folder.rglob("*.*") if f.suffix in FORMATS)):
            if file.suffix == ".xlsx":
                delivery = fastexcel.read_excel(file).load_sheet(0, dtypes="string").to_arrow()  # noqa: F841 - read by DuckDB
                source = "delivery"
            elif file.suffix == ".csv":
                source = f"read_csv('{file}')"
            elif file.suffix == ".parquet":
                source = f"read_parquet('{file}')"
            elif file.suffix in (".json", ".geojson"):
                source = f"read_json('{file}', maximum_object_size = 268435456)"
            else:
                source = f"read_text('{file}')"
            connection.execute(f"CREATE TABLE t{number} AS SELECT * FROM {source}")


def kho_in(folder: Path) -> Callable[..., Cost]:
    """`kho` over the shipped register and the warehouse of this folder."""
    return lambda *words: _done(command([*KHO, *words], _environment(folder)))


@contextmanager
def sample_servers(folder: Path) -> Iterator[None]:
    """What stands in for the agencies' databases and services, as `kho up` starts it, over the samples of this folder's warehouse."""
    where = Settings(PROJECT / "datasets", folder / "var")
    with Services(dict(os.environ)) as services:
        start_sample_servers(services, where, load_register(where.register), Console(stderr=True))
        yield


def _environment(folder: Path) -> dict[str, str]:
    return {"KHO_HOME": str(folder / "var"), "KHO_REGISTER": str(PROJECT / "datasets")}


def measure(folder: Path) -> list[Figure]:
    kho = kho_in(folder)
    samples = kho("samples")
    plain = python(PLAIN, folder / "var/drop", folder / "var/samples", folder / "plain.duckdb")
    with sample_servers(folder):
        first = kho("run")
        second = middle_of(3, lambda: kho("run"))
    load = middle_of(3, lambda: python("import pipelines.definitions", environment=_environment(folder)))
    dagster = middle_of(3, lambda: python("import dagster, duckdb, pandera.polars", environment=_environment(folder)))
    return [
        Figure("sample deliveries of all datasets", samples.seconds, "s"),
        Figure(
            "all 226 datasets from nothing, `kho run`",
            first.seconds,
            "s",
            60,
            "plain DuckDB, the same files, nothing checked",
            plain.seconds,
        ),
        Figure("… resident memory", first.megabytes, "MB", 1500, "the same", plain.megabytes),
        Figure("second `kho run`, nothing new (median of 3)", second.seconds, "s", 15),
        Figure("code location load (median of 3)", load.seconds, "s", 5, "`import dagster, duckdb, pandera.polars`", dagster.seconds),
    ]


def _done(cost: Cost) -> Cost:
    """Bad rows are part of the samples (exit code 1); anything else is a broken measurement."""
    if cost.code not in (0, 1):
        raise RuntimeError(f"the command ended with {cost.code}")
    return cost
