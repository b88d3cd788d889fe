"""Commands that make the warehouse work: take in deliveries, make samples, serve."""

import os
import sys
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.markup import escape

from catalog.cli.terminal import Exit, JsonOption, console, fail, known_contract, known_register, print_json, progress
from catalog.sample_servers import hold_sample_token, start_sample_servers
from catalog.services import DagsterFollows, Services, taken
from pipelines.contract import Register
from pipelines.intake import Intake
from pipelines.outcome import Outcome
from pipelines.settings import Settings, dagster_environment, settings

commands = typer.Typer()


@commands.command()
def run(
    datasets: Annotated[list[str] | None, typer.Argument(help="Datasets (mot-cua/ho-so or mot_cua.ho_so); all when none is named.")] = None,
    domain: Annotated[str | None, typer.Option(help="Only this domain, e.g. mot-cua.")] = None,
    agency: Annotated[str | None, typer.Option(help="Only this agency's datasets, e.g. STTTT.")] = None,
    stale: Annotated[
        bool, typer.Option("--stale", help="Only what has something to do: new files, changed contracts, newer sources.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take in what is new: check, store, publish — through Dagster, each dataset with its own record.

    A dataset with nothing new is left as it is. One that fails never stops the others.
    """
    where = settings()
    intake = Intake(where, known_register(where))
    chosen = choose(intake.register, datasets, domain, agency)
    if stale:
        reasons = intake.stale()
        chosen = [d for d in chosen if d in reasons]
    outcomes, broken, held = take_in(intake, chosen)
    report(outcomes, broken, as_json)
    if broken:
        raise typer.Exit(Exit.BROKEN)
    if held or not all(o.good for many in outcomes.values() for o in many):
        raise typer.Exit(Exit.REFUSED)


def choose(register: Register, datasets: Iterable[str] | None, domain: str | None, agency: str | None) -> list[str]:
    if domain and domain not in {c.domain for c in register.contracts.values()}:
        raise fail(f"There is no domain {domain}.")
    if agency and agency not in register.agencies:
        raise fail(f"There is no agency {agency}; codes are in datasets/agencies.yaml.")
    named = {known_contract(register, d).id for d in datasets or ()}
    return [
        d
        for d in register.order()
        if (not named or d in named)
        and (not domain or register.contracts[d].domain == domain)
        and (not agency or register.contracts[d].agency == agency)
    ]


def take_in(intake: Intake, chosen: list[str]) -> tuple[dict[str, list[Outcome]], dict[str, str], dict[str, str]]:
    """Through Dagster, with a progress bar; outcomes, broken steps and what held a derived dataset back, by dataset."""
    if not chosen:
        return {}, {}, {}
    from pipelines.orchestration.run import run as run_dagster
    from pipelines.orchestration.run import use_instance

    hold_sample_token(intake.settings)
    use_instance(intake.settings)
    from pipelines.orchestration.build import build_defs

    outcomes: dict[str, list[Outcome]] = {}
    with progress() as bar:
        task = bar.add_task("starting Dagster", total=len(chosen))

        def show(dataset: str, many: list[Outcome]) -> None:
            outcomes[dataset] = many
            bar.update(task, advance=1, description=dataset)

        intake.listeners.append(show)
        result = run_dagster(intake, build_defs(intake), chosen)
        bar.update(task, description="done")
    tell_agencies(intake)
    intake.store.compact_system_tables()
    broken = dict(result.failed)
    held = {dataset: cause for dataset, cause in result.held.items() if dataset in chosen and dataset not in outcomes}
    for dataset, cause in held.items():
        console.print(f"[yellow]{dataset}[/yellow] is held back: {cause} does not meet a blocking expectation (kho quality {cause})")
    for dataset in chosen:
        if dataset not in outcomes and dataset not in broken and dataset not in held:
            broken[dataset] = "not run: something it reads failed, or the run was stopped"
    return outcomes, broken, held


def tell_agencies(intake: Intake) -> None:
    """Send the notices that are due. What cannot be sent now is said, and tried again by the next run."""
    from pipelines.notify import send_due

    results = send_due(intake.store, intake.register, intake.settings.catalogue_url)
    for error in dict.fromkeys(error for _, error in results if error):
        console.print(f"[yellow]notice not sent, tried again later:[/yellow] {escape(error)}", highlight=False)
    if told := sum(1 for _, error in results if error is None):
        console.print(f"{told} deliveries told to their agencies")


def report(outcomes: dict[str, list[Outcome]], broken: dict[str, str], as_json: bool) -> None:
    """What became of every delivery: JSON, or what needs a person and a summary."""
    flat = [o for many in outcomes.values() for o in many]
    if as_json:
        print_json(
            {
                "outcomes": [
                    {
                        "dataset": o.dataset, "verdict": o.verdict, "file": o.file_name, "release": o.release, "rows_read": o.rows_read,
                        "rows_accepted": o.rows_accepted, "rows_quarantined": o.rows_quarantined, "rows_total": o.rows_total,
                        "reasons": [vars(r) for r in o.reasons], "checks": [vars(c) | {"passed": c.passed} for c in o.checks],
                    }
                    for o in flat
                ],
                "broken": broken,
            }
        )  # fmt: skip
        return
    counts: dict[str, int] = {}
    for outcome in flat:
        counts[outcome.verdict] = counts.get(outcome.verdict, 0) + 1
    for outcome in (o for o in flat if not o.good):
        _tell(outcome)
    for dataset, error in broken.items():
        console.print(f"[red]{dataset} failed[/red]: {escape(error)}")
    summary = " · ".join(f"{n} {verdict}" for verdict, n in sorted(counts.items())) or "nothing to do"
    console.print(f"{summary}{f' · {len(broken)} failed' if broken else ''}")


def _tell(outcome: Outcome) -> None:
    """One line, the first reason, and how to see the rest."""
    colour = "red" if outcome.verdict == "refused" else "yellow"
    console.print(
        f"[{colour}]{outcome.dataset}[/{colour}] {outcome.verdict}: {outcome.rows_accepted:,} rows accepted, {outcome.rows_quarantined:,} held back",
        highlight=False,
    )
    faults = [f"{r.column + ': ' if r.column else ''}{r.vi} (× {r.count})" for r in outcome.reasons]
    faults += [f"✗ {c.name}: {c.vi} ({c.violations})" for c in outcome.checks if not c.passed]
    if faults:
        more = f"  (+{len(faults) - 1}: kho show {outcome.dataset})" if len(faults) > 1 else ""
        console.print(f"    {escape(faults[0])}{more}", highlight=False, overflow="ellipsis", no_wrap=True)


@commands.command()
def samples(
    datasets: Annotated[list[str] | None, typer.Argument(help="Datasets; all when none is named.")] = None,
    scale: Annotated[float, typer.Option(help="Multiply the number of rows, for benchmarks.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Another seed, other rows.")] = 20230630,
    faults: Annotated[bool, typer.Option(help="Put a few known faults into some deliveries.")] = True,
) -> None:
    """Make SYNTHETIC sample deliveries from the contracts and put them into the drop folder.

    They are labelled: in the file name, the ledger and on every page.
    """
    from pipelines.samples import make_samples

    where = settings()
    register = known_register(where)
    chosen = [known_contract(register, d).id for d in datasets] if datasets else None
    with progress() as bar:
        task = bar.add_task("samples", total=len(chosen or [c for c in register.contracts.values() if c.kind == "delivered"]))

        def say(text: str) -> None:
            if ": warning: " in text:
                console.print(f"[yellow]{escape(text)}[/yellow]", highlight=False)
            else:
                bar.update(task, advance=1, description=text)

        files = make_samples(register, where, chosen, scale=scale, seed=seed, faults=faults, progress=say)
    console.print(f"{len(files)} synthetic deliveries in {where.drop}. Take them in with `kho run`.")


@commands.command()
def up(
    port: Annotated[int, typer.Option(help="The catalogue's port.")] = 8000,
    dagster_port: Annotated[int, typer.Option(help="The Dagster UI's port.")] = 3000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Start everything: samples on first use, load what is new, serve the catalogue and the Dagster UI. Ctrl-C stops it all."""
    where = settings()
    register = known_register(where)
    for name, number in (("--port", port), ("--dagster-port", dagster_port)):
        if taken(host, number):
            raise fail(f"{host}:{number} is in use; choose another with {name}, or stop what is there.")
    from pipelines.orchestration.executors import AlreadyRunning, daemon

    try:
        with daemon(where):
            intake = Intake(where, register)
            if intake.store.snapshot() == 0 and not where.drop.exists():
                samples(None)
            url = f"http://{host}:{port}"
            with Services(os.environ | dagster_environment(where) | {"KHO_CATALOGUE_URL": url}) as services:
                start_sample_servers(services, where, register, console)
                outcomes, broken, _ = take_in(intake, list(intake.stale()))
                report(outcomes, broken, as_json=False)
                intake.store.close()
                _supervise(services, where, host, port, dagster_port)
    except AlreadyRunning:
        raise fail(f"`kho up` runs already for {where.home}; stop it first, or name another folder in KHO_HOME.") from None


def _supervise(services: Services, where: Settings, host: str, port: int, dagster_port: int) -> None:
    """Run the catalogue and Dagster as children; when a service ends or we are told to stop, all are stopped."""
    from pipelines.orchestration.executors import close_abandoned_runs_now_and_then

    url = f"http://{host}:{port}"
    services.start("catalogue", [sys.executable, "-m", "catalog.cli", "serve", "--host", host, "--port", str(port)])
    services.start(
        "dagster",
        [sys.executable, "-m", "dagster", "dev", "-m", "pipelines.definitions", "-h", host, "-p", str(dagster_port)],
        log=where.home / "dagster.log",
    )
    services.wait_until_answering({"catalogue": f"{url}/healthz", "dagster": f"http://{host}:{dagster_port}/server_info"}, console)
    console.print(
        f"\n  Danh mục / catalogue   [bold]{url}[/bold]\n  Dagster                [bold]http://{host}:{dagster_port}[/bold]\n  Ctrl-C dừng tất cả / stops everything\n"
    )
    code = services.wait([DagsterFollows(where.register, f"http://{host}:{dagster_port}"), close_abandoned_runs_now_and_then(where)])
    raise typer.Exit(code)


@commands.command()
def serve(
    port: Annotated[int, typer.Option(help="The port.")] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the catalogue (pages, downloads, REST). Reads the store, never writes it; takes HTTP deliveries into the drop folder.

    Dagster is not needed.
    """
    from catalog.web import serve as serve_catalogue

    serve_catalogue(settings(), host, port)
