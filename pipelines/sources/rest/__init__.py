"""Services: REST in JSON and XML (`api`), CKAN's DataStore (`ckan`), ArcGIS layers (`arcgis`).

A pull writes the records, as the service wrote them, to one file: a JSON list with a record to a line, or XML elements under one root. `client` speaks
HTTP, `paging` and the kinds decide what to ask, `documents` and `xml_documents` find the records, `pull` puts it together, `journal`
lets a pull that broke off go on. Why these libraries: docs/decisions/009-services.md.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pipelines.contract import Contract
from pipelines.sources import Fetched, Withheld
from pipelines.sources.fields import unknown_fields
from pipelines.sources.rest import api, arcgis, ckan
from pipelines.sources.rest.answer import Unacceptable
from pipelines.sources.rest.client import Client
from pipelines.sources.rest.options import Options, options_of
from pipelines.sources.rest.pull import Plan, pull

__all__ = ["fetch", "probe"]

PLANS: dict[str, Callable[[Contract, dict[str, Any], Options, Client], Plan]] = {
    "api": api.plan_of,
    "ckan": ckan.plan_of,
    "arcgis": arcgis.plan_of,
}


def fetch(contract: Contract, state: dict[str, Any], staging: Path) -> Iterator[Fetched | Withheld]:
    """Pull what the service of the contract's source has that is new. See `pipelines.sources.Fetch`."""
    source = contract.source
    assert source
    options = options_of(source.kind, source.options)
    with Client(options) as client:
        try:
            plan = PLANS[source.kind](contract, state, options, client)
        except Unacceptable as error:
            yield Withheld(contract.table, error.reasons)
            return
        yield from pull(contract, state, staging, client, plan)


def probe(contract: Contract) -> str:
    """Ask for the first page, once, and say in a line what came. Raises `SourceUnavailable`."""
    source = contract.source
    assert source
    options = options_of(source.kind, {**source.options, "retries": 0})
    with Client(options) as client:
        try:
            plan = PLANS[source.kind](contract, {}, options, client)
            page = plan.read(client.ask(plan.start, check=plan.check))
            total = plan.count() if plan.count else page.total
        except Unacceptable as error:
            return f"answers, but: {error}"
    unknown = ", ".join(reason.column for reason in unknown_fields(contract, sorted(page.fields)))
    found = f"{page.rows} records on the first page" + (f" of {total} in all" if total is not None else "")
    return f"{found}; not in the contract: {unknown}" if unknown else found
