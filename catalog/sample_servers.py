"""The sample servers of a first run: started beside the other services of `kho up`, from the folder of samples."""

from rich.console import Console

from catalog.services import Services
from pipelines.contract import Register
from pipelines.samples.postgres import PostgresDidNotStart, SamplePostgres, write_servers
from pipelines.settings import Settings


def start_sample_servers(services: Services, where: Settings, register: Register, console: Console) -> None:
    """Start what serves the SYNTHETIC rows of datasets that come from agencies' systems, and say where it answers.

    Does nothing where there are no such samples, or where the installation names systems of its own. A server that does not
    start leaves its datasets unreachable, which each of them says.
    """
    if where.servers.parent != where.samples:
        return
    postgres = SamplePostgres(where)
    if not postgres.contracts(register):
        return
    try:
        with console.status("starting the sample PostgreSQL …"):
            services.start("postgres", postgres.prepare(), log=postgres.log)
            tables = postgres.fill(register)
    except (PostgresDidNotStart, OSError) as error:
        console.print(f"[red]The sample PostgreSQL does not start[/red]: {error}", highlight=False)
        return
    write_servers(where, [postgres.servers(register)])
    console.print(f"PostgreSQL with {tables} tables of SYNTHETIC rows at 127.0.0.1:{postgres.port} stands in for the agencies' databases.")
