"""The REST API under `/api/v1`. The same facts and the same permissions as the pages; every error a problem document."""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Query, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError

from catalog.access import Refused, decide
from catalog.browse import FACETS, browse
from catalog.doors.deliveries import Throttled
from catalog.doors.deliveries import router as deliveries
from catalog.doors.problem import problem
from catalog.doors.selection import BadRequest, Condition, NoData, Operator, Reader, Selection
from catalog.publish import Catalogue, Entry

api = NinjaAPI(
    title="Kho API",
    version="1",
    docs_url=None,  # ninja's own reference page loads its scripts from a CDN; `/api/v1/docs` is ours
    description="Danh mục và dữ liệu của kho dữ liệu dùng chung. / Catalogue and data of the shared warehouse.",
)
api.add_router("/deliveries", deliveries)
MAX_PAGE = 1000
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Offset = Annotated[int, Query(ge=0, le=100_000_000)]
RESERVED = {"limit", "offset", "fields", "sort"}
OPERATORS: dict[str, Operator] = {"gte": ">=", "lte": "<="}


class AgencyOut(Schema):
    code: str
    name: str
    name_en: str
    kind: str
    email: str
    phone: str
    datasets: int


class Summary(Schema):
    """A dataset in a list."""

    id: str
    title: str
    title_en: str
    domain: str
    agency: str
    access: str
    personal_data: str
    cycle: str
    status: str
    quality: str
    rows: int
    release: int | None
    released_at: datetime | None
    synthetic: bool
    url: str


class Page(Schema):
    total: int
    limit: int
    offset: int
    items: list[Summary]


class ReleaseOut(Schema):
    release: int
    released_at: datetime
    rows: int
    rows_accepted: int
    rows_quarantined: int
    contract_version: str
    sha256: str
    synthetic: bool


class ColumnOut(Schema):
    name: str
    title: str
    title_en: str
    description: str
    type: str
    sql_type: str
    unit: str | None
    required: bool
    key: int
    unique: bool
    semantic_type: str | None
    personal_data: str
    readable: bool
    values: list[str]
    pattern: str | None
    minimum: str | None
    maximum: str | None
    references: str | None


class RuleOut(Schema):
    name: str
    expression: str
    vi: str
    en: str


class SchemaOut(Schema):
    dataset: str
    sql_name: str
    version: str
    key: list[str]
    columns: list[ColumnOut]
    rules: list[RuleOut]


class Detail(Summary):
    description: str
    description_en: str
    usage: str
    limitations: str
    licence: str | None
    legal_basis: str | None
    provenance: str
    version: str
    sql_name: str
    contact: AgencyOut
    readable: bool
    refusal: dict[str, str] | None
    freshness: str
    due: datetime | None
    upstream: list[str]
    downstream: list[str]
    links: dict[str, str]


class Rows(Schema):
    dataset: str
    release: int
    synthetic: bool
    total: int
    limit: int
    offset: int
    columns: list[str]
    rows: list[dict[str, Any]]
    next: str | None


def _catalogue(request: HttpRequest) -> Catalogue:
    return request.catalogue


def _entry(request: HttpRequest, domain: str, dataset: str) -> Entry:
    entry = _catalogue(request).entries.get(f"{domain}/{dataset}")
    if entry is None:
        raise HttpError(404, f"there is no dataset `{domain}/{dataset}`")
    return entry


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None


def _summary(request: HttpRequest, entry: Entry) -> dict[str, Any]:
    c, latest = entry.contract, entry.latest
    return {
        "id": c.id, "title": c.title, "title_en": c.title_en, "domain": c.domain, "agency": c.agency, "access": c.access,
        "personal_data": c.personal, "cycle": c.cycle, "status": c.status, "quality": entry.quality, "rows": entry.rows,
        "release": latest.release if latest else None, "released_at": _utc(latest.finished_at) if latest else None,
        "synthetic": entry.synthetic, "url": request.build_absolute_uri(entry.path),
    }  # fmt: skip


def _agency(catalogue: Catalogue, code: str) -> dict[str, Any]:
    a = catalogue.register.agencies[code]
    datasets = len(catalogue.by_agency.get(code, ()))
    return {"code": a.code, "name": a.name, "name_en": a.name_en, "kind": a.kind, "email": a.email, "phone": a.phone, "datasets": datasets}


