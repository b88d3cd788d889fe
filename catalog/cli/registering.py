"""Commands about contracts: what is wrong with them, and drafts of new ones."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from catalog.cli.terminal import Exit, JsonOption, console, fail, known_register, out, print_json
from pipelines.contract import InvalidRegister, Register, load_register
from pipelines.settings import settings

commands = typer.Typer()


@commands.command()
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="Contract files to report on; all when none is named.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain every mistake in the contracts: file, line, field and what to write instead."""
    where = settings()
    if missing := [str(f) for f in files or () if not f.exists()]:
        raise fail(f"No such file: {', '.join(missing)}")
    register = None
    try:
        register = load_register(where.register)
        problems, to_mend = [p for many in register.drafts.values() for p in many], False
    except InvalidRegister as error:
        problems, to_mend = error.problems, True
    if files:
        wanted = {f.resolve() for f in files}
        problems = [p for p in problems if p.file.resolve() in wanted]
        to_mend = bool(problems)
    if as_json:
        print_json([p.as_json() for p in problems])
    else:
        for problem in problems:
            out.print(escape(str(problem)), highlight=False, soft_wrap=True)
        _tell_register(register, len(problems))
    if to_mend:
        raise typer.Exit(Exit.REFUSED)


def _tell_register(register: Register | None, mistakes: int) -> None:
    if register is None:
        console.print(f"[red]{mistakes} mistake(s)[/red]")
        return
    columns = sum(len(c.columns) for c in register.contracts.values())
    rules = sum(len(c.rules) for c in register.contracts.values())
    console.print(f"[green]{len(register.contracts)} contracts, {columns} columns, {rules} cross-column rules: no mistakes[/green]")
    for draft, problems in register.drafts.items():
        todo = f"{len(problems)} mistake(s) left" if problems else "no mistakes; make it live with `status: active`"
        console.print(f"[yellow]draft {draft}: {todo}[/yellow]")


@commands.command()
def register(
    file: Annotated[Path | None, typer.Argument(help="A sample of the data: CSV, XLSX, JSON, XML or GeoJSON.")] = None,
    dataset: Annotated[str | None, typer.Option("--id", help="The new dataset's id, <domain>/<dataset>.")] = None,
    agency: Annotated[str | None, typer.Option(help="The owning agency's code, from datasets/agencies.yaml.")] = None,
    title: Annotated[str | None, typer.Option(help="The Vietnamese title.")] = None,
    inventory: Annotated[Path | None, typer.Option(help="An inventory workbook, one row per dataset: makes a draft for each.")] = None,
) -> None:
    """Draft a contract from a sample of the data, or many from an inventory workbook.

    The draft names types, semantic types, keys, closed lists and personal data as far as names and content show.
    Correct it, run `kho check`, then set `status: active`; until then nothing is taken in under it.
    """
    from pipelines.drafts import draft_from_sample, drafts_from_inventory, try_out, write_draft

    if (file is None) == (inventory is None):
        raise fail("Name a sample FILE (with --id <domain>/<dataset>), or --inventory FILE.")
    if (missing := file or inventory) and not missing.is_file():
        raise fail(f"No such file: {missing}")
    where = settings()
    known = known_register(where)
    made = [draft_from_sample(file, known, dataset, agency, title)] if file else drafts_from_inventory(inventory or Path(), known)
    written = 0
    for draft in made:
        for warning in draft.warnings:
            console.print(f"[yellow]{escape(warning)}[/yellow]", soft_wrap=True)
        if draft.refusal:
            console.print(f"[red]{escape(draft.refusal)}[/red]", soft_wrap=True)
            continue
        path = write_draft(draft, known)
        written += 1
        out.print(escape(str(path)), soft_wrap=True)
        if file and (trial := try_out(path, file, known)):
            console.print(f"tried on {file.name}: {trial.rows_accepted:,} of {trial.rows_read:,} rows would be accepted")
    console.print(f"{written} draft(s) written. Correct them, then `kho check`.")
    if written < len(made):
        raise typer.Exit(Exit.REFUSED)
