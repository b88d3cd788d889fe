"""Commands about what was held back: why, the fix sheet, and the mended sheet taken in."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import duckdb
import typer
from rich.markup import escape
from rich.table import Column, Table

from catalog.cli.running import report, take_in
from catalog.cli.terminal import Exit, JsonOption, console, fail, known_contract, known_register, out, print_json
from pipelines.contract import Contract, Register
from pipelines.drop import put_down
from pipelines.intake import Intake
from pipelines.rejects import OpenDelivery, Quarantine, reopen, set_aside, write_fix_sheet, write_list
from pipelines.settings import Settings, settings
from pipelines.store import Store, StoreMissing

commands = typer.Typer()

EXAMPLES = 10
CHUNK = 1 << 20


@commands.command()
def rejects(
    dataset: Annotated[str | None, typer.Argument(help="Dataset, e.g. mot-cua/ho-so; all that wait when none is named.")] = None,
    delivery: Annotated[str | None, typer.Option(help="One delivery: its id, or the beginning of it. Else the newest.")] = None,
    csv: Annotated[Path | None, typer.Option(help="Write every wrong value with its reason to this CSV file.")] = None,
    xlsx: Annotated[Path | None, typer.Option(help="Write the fix sheet to this workbook: correct it, send it back.")] = None,
    submit: Annotated[Path | None, typer.Option(help="Take in this corrected fix sheet.")] = None,
    aside: Annotated[bool, typer.Option("--set-aside", help="Close the delivery's open rows without loading them.")] = False,
    back: Annotated[bool, typer.Option("--reopen", help="Open again what was set aside.")] = False,
    as_json: JsonOption = False,
) -> None:
    """What was held back and why; the fix sheet; and the corrected sheet taken in.

    A fix sheet holds the rows held back, wrong cells coloured, each with its reason. Correct it and send it back (--submit, or
    through the drop folder): just those rows are loaded.
    """
    where = settings()
    register = known_register(where)
    contract = known_contract(register, dataset) if dataset else None
    if contract is None and (delivery or csv or xlsx or submit or aside or back):
        raise fail("Name the dataset too.")
    try:
        if contract is None:
            _overview(where, register, as_json)
        elif submit:
            _submit(where, register, contract, submit, as_json)
        elif aside or back:
            _mark(where, contract, delivery, aside)
        else:
            _show(where, contract, delivery, csv, xlsx, as_json)
    except StoreMissing as error:
        raise fail(str(error)) from None


def _overview(where: Settings, register: Register, as_json: bool) -> None:
    with Store(where).reader() as connection:
        found = [d for d in Quarantine(connection).deliveries() if d.dataset in register.contracts]
    if as_json:
        print_json([asdict(d) for d in found])
        return
    table = Table(Column("dataset", no_wrap=True), "delivery", "received", "file", "outcome", "rows held")
    for d in found:
        table.add_row(d.dataset, d.delivery_id[:8], f"{d.received_at:%Y-%m-%d %H:%M}", escape(d.file_name), d.outcome, f"{d.open_rows:,}")
    out.print(table)
    console.print(f"{len(found)} deliveries wait for correction. See one with `kho rejects DATASET`." if found else "Nothing waits.")


def _show(where: Settings, contract: Contract, wanted: str | None, csv: Path | None, xlsx: Path | None, as_json: bool) -> None:
    with Store(where).reader() as connection:
        quarantine = Quarantine(connection)
        found = _choose(quarantine.deliveries(contract.id), contract, wanted)
        if found is None:
            if csv or xlsx:
                raise fail(f"No rows of {contract.id} are held back: there is nothing to write.", Exit.REFUSED)
            if as_json:
                print_json([])
            console.print(f"No rows of {contract.id} are held back.")
            return
        if csv:
            console.print(f"{_written(lambda: write_list(quarantine, found, csv)):,} wrong values in {csv}")
        if xlsx:
            rows = _written(lambda: write_fix_sheet(quarantine, contract, found, xlsx))
            console.print(f"{rows:,} of {found.open_rows:,} rows in {xlsx}. Correct it, then: kho rejects {contract.id} --submit {xlsx}")
        if csv or xlsx:
            return
        if as_json:
            print_json(_as_json(quarantine, found))
            return
        _tell(quarantine, contract, found, len(quarantine.deliveries(contract.id)) - 1)


def _written(write: Any) -> int:
    try:
        return int(write())
    except (OSError, duckdb.IOException) as error:
        raise fail(f"Cannot write: {error}") from None


def _choose(waiting: list[OpenDelivery], contract: Contract, wanted: str | None) -> OpenDelivery | None:
    if wanted is None:
        return waiting[0] if waiting else None
    found = [d for d in waiting if d.delivery_id.startswith(wanted)]
    if len(found) != 1:
        known = ", ".join(d.delivery_id[:8] for d in waiting) or "none"
        raise fail(f"{'No' if not found else 'More than one'} delivery of {contract.id} with open rows begins with {wanted}. Open: {known}")
    return found[0]


def _as_json(quarantine: Quarantine, found: OpenDelivery) -> dict[str, Any]:
    return asdict(found) | {
        "groups": quarantine.groups(found.delivery_id),
        "faults": [asdict(f) for f in quarantine.faults(found.delivery_id)],
        "examples": [asdict(e) for e in quarantine.examples(found.delivery_id, limit=EXAMPLES)],
    }


def _tell(quarantine: Quarantine, contract: Contract, found: OpenDelivery, others: int) -> None:
    out.print(f"[bold]{contract.title}[/bold] / {contract.title_en}")
    out.print(f"{escape(found.file_name)} · {found.received_at:%Y-%m-%d %H:%M} UTC · {found.outcome} · delivery {found.delivery_id[:8]}")
    for reason in found.reasons:
        if found.outcome == "refused":
            out.print(f"[red]✗[/red] {escape(reason.vi)}\n  {escape(reason.en)}", highlight=False)
    if not found.open_rows:
        return
    groups = " · ".join(f"{group} {n:,}" for group, n in quarantine.groups(found.delivery_id).items())
    out.print(f"{found.open_rows:,} of {found.rows_read:,} rows held: {groups}", highlight=False)
    table = Table("rows", "column", "rule", "vì sao / why")
    for fault in quarantine.faults(found.delivery_id):
        table.add_row(f"{fault.rows:,}", fault.column or "–", fault.rule, escape(f"{fault.vi}\n{fault.en}"))
    out.print(table)
    table = Table("row", "column", "value", "rule")
    for example in quarantine.examples(found.delivery_id, limit=EXAMPLES):
        table.add_row(str(example.row_number), example.column or "–", escape(example.value or ""), example.rule)
    out.print(table)
    more = f" {others} more deliveries of it wait: --delivery ID." if others else ""
    console.print(f"Fix sheet: kho rejects {contract.id} --xlsx FILE.xlsx{more}")


def _submit(where: Settings, register: Register, contract: Contract, file: Path, as_json: bool) -> None:
    if not file.is_file():
        raise fail(f"No such file: {file}")
    put_down(where.drop, contract.id, file.name, _chunks(file))
    outcomes, broken, _ = take_in(Intake(where, register), [contract.id])
    report(outcomes, broken, as_json)
    if broken:
        raise typer.Exit(Exit.BROKEN)
    if not all(o.good for many in outcomes.values() for o in many):
        raise typer.Exit(Exit.REFUSED)


def _chunks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(CHUNK):
            yield chunk


def _mark(where: Settings, contract: Contract, wanted: str | None, aside: bool) -> None:
    if wanted is None:
        raise fail("Name the delivery with --delivery; `kho rejects DATASET` shows its id.")
    store = Store(where)
    if store.snapshot() == 0:
        raise StoreMissing(f"no store at {where.home}: run `kho run` first")
    if aside:
        with store.reader() as connection:
            found = _choose(Quarantine(connection).deliveries(contract.id), contract, wanted)
        rows = set_aside(store, contract.id, found.delivery_id if found else "")
        console.print(f"{rows:,} rows set aside; take it back with --reopen --delivery {wanted}.")
    else:
        rows = reopen(store, contract.id, wanted)
        console.print(f"{rows:,} rows opened again.")
        if not rows:
            raise typer.Exit(Exit.REFUSED)
