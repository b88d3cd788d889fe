"""What the groups of commands share: the two consoles, exit codes, and how a mistake in the call is told."""

import json
import sys
from enum import IntEnum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pipelines.contract import Contract, InvalidRegister, Register, load_register
from pipelines.settings import Settings

console = Console(stderr=True)
out = Console()

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


class Exit(IntEnum):
    """What the exit code says."""

    OK = 0
    REFUSED = 1  # data or a contract needs a person: quarantined rows, refusals, mistakes
    USAGE = 2  # the call is wrong, or names something that does not exist
    BROKEN = 3  # the system failed: disk, catalogue, a step that raised


def known_register(where: Settings) -> Register:
    """The register, or its first mistakes told and exit code 1."""
    try:
        return load_register(where.register)
    except InvalidRegister as error:
        for problem in error.problems[:20]:
            console.print(escape(str(problem)), highlight=False)
        console.print(f"[red]{len(error.problems)} mistake(s) in the register; see all with `kho check`[/red]")
        raise typer.Exit(Exit.REFUSED) from None


def fail(message: str, code: Exit = Exit.USAGE) -> typer.Exit:
    """Say ``message`` in red; raise what this returns."""
    console.print(f"[red]{escape(message)}[/red]")
    return typer.Exit(code)


def known_contract(register: Register, dataset: str) -> Contract:
    """The dataset of this id or SQL name, or the nearest names told and exit code 2."""
    from catalog.search import nearest_ids

    found = register.contracts.get(dataset) or register.by_sql_name.get(dataset)
    if found is None:
        near = nearest_ids(dataset, register.contracts)
        raise fail(f"There is no dataset {dataset}." + (f" Did you mean {', '.join(near)}?" if near else " List them with `kho search`."))
    return found


def print_json(value: Any) -> None:
    """To standard output, indented."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def progress() -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )
