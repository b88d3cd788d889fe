"""Sample deliveries for a first run: synthetic, labelled so in the file's name, as the contracts say data should look.

One SQL statement per dataset makes all its rows (`table`), from numbered sets of values (`values`) that `plan` deals out;
`delivery` writes them the way the contract says they arrive. The same seed gives the same bytes.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipelines.contract import Contract, Register
from pipelines.samples.delivery import MARK, deliver, sample_file
from pipelines.samples.table import Tables
from pipelines.settings import Settings
from pipelines.sql import literal

__all__ = ["MARK", "make_samples"]


def make_samples(
    register: Register,
    settings: Settings,
    datasets: Iterable[str] | None = None,
    scale: float = 1.0,
    seed: int = 20230630,
    faults: bool = True,
    progress: Callable[[str], None] | None = None,
) -> list[Path]:
    """Put one sample delivery for every delivered dataset (or for ``datasets``) into the drop folder, or for one that is fetched
    from a source to where the sample servers have it from; the files written.

    Reference datasets are read from the register itself and derived ones computed: neither gets a file. ``scale`` multiplies the rows. With
    ``faults``, about every fifth spreadsheet or CSV ends in a few rows that the gate must hold back. ``progress`` hears
    a line per dataset and every warning.
    """
    wanted = set(register.contracts if datasets is None else datasets)
    say = progress or (lambda _: None)
    written = []
    settings.staging.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("SET autoinstall_known_extensions = false; SET autoload_known_extensions = false")
        connection.execute(f"SET memory_limit = '300MB'; SET temp_directory = {literal(settings.staging / 'samples')}")
        tables = Tables(connection, register, seed, scale, say)
        for contract in _parents_first(register, wanted):
            if contract.kind == "derived":
                continue
            tables.make(contract)
            if contract.id in wanted and contract.kind == "delivered":
                file = sample_file(settings, contract)
                file.parent.mkdir(parents=True, exist_ok=True)
                with _complete(file) as unfinished:
                    deliver(connection, contract, tables.name(contract), tables.faults(contract) if faults else [], unfinished)
                say(f"{contract.id}: {file.name}")
                written.append(file)
            tables.forget(contract)
    return written


@contextmanager
def _complete(file: Path) -> Iterator[Path]:
    """A name to write under that no sensor takes for a delivery; renamed at the end: a half-written file is never seen."""
    unfinished = file.with_name(f".{file.name}")
    try:
        yield unfinished
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _parents_first(register: Register, wanted: set[str]) -> list[Contract]:
    """The wanted contracts and all they refer to, what is referred to first; a circle is cut where it closes."""
    done: dict[str, Contract] = {}
    open_: set[str] = set()

    def visit(dataset: str) -> None:
        contract = register.contracts.get(dataset)
        if contract is None or dataset in done or dataset in open_:
            return
        open_.add(dataset)
        for column in contract.columns:
            if column.references:
                visit(column.references[0])
        done[dataset] = contract

    for dataset in register.contracts:
        if dataset in wanted:
            visit(dataset)
    return list(done.values())
