"""`kho`: the command-line composition root. A module per group of commands; each brings its own `commands`."""

import typer

from catalog.cli import delivering, expecting, looking, registering, rejecting, running

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
for group in (running, looking, delivering, rejecting, expecting, registering):
    app.add_typer(group.commands)


def main() -> None:
    app()
