"""`kho`: the command-line composition root."""

import json
import os
import sys
from collections.abc import Iterable
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any

import duckdb
import pyarrow.csv
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from catalog.cli_token import token
from catalog.sample_servers import start_sample_servers
from catalog.services import DagsterFollows, Services, taken
from pipelines.contract import Contract, InvalidRegister, Register, load_register
from pipelines.intake import Intake
from pipelines.outcome import Outcome
from pipelines.settings import Settings, dagster_environment, settings
from pipelines.store import Store, StoreMissing


class Exit(IntEnum):
    """What the exit code says."""

    OK = 0
    REFUSED = 1  # data or a contract needs a person: quarantined rows, refusals, mistakes
    USAGE = 2  # the call is wrong, or names something that does not exist
    BROKEN = 3  # the system failed: disk, catalogue, a step that raised


app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="""
[bold]Kho dữ liệu dùng chung[/bold] — a province's shared data warehouse.

Start everything with [bold]kho up[/bold]. Put files into [bold]var/drop/<domain>/<dataset>/[/bold]; they are checked, stored and published.

Exit codes: 0 good · 1 data or a contract needs a person · 2 wrong call · 3 the system failed.
""",
)
console = Console(stderr=True)
out = Console()

CSV_BATCH = 10_000
"""Rows of a query held at once."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


def _register(where: Settings) -> Register:
    try:
        return load_register(where.register)
    except InvalidRegister as error:
        for problem in error.problems[:20]:
            console.print(escape(str(problem)), highlight=False)
        console.print(f"[red]{len(error.problems)} mistake(s) in the register; see all with `kho check`[/red]")
        raise typer.Exit(Exit.REFUSED) from None


def _fail(message: str, code: Exit = Exit.USAGE) -> typer.Exit:
    console.print(f"[red]{escape(message)}[/red]")
    return typer.Exit(code)


def _contract(register: Register, dataset: str) -> Contract:
    from catalog.search import nearest_ids

    found = register.contracts.get(dataset) or register.by_sql_name.get(dataset)
    if found is None:
        near = nearest_ids(dataset, register.contracts)
        raise _fail(f"There is no dataset {dataset}." + (f" Did you mean {', '.join(near)}?" if near else " List them with `kho search`."))
    return found


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=2, default=str) + "\n")


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


# ---- running


@app.command()
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
    intake = Intake(where, _register(where))
    chosen = _choose(intake.register, datasets, domain, agency)
    if stale:
        reasons = intake.stale()
        chosen = [d for d in chosen if d in reasons]
    outcomes, broken = _run(intake, chosen)
    _report(outcomes, broken, as_json)
    if broken:
        raise typer.Exit(Exit.BROKEN)
    if not all(o.good for many in outcomes.values() for o in many):
        raise typer.Exit(Exit.REFUSED)


def _choose(register: Register, datasets: Iterable[str] | None, domain: str | None, agency: str | None) -> list[str]:
    if domain and domain not in {c.domain for c in register.contracts.values()}:
        raise _fail(f"There is no domain {domain}.")
    if agency and agency not in register.agencies:
        raise _fail(f"There is no agency {agency}; codes are in datasets/agencies.yaml.")
    named = {_contract(register, d).id for d in datasets or ()}
    return [
        d
        for d in register.order()
        if (not named or d in named)
        and (not domain or register.contracts[d].domain == domain)
        and (not agency or register.contracts[d].agency == agency)
    ]


def _run(intake: Intake, chosen: list[str]) -> tuple[dict[str, list[Outcome]], dict[str, str]]:
    """Through Dagster, with a progress bar; outcomes and broken steps by dataset."""
    if not chosen:
        return {}, {}
    from pipelines.orchestration.run import run as run_dagster
    from pipelines.orchestration.run import use_instance

    use_instance(intake.settings)
    from pipelines.orchestration.build import build_defs

    outcomes: dict[str, list[Outcome]] = {}
    with _progress() as progress:
        task = progress.add_task("starting Dagster", total=len(chosen))

        def show(dataset: str, many: list[Outcome]) -> None:
            outcomes[dataset] = many
            progress.update(task, advance=1, description=dataset)

        intake.listeners.append(show)
        result = run_dagster(intake, build_defs(intake), chosen)
        progress.update(task, description="done")
    intake.store.compact_system_tables()
    broken = dict(result.failed)
    for dataset in chosen:
        if dataset not in outcomes and dataset not in broken:
            broken[dataset] = "not run: something it reads failed, or the run was stopped"
    return outcomes, broken


def _report(outcomes: dict[str, list[Outcome]], broken: dict[str, str], as_json: bool) -> None:
    flat = [o for many in outcomes.values() for o in many]
    if as_json:
        _print_json(
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


@app.command()
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
    register = _register(where)
    chosen = [_contract(register, d).id for d in datasets] if datasets else None
    with _progress() as progress:
        task = progress.add_task("samples", total=len(chosen or [c for c in register.contracts.values() if c.kind == "delivered"]))

        def say(text: str) -> None:
            if ": warning: " in text:
                console.print(f"[yellow]{escape(text)}[/yellow]", highlight=False)
            else:
                progress.update(task, advance=1, description=text)

        files = make_samples(register, where, chosen, scale=scale, seed=seed, faults=faults, progress=say)
    console.print(f"{len(files)} synthetic deliveries in {where.drop}. Take them in with `kho run`.")


@app.command()
def up(
    port: Annotated[int, typer.Option(help="The catalogue's port.")] = 8000,
    dagster_port: Annotated[int, typer.Option(help="The Dagster UI's port.")] = 3000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Start everything: samples on first use, load what is new, serve the catalogue and the Dagster UI. Ctrl-C stops it all."""
    where = settings()
    register = _register(where)
    for name, number in (("--port", port), ("--dagster-port", dagster_port)):
        if taken(host, number):
            raise _fail(f"{host}:{number} is in use; choose another with {name}, or stop what is there.")
    from pipelines.orchestration.executors import AlreadyRunning, daemon

    try:
        with daemon(where):
            intake = Intake(where, register)
            if intake.store.snapshot() == 0 and not where.drop.exists():
                samples(None)
            url = f"http://{host}:{port}"
            with Services(os.environ | dagster_environment(where) | {"KHO_CATALOGUE_URL": url}) as services:
                start_sample_servers(services, where, register, console)
                outcomes, broken = _run(intake, list(intake.stale()))
                _report(outcomes, broken, as_json=False)
                intake.store.close()
                _supervise(services, where, host, port, dagster_port)
    except AlreadyRunning:
        raise _fail(f"`kho up` runs already for {where.home}; stop it first, or name another folder in KHO_HOME.") from None


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


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="The port.")] = 8000,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve the catalogue (pages, downloads, REST). Reads the store, never writes it; takes HTTP deliveries into the drop folder. Dagster is not needed."""
    from catalog.web import serve as serve_catalogue

    serve_catalogue(settings(), host, port)


# ---- looking


@app.command()
def status(as_json: JsonOption = False) -> None:
    """How each dataset stands: release, rows, held-back rows, what is waiting."""
    from catalog.publish import publish

    where = settings()
    register = _register(where)
    intake = Intake(where, register)
    waiting = intake.stale()
    catalogue = publish(register, intake.store)
    trouble = intake.troubled()
    rows = [
        {
            "dataset": e.contract.id, "title": e.contract.title, "agency": e.contract.agency, "release": e.release_number, "rows": e.rows,
            "quality": e.quality, "freshness": e.freshness.state, "waiting": waiting.get(e.contract.id),
            "trouble": trouble.get(e.contract.id),
        }
        for e in catalogue.entries.values()
    ]  # fmt: skip
    if as_json:
        _print_json(rows)
        return
    table = Table("dataset", "release", "rows", "quality", "freshness", "to do")
    for row in rows:
        table.add_row(
            str(row["dataset"]),
            str(row["release"] or "–"),
            f"{row['rows'] or 0:,}",
            str(row["quality"]),
            str(row["freshness"]),
            escape(f"source: {row['trouble']}") if row["trouble"] else str(row["waiting"] or ""),
        )
    out.print(table)
    loaded = sum(1 for e in catalogue.entries.values() if e.release_number)
    console.print(
        f"{len(rows)} datasets, {loaded} with data, {sum(e.rows or 0 for e in catalogue.entries.values()):,} rows, {len(waiting)} with something to do"
    )
    for path, why in intake.overlooked():
        console.print(f"[yellow]not read: {escape(str(path))}[/yellow]: {why}", highlight=False, soft_wrap=True)


@app.command()
def sources(
    datasets: Annotated[list[str] | None, typer.Argument(help="Datasets; all that are fetched when none is named.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Ask each system now whether it answers and holds the contract's columns.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Where the datasets that nobody delivers come from: system, address, when it was last read, what was wrong."""
    from catalog.cli_sources import sources as rows_of

    where = settings()
    register = _register(where)
    chosen = [_contract(register, d) for d in datasets] if datasets else list(register.contracts.values())
    if files := [c.id for c in chosen if datasets and not c.source]:
        raise _fail(f"{', '.join(files)}: delivered as files, not fetched.")
    rows = rows_of(where, register, chosen, test)
    if as_json:
        _print_json(rows)
    else:
        table = Table("dataset", "from", "address", "last read", "trouble")
        for row in rows:
            told = row["found"] if test else row["trouble"] or ""
            label = f"{row['server']} ({row['kind']}{', SYNTHETIC' if row['synthetic'] else ''})"
            table.add_row(row["dataset"], label, row["place"], str(row["read_at"] or "–")[:16], escape(str(told)))
        out.print(table)
    if test and not all(row["answers"] for row in rows):
        raise typer.Exit(Exit.BROKEN)


