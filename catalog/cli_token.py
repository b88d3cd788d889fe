"""`kho token`: issue, list and revoke the tokens by which agencies deliver over HTTP."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from catalog.access.tokens import Token, Tokens
from pipelines.contract import load_register
from pipelines.settings import settings


def token(
    agency: Annotated[str | None, typer.Argument(help="The agency's code, from datasets/agencies.yaml: issue a token to it.")] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long the token is valid.")] = 365,
    note: Annotated[str, typer.Option(help="What it is for, such as the delivering system's name.")] = "",
    list_all: Annotated[bool, typer.Option("--list", help="List the tokens, with an agency only its own.")] = False,
    revoke: Annotated[str | None, typer.Option(metavar="ID", help="End a token now.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Tokens by which an agency's systems deliver files over HTTP. The text is shown once, when the token is issued."""
    where = settings()
    tokens = Tokens(where.tokens)
    if revoke:
        ended = tokens.revoke(revoke)
        if ended is None:
            raise typer.BadParameter(f"there is no token {revoke}; see `kho token --list`")
        typer.echo(f"token {ended.id} of {ended.agency} is revoked", err=True)
        return
    if list_all:
        _show([t for t in tokens.all() if agency in (None, t.agency)], as_json)
        return
    if agency is None:
        raise typer.BadParameter("name an agency, or use --list or --revoke")
    if agency not in load_register(where.register).agencies:
        raise typer.BadParameter(f"there is no agency {agency}; codes are in datasets/agencies.yaml")
    issued, text = tokens.issue(agency, timedelta(days=days), note)
    if as_json:
        typer.echo(json.dumps({**asdict(issued), "token": text}, default=str, ensure_ascii=False))
        return
    typer.echo(f"Token {issued.id} of {agency}, valid until {issued.expires_at:%Y-%m-%d}. It is not shown again:", err=True)
    typer.echo(text)


def _show(tokens: list[Token], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([asdict(t) for t in tokens], default=str, ensure_ascii=False, indent=2))
        return
    now = datetime.now(UTC)
    table = Table("id", "agency", "note", "created", "valid until", "last used", "state")
    for one in tokens:
        state = "revoked" if one.revoked_at else "valid" if one.valid_at(now) else "expired"
        used = f"{one.last_used_at:%Y-%m-%d %H:%M}" if one.last_used_at else "never"
        table.add_row(one.id, one.agency, one.note, f"{one.created_at:%Y-%m-%d}", f"{one.expires_at:%Y-%m-%d}", used, state)
    Console().print(table)
