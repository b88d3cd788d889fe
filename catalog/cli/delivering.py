"""Commands about how data gets here: the systems it is fetched from, the tokens by which agencies send it."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Column, Table

from catalog.access.tokens import Token, Tokens
from catalog.cli.terminal import Exit, JsonOption, console, fail, known_contract, known_register, out, print_json
from catalog.sample_servers import hold_sample_token
from pipelines.contract import Contract, Register
from pipelines.settings import Settings, settings
from pipelines.sources import SourceUnavailable
from pipelines.sources.kinds import prober
from pipelines.sources.secrets import MissingSecret
from pipelines.sources.servers import Place, place_of
from pipelines.store import Store

commands = typer.Typer()


@commands.command()
def sources(
    datasets: Annotated[list[str] | None, typer.Argument(help="Datasets; all that are fetched when none is named.")] = None,
    test: Annotated[bool, typer.Option("--test", help="Ask each system now whether it answers and holds the contract's columns.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Where the datasets that nobody delivers come from: system, address, when it was last read, what was wrong."""
    where = settings()
    register = known_register(where)
    chosen = [known_contract(register, d) for d in datasets] if datasets else list(register.contracts.values())
    if files := [c.id for c in chosen if datasets and not c.source]:
        raise fail(f"{', '.join(files)}: delivered as files, not fetched.")
    hold_sample_token(where)
    rows = _sources(where, register, chosen, test)
    if as_json:
        print_json(rows)
    else:
        table = Table(Column("dataset", no_wrap=True), "from", "address", "last read", "trouble")
        for row in rows:
            told = row["found"] if test else row["trouble"] or ""
            label = f"{row['server']} ({row['kind']}{', SYNTHETIC' if row['synthetic'] else ''})"
            table.add_row(row["dataset"], label, row["place"], str(row["read_at"] or "–")[:16], escape(str(told)))
        out.print(table)
    if test and not all(row["answers"] for row in rows):
        raise typer.Exit(Exit.BROKEN)


def _sources(where: Settings, register: Register, contracts: Iterable[Contract], test: bool) -> list[dict[str, Any]]:
    """One row per fetched dataset: place, when it was last read, what was wrong. ``test`` asks each system now. No secret in it."""
    store = Store(where)
    known = store.snapshot() > 0
    return [_row(store if known else None, place_of(c, where, register.timezone), test) for c in contracts if c.source]


def _row(store: Store | None, place: Place, test: bool) -> dict[str, Any]:
    source = place.contract.source
    assert source
    state = store.source_state(place.contract.id) if store else None
    row = {
        "dataset": place.contract.id, "server": source.server, "kind": source.kind, "place": _address(source.options),
        "synthetic": place.synthetic, "secret": source.options.get("secret"), "read_at": state and state.at,
        "trouble": state and state.trouble,
    }  # fmt: skip
    return row | _answer(place) if test else row


def _address(options: dict[str, Any]) -> str:
    if "host" not in options:
        location = str(options.get("location", "")).partition("?")[0]
        return f"{location.rstrip('/')}/{options['path']}" if "path" in options else location
    return f"{options['host']}:{options.get('port', '')}/{options.get('database') or options.get('serviceName') or ''}"


def _answer(place: Place) -> dict[str, Any]:
    try:
        return {"answers": True, "found": prober(place.kind)(place.contract)}
    except (SourceUnavailable, MissingSecret) as error:
        return {"answers": False, "found": str(error)}


@commands.command()
def token(
    agency: Annotated[str | None, typer.Argument(help="The agency's code, from datasets/agencies.yaml: issue a token to it.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the token is valid.")] = 365,
    note: Annotated[str, typer.Option(help="What it is for, such as the delivering system's name.")] = "",
    list_all: Annotated[bool, typer.Option("--list", help="List the tokens, with an agency only its own.")] = False,
    revoke: Annotated[str | None, typer.Option(metavar="ID", help="End a token now.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Tokens by which an agency's systems deliver files over HTTP. The text is shown once, when the token is issued."""
    where = settings()
    tokens = Tokens(where.tokens)
    if revoke:
        ended = tokens.revoke(revoke)
        if ended is None:
            raise fail(f"There is no token {revoke}; see `kho token --list`.")
        console.print(f"token {ended.id} of {ended.agency} is revoked")
        return
    if list_all:
        _show([t for t in tokens.all() if agency in (None, t.agency)], as_json)
        return
    if agency is None:
        raise fail("Name an agency, or use --list or --revoke.")
    if agency not in known_register(where).agencies:
        raise fail(f"There is no agency {agency}; codes are in datasets/agencies.yaml.")
    issued, text = tokens.issue(agency, timedelta(days=days), note)
    if as_json:
        print_json({**asdict(issued), "token": text})
        return
    console.print(f"Token {issued.id} of {agency}, valid until {issued.expires_at:%Y-%m-%d}. It is not shown again:")
    typer.echo(text)


def _show(tokens: list[Token], as_json: bool) -> None:
    if as_json:
        print_json([asdict(t) for t in tokens])
        return
    now = datetime.now(UTC)
    table = Table("id", "agency", "note", "created", "valid until", "last used", "state")
    for one in tokens:
        state = "revoked" if one.revoked_at else "valid" if one.valid_at(now) else "expired"
        used = f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never"
        table.add_row(one.id, one.agency, one.note, f"{one.created_at:%Y-%m-%d}", f"{one.expires_at:%Y-%m-%d}", used, state)
    out.print(table)
