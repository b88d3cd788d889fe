"""The kind `ckan`: a resource of a CKAN portal's DataStore (CKAN documentation, DataStore extension, `datastore_search`)."""

from dataclasses import asdict
from typing import Any

from pipelines.contract import Contract
from pipelines.sources.fields import known_fields, missing_fields, unknown_fields
from pipelines.sources.rest import documents
from pipelines.sources.rest.answer import Answer, Page, Request, Unacceptable
from pipelines.sources.rest.client import SHOWN, Client
from pipelines.sources.rest.documents import Document, Fields
from pipelines.sources.rest.options import Options, Paging
from pipelines.sources.rest.paging import following
from pipelines.sources.rest.pull import Plan

OWN_FIELDS = frozenset({"_id", "_full_text"})
"""CKAN's own, no data."""
PAGE_SIZE = 10_000
"""A portal gives 32 000 at most, unless its operator chose otherwise; it may give fewer than asked for."""


def plan_of(contract: Contract, state: dict[str, Any], options: Options, client: Client) -> Plan:
    """Ask which fields there are, compare them with the contract, then page through those that it knows, in the order of CKAN's row number.

    Raises `Unacceptable` when the fields do not fit.
    """
    search = Request(f"{options.location.rstrip('/')}/api/3/action/datastore_search", body={"resource_id": options.resource})
    described = _good(client.ask(search.having(limit=0)), client)
    names = [field["id"] for field in described.plain("result.fields") or [] if field["id"] not in OWN_FIELDS | options.ignore]
    if reasons := unknown_fields(contract, names) + missing_fields(contract, names):
        raise Unacceptable(*reasons)
    paging = Paging("offset", "offset", options.paging.size or PAGE_SIZE, "limit")
    fields = Fields(lambda names: known_fields(contract, names))

    def read(answer: Answer) -> Page:
        found = _good(answer, client)
        records = documents.records_at(found, "result.records")
        return Page(len(records), documents.lines(records), fields.of(records), total=found.plain("result.total"))

    start = Request(
        search.url,
        body={
            **(search.body or {}),
            "fields": names,
            "filters": options.filters,
            "sort": "_id",
            "limit": paging.size,
            "offset": 0,
        },
    )
    return Plan(
        start=start,
        read=read,
        follow=lambda request, page, pages, rows: following(paging, request, page, pages, rows),
        limits=options.limits,
        steady=True,
        identity={key: value for key, value in asdict(options).items() if key in ("location", "resource", "filters")},
    )


def _good(answer: Answer, client: Client) -> Document:
    """The answer, where CKAN says that it succeeded."""
    found = documents.document(answer)
    if found.plain("success") is not True:
        message = client.hide(str(found.plain("error.message") or found.plain("error.__type") or ""))[:SHOWN]
        raise Unacceptable.because("service_error", f"Cổng CKAN báo lỗi: {message}", f"The CKAN portal reports: {message}")
    return found
