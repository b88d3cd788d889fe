"""The sample servers of a first run: started beside the other services of `kho up`, from the folder of samples."""

import os
from typing import Any

from rich.console import Console

from catalog.services import Services
from pipelines.contract import Register
from pipelines.samples.postgres import PostgresDidNotStart, SamplePostgres, write_servers
from pipelines.samples.service import SampleService
from pipelines.settings import Settings

Servers = dict[str, dict[str, Any]]


def start_sample_servers(services: Services, where: Settings, register: Register, console: Console) -> None:
    """Start what serves the SYNTHETIC rows of datasets that come from agencies' systems, and say where it answers.

    Does nothing where there are no such samples, or where the installation names systems of its own. A server that does not
    start leaves its datasets unreachable, which each of them says.
    """
    if where.servers.parent != where.samples:
        return
    started = [_start_service(services, where, register, console), _start_postgres(services, where, register, console)]
    if any(started):
        write_servers(where, started)


def hold_sample_token(where: Settings) -> None:
    """Let this process pull from the sample service that a `kho up` beside it serves."""
    if where.servers.parent == where.samples and where.servers.exists():
        os.environ.update(SampleService(where).environment() | dict(os.environ))


def _start_postgres(services: Services, where: Settings, register: Register, console: Console) -> Servers:
    postgres = SamplePostgres(where)
    if not postgres.contracts(register):
        return {}
    try:
        with console.status("starting the sample PostgreSQL …"):
            services.start("postgres", postgres.prepare(), log=postgres.log)
            tables = postgres.fill(register)
    except (PostgresDidNotStart, OSError) as error:
        console.print(f"[red]The sample PostgreSQL does not start[/red]: {error}", highlight=False)
        return {}
    console.print(f"PostgreSQL with {tables} tables of SYNTHETIC rows at 127.0.0.1:{postgres.port} stands in for the agencies' databases.")
    return postgres.servers(register)


def _start_service(services: Services, where: Settings, register: Register, console: Console) -> Servers:
    service = SampleService(where)
    count = len(service.contracts(register))
    if not count:
        return {}
    # The token for the service, for Dagster, and for this process, which pulls itself.
    token = service.environment()
    services.environment |= token
    os.environ.update(token)
    services.start("sample service", service.command(), log=service.log)
    services.wait_until_answering({"sample service": service.address}, console)
    console.print(f"A service with {count} datasets of SYNTHETIC records at {service.address} stands in for the agencies' services.")
    return service.servers(register)