@api.get("/datasets", response=Page, summary="Datasets, filtered by facets")
def list_datasets(
    request: HttpRequest,
    q: str = "",
    domain: Annotated[list[str], Query()] = [],  # noqa: B006 - ninja reads the default, nobody changes it
    agency: Annotated[list[str], Query()] = [],  # noqa: B006
    access: Annotated[list[str], Query()] = [],  # noqa: B006
    cycle: Annotated[list[str], Query()] = [],  # noqa: B006
    personal: Annotated[list[str], Query()] = [],  # noqa: B006
    quality: Annotated[list[str], Query()] = [],  # noqa: B006
    sort: Literal["relevance", "title"] = "relevance",
    limit: Limit = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    chosen = dict(zip(FACETS, (domain, agency, access, cycle, personal, quality), strict=True))
    found = browse(_catalogue(request), q, chosen, sort).entries
    items = [_summary(request, entry) for entry in found[offset : offset + limit]]
    return {"total": len(found), "limit": limit, "offset": offset, "items": items}


@api.get("/search", response=Page, summary="Datasets that match a text, best first")
def search(request: HttpRequest, q: str, limit: Limit = 20, offset: Offset = 0) -> dict[str, Any]:
    found = browse(_catalogue(request), q).entries if q.strip() else []
    items = [_summary(request, entry) for entry in found[offset : offset + limit]]
    return {"total": len(found), "limit": limit, "offset": offset, "items": items}


@api.get("/agencies", response=list[AgencyOut], summary="Agencies and how many datasets they own")
def agencies(request: HttpRequest) -> list[dict[str, Any]]:
    return [_agency(_catalogue(request), code) for code in _catalogue(request).register.agencies]


@api.get("/datasets/{domain}/{dataset}", response=Detail, summary="One dataset")
def dataset(request: HttpRequest, domain: str, dataset: str) -> dict[str, Any]:
    entry = _entry(request, domain, dataset)
    c, decision = entry.contract, decide(request.visitor, entry.contract)
    fresh = entry.freshness
    base = request.build_absolute_uri(f"/api/v1/datasets/{c.id}")
    links = {"schema": f"{base}/schema", "releases": f"{base}/releases"}
    if decision.allowed and entry.latest:
        links["rows"] = f"{base}/rows"
        links |= {form: request.build_absolute_uri(f"{entry.path}/download.{form}") for form in ("csv", "xlsx", "json", "parquet")}
    return {
        **_summary(request, entry), "description": c.purpose, "description_en": c.description_en, "usage": c.usage,
        "limitations": c.limitations, "licence": c.licence, "legal_basis": c.legal_basis, "provenance": c.provenance,
        "version": c.version, "sql_name": c.sql_name, "contact": _agency(_catalogue(request), c.agency),
        "readable": decision.allowed,
        "refusal": None if decision.allowed else {"vi": decision.reason_vi, "en": decision.reason_en},
        "freshness": fresh.state, "due": _utc(fresh.due), "upstream": list(entry.upstream),
        "downstream": list(entry.downstream), "links": links,
    }  # fmt: skip


@api.get("/datasets/{domain}/{dataset}/schema", response=SchemaOut, summary="Columns and rules of a dataset")
def schema(request: HttpRequest, domain: str, dataset: str) -> dict[str, Any]:
    c = _entry(request, domain, dataset).contract
    readable = decide(request.visitor, c).columns
    text = lambda value: None if value is None else str(value)
    columns = [
        {
            "name": x.name, "title": x.title, "title_en": x.title_en, "description": x.description, "type": x.type,
            "sql_type": x.sql_type, "unit": x.unit, "required": x.required, "key": x.key, "unique": x.unique,
            "semantic_type": x.semantic, "personal_data": x.personal, "readable": x.name in readable, "values": list(x.values),
            "pattern": x.pattern, "minimum": text(x.minimum), "maximum": text(x.maximum),
            "references": ".".join(x.references) if x.references else None,
        }
        for x in c.columns
    ]  # fmt: skip
    rules = [{"name": r.name, "expression": r.expression, "vi": r.vi, "en": r.en} for r in c.rules]
    return {"dataset": c.id, "sql_name": c.sql_name, "version": c.version, "key": list(c.key), "columns": columns, "rules": rules}


@api.get("/datasets/{domain}/{dataset}/releases", response=list[ReleaseOut], summary="Releases, newest first")
def releases(request: HttpRequest, domain: str, dataset: str) -> list[dict[str, Any]]:
    return [
        {
            "release": d.release, "released_at": _utc(d.finished_at), "rows": d.rows_total, "rows_accepted": d.rows_accepted,
            "rows_quarantined": d.rows_quarantined, "contract_version": d.contract_version, "sha256": d.sha256,
            "synthetic": d.synthetic,
        }
        for d in _entry(request, domain, dataset).releases
    ]  # fmt: skip


@api.get(
    "/datasets/{domain}/{dataset}/rows",
    response=Rows,
    summary="Rows of the newest release",
    description=(
        "Filters are further parameters: `column=value` (repeat it for alternatives), `column__gte=value`, `column__lte=value`. "
        "`fields=a,b` chooses columns, `sort=a,-b` orders. Only columns that the visitor may read can be named."
    ),
)
def rows(
    request: HttpRequest, domain: str, dataset: str, limit: Limit = 100, offset: Offset = 0, fields: str = "", sort: str = ""
) -> dict[str, Any]:
    entry = _entry(request, domain, dataset)
    selection = Selection.of(
        entry,
        decide(request.visitor, entry.contract),
        columns=_names(fields),
        conditions=_conditions(request),
        order=[(name.removeprefix("-"), name.startswith("-")) for name in _names(sort)],
        limit=limit,
        offset=offset,
    )
    reader = Reader(request.live, _catalogue(request))
    total = reader.count(selection) if selection.conditions else entry.rows
    found = [json.loads(row) for row in reader.json_rows(selection)]
    following = request.GET.copy()
    following["offset"] = str(offset + limit)
    more = offset + len(found) < total and found
    assert entry.latest is not None
    return {
        "dataset": entry.id, "release": entry.latest.release, "synthetic": entry.synthetic, "total": total, "limit": limit,
        "offset": offset, "columns": list(selection.columns), "rows": found,
        "next": request.build_absolute_uri(f"{request.path}?{following.urlencode()}") if more else None,
    }  # fmt: skip


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _conditions(request: HttpRequest) -> list[Condition]:
    """Every parameter that is not the API's own is a filter; `Selection` refuses the ones that name no readable column."""
    conditions = []
    for name, values in request.GET.lists():
        if name in RESERVED:
            continue
        column, _, suffix = name.rpartition("__")
        if column and suffix in OPERATORS:
            conditions += [Condition(column, OPERATORS[suffix], (str(value),)) for value in values]
        else:
            conditions.append(Condition(name, "=", tuple(map(str, values))))
    return conditions


@api.exception_handler(Refused)
def _refused(request: HttpRequest, refused: Refused) -> HttpResponse:
    return problem(
        403, f"{refused.decision.reason_vi} / {refused.decision.reason_en}",
        dataset=refused.contract.id, contact=_agency(_catalogue(request), refused.contract.agency),
    )  # fmt: skip


@api.exception_handler(NoData)
def _no_data(request: HttpRequest, missing: NoData) -> HttpResponse:
    return problem(404, "Bộ dữ liệu chưa có dữ liệu. / The dataset has no data yet.")


@api.exception_handler(BadRequest)
def _bad_request(request: HttpRequest, error: BadRequest) -> HttpResponse:
    return problem(422, str(error))


@api.exception_handler(ValidationError)
def _invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    errors = [{"parameter": ".".join(map(str, e["loc"])), "message": e["msg"]} for e in error.errors]
    return problem(422, "; ".join(f"{e['parameter']}: {e['message']}" for e in errors), errors=errors)


@api.exception_handler(HttpError)
def _http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    return problem(error.status_code, str(error))


@api.exception_handler(AuthenticationError)
def _unknown_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    answer = problem(401, "Cần mã truy cập còn hiệu lực của cơ quan. / A valid token of the agency is needed.")
    answer.headers["WWW-Authenticate"] = "Bearer"
    return answer


@api.exception_handler(Throttled)
def _throttled(request: HttpRequest, error: Throttled) -> HttpResponse:
    answer = problem(error.status_code, str(error))
    answer.headers["Retry-After"] = str(error.wait)
    return answer


@api.exception_handler(Http404)
def _not_found(request: HttpRequest, error: Http404) -> HttpResponse:
    return problem(404, "there is nothing at this address")
