"""The command that holds the store and its history against what the contracts expect."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer
from rich.markup import escape

from catalog.cli.running import choose
from catalog.cli.terminal import Exit, JsonOption, console, fail, known_register, out, print_json
from pipelines.intake import Intake
from pipelines.settings import settings
from pipelines.store import StoreMissing

if TYPE_CHECKING:
    from pipelines.quality import ExpectationResult

commands = typer.Typer()


@commands.command()
def quality(
    datasets: Annotated[list[str] | None, typer.Argument(help="Datasets; all when none is named.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Hold the store and its history against what the contracts expect: volume, freshness, drift, references, cumulative figures.

    Writes the results to `kho.expectations` and the Data Docs of Great Expectations, which the catalogue serves.
    """
    from pipelines.quality import check_store

    where = settings()
    intake = Intake(where, known_register(where))
    chosen = choose(intake.register, datasets, None, None)
    try:
        if intake.store.snapshot() == 0:
            raise StoreMissing(f"no store at {where.home}: run `kho run` first")
        intake.prepare()
        with console.status(f"{len(chosen)} dataset(s) …"):
            results = check_store(intake.store, intake.register, chosen, str(uuid4()))
    except StoreMissing as error:
        raise fail(str(error)) from None
    if as_json:
        print_json([asdict(r) for r in results])
    else:
        _tell(results)
    if any(r.passed is False for r in results):
        raise typer.Exit(Exit.REFUSED)


def _tell(results: "list[ExpectationResult]") -> None:
    from pipelines.quality import ADVICE

    failed = [r for r in results if r.passed is False]
    for result in failed:
        out.print(f"[red]{result.dataset}[/red] {result.name}: {escape(result.vi)} / {escape(result.en)}", highlight=False, soft_wrap=True)
        out.print(f"    {escape('; '.join(map(str, result.findings[:5])))}", highlight=False, soft_wrap=True)
        out.print(f"    → {escape(ADVICE[result.kind][1])}", highlight=False, soft_wrap=True)
    passed = sum(r.passed is True for r in results)
    console.print(f"{passed} met · {len(failed)} not met · {len(results) - passed - len(failed)} without anything to compare yet")