@app.command()
def check(
    files: Annotated[list[Path] | None, typer.Argument(help="Contract files to report on; all when none is named.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Explain every mistake in the contracts: file, line, field and what to write instead."""
    where = settings()
    if missing := [str(f) for f in files or () if not f.exists()]:
        raise _fail(f"No such file: {', '.join(missing)}")
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
        _print_json([p.as_json() for p in problems])
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


@app.command()
def search(
    words: Annotated[list[str], typer.Argument(help="What to look for, with or without accents.")],
    limit: Annotated[int, typer.Option(help="At most this many.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Find datasets: titles, columns, agencies, Vietnamese or English, accents or not, a typo forgiven."""
    from catalog.publish import publish

    where = settings()
    catalogue = publish(_register(where), Store(where))
    hits = catalogue.index.search(" ".join(words))[:limit]
    if as_json:
        _print_json(
            [{"dataset": h, "title": catalogue.entries[h].contract.title, "title_en": catalogue.entries[h].contract.title_en} for h in hits]
        )
    elif not hits:
        console.print("Không tìm thấy / nothing found")
    else:
        table = Table("dataset", "title", "access", show_header=False, box=None)
        for hit in hits:
            contract = catalogue.entries[hit].contract
            table.add_row(hit, f"{contract.title} / {contract.title_en}", contract.access)
        out.print(table)
    if not hits:
        raise typer.Exit(Exit.REFUSED)


@app.command()
def show(dataset: Annotated[str, typer.Argument(help="Dataset, e.g. mot-cua/ho-so.")], as_json: JsonOption = False) -> None:
    """One dataset: what it is, its dictionary, its rules, its deliveries."""
    from catalog.publish import publish

    where = settings()
    register = _register(where)
    contract = _contract(register, dataset)
    entry = publish(register, Store(where)).entries[contract.id]
    agency = register.agencies[contract.agency]
    if as_json:
        _print_json(
            {
                "id": contract.id, "sql_name": contract.sql_name, "title": contract.title, "title_en": contract.title_en,
                "purpose": contract.purpose, "agency": agency.name, "access": contract.access, "personal": contract.personal,
                "cycle": contract.cycle, "release": entry.release_number, "rows": entry.rows, "quality": entry.quality,
                "columns": [
                    {"name": c.name, "title": c.title, "type": c.sql_type, "required": c.required, "key": bool(c.key), "personal": c.personal}
                    for c in contract.columns
                ],
                "rules": [{"name": r.name, "condition": r.expression} for r in contract.rules],
                "reads": register.upstream.get(contract.id, ()), "read_by": register.downstream[contract.id],
            }
        )  # fmt: skip
        return
    out.print(f"[bold]{contract.title}[/bold] / {contract.title_en}\n{contract.purpose}")
    out.print(f"{contract.id} · {contract.sql_name} · {agency.name} ({agency.phone}) · {contract.access} · {contract.cycle}")
    out.print(f"release {entry.release_number or '–'}, {entry.rows or 0:,} rows, {entry.quality}, {entry.freshness.state}")
    table = Table("column", "title", "type", "required", "key", "personal")
    for column in contract.columns:
        table.add_row(
            column.name, column.title, column.sql_type, "yes" if column.required else "", "key" if column.key else "",
            column.personal if column.personal != "none" else "",
        )  # fmt: skip
    out.print(table)
    for rule in contract.rules:
        out.print(f"  {rule.name}: {escape(rule.expression)} — {rule.vi}")


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help='DuckDB SQL over datasets by name, e.g. "SELECT count(*) FROM mot_cua.ho_so".')],
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    limit: Annotated[int, typer.Option(help="Show at most this many rows in the table form.")] = 40,
) -> None:
    """Query the store, read-only. For the operator on this machine: no row or column is hidden here."""
    try:
        with Store(settings()).reader() as connection:
            relation = connection.sql(query)
            if relation is None:
                return
            if as_csv:
                batches = relation.to_arrow_reader(CSV_BATCH)
                with pyarrow.csv.CSVWriter(sys.stdout.buffer, batches.schema) as writer:
                    for batch in batches:
                        writer.write_batch(batch)
            elif as_json:
                names = relation.columns
                _print_json([dict(zip(names, row, strict=True)) for row in relation.fetchall()])
            else:
                table = Table(*relation.columns)
                rows = relation.fetchmany(limit + 1)
                for row in rows[:limit]:
                    table.add_row(*("" if v is None else escape(str(v)) for v in row))
                out.print(table)
                if len(rows) > limit:
                    console.print(f"… more than {limit} rows; use --csv or --limit")
    except StoreMissing as error:
        raise _fail(str(error)) from None
    except duckdb.Error as error:
        raise _fail(str(error)) from None


@app.command()
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
        raise _fail("Name a sample FILE (with --id <domain>/<dataset>), or --inventory FILE.")
    if (missing := file or inventory) and not missing.is_file():
        raise _fail(f"No such file: {missing}")
    where = settings()
    known = _register(where)
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


app.command()(token)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
