"""Commands that only look: how datasets stand, what they are, what is in them."""

import sys
from typing import Annotated

import duckdb
import pyarrow.csv
import typer
from rich.markup import escape
from rich.table import Column, Table

from catalog.cli.terminal import Exit, JsonOption, console, fail, known_contract, known_register, out, print_json
from pipelines.formula_guard import guarded
from pipelines.intake import Intake
from pipelines.settings import settings
from pipelines.sql import quote
from pipelines.store import Store, StoreMissing

commands = typer.Typer()

CSV_BATCH = 10_000
"""Rows of a query held at once."""


@commands.command()
def status(as_json: JsonOption = False) -> None:
    """How each dataset stands: release, rows, held-back rows, what is waiting."""
    from catalog.publish import publish

    where = settings()
    register = known_register(where)
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
        print_json(rows)
        return
    table = Table(Column("dataset", no_wrap=True), "release", "rows", "quality", "freshness", "to do")
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


@commands.command()
def search(
    words: Annotated[list[str], typer.Argument(help="What to look for, with or without accents.")],
    limit: Annotated[int, typer.Option(help="At most this many.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """Find datasets: titles, columns, agencies, Vietnamese or English, accents or not, a typo forgiven."""
    from catalog.publish import publish

    where = settings()
    catalogue = publish(known_register(where), Store(where))
    hits = catalogue.index.search(" ".join(words))[:limit]
    if as_json:
        print_json(
            [{"dataset": h, "title": catalogue.entries[h].contract.title, "title_en": catalogue.entries[h].contract.title_en} for h in hits]
        )
    elif not hits:
        console.print("Không tìm thấy / nothing found")
    else:
        table = Table(Column("dataset", no_wrap=True), "title", "access", show_header=False, box=None)
        for hit in hits:
            contract = catalogue.entries[hit].contract
            table.add_row(hit, f"{contract.title} / {contract.title_en}", contract.access)
        out.print(table)
    if not hits:
        raise typer.Exit(Exit.REFUSED)


@commands.command()
def show(dataset: Annotated[str, typer.Argument(help="Dataset, e.g. mot-cua/ho-so.")], as_json: JsonOption = False) -> None:
    """One dataset: what it is, its dictionary, its rules, its deliveries."""
    from catalog.publish import publish

    where = settings()
    register = known_register(where)
    contract = known_contract(register, dataset)
    entry = publish(register, Store(where)).entries[contract.id]
    agency = register.agencies[contract.agency]
    if as_json:
        print_json(
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


@commands.command()
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
                # Whoever opens the CSV may do so in a spreadsheet.
                texts = [
                    f"{guarded(f'#{n}')} AS {quote(name)}" if kind == "VARCHAR" else f"#{n}"  # by place: names may repeat
                    for n, (name, kind) in enumerate(zip(relation.columns, map(str, relation.types), strict=True), 1)
                ]
                batches = relation.project(", ".join(texts)).to_arrow_reader(CSV_BATCH)
                with pyarrow.csv.CSVWriter(sys.stdout.buffer, batches.schema) as writer:
                    for batch in batches:
                        writer.write_batch(batch)
            elif as_json:
                names = relation.columns
                print_json([dict(zip(names, row, strict=True)) for row in relation.fetchall()])
            else:
                table = Table(*relation.columns)
                rows = relation.fetchmany(limit + 1)
                for row in rows[:limit]:
                    table.add_row(*("" if v is None else escape(str(v)) for v in row))
                out.print(table)
                if len(rows) > limit:
                    console.print(f"… more than {limit} rows; use --csv or --limit")
    except StoreMissing as error:
        raise fail(str(error)) from None
    except duckdb.Error as error:
        raise fail(str(error)) from None
