"""Views: take what the catalogue says, hand it to a template. No decisions here."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from catalog.access import Decision, decide
from catalog.alphabet import alphabetically
from catalog.browse import FACETS, browse
from catalog.citation import cite
from catalog.doors.api import api
from catalog.doors.rejects import everybody, find
from catalog.doors.selection import NoData, Reader, Selection
from catalog.pages.dictionary import dictionary
from catalog.pages.tags import translate
from catalog.publish import QUALITY_STATES, Catalogue, Entry
from pipelines.contract import Agency
from pipelines.quality import ADVICE, TABLE, ExpectationResult, Finding, expectations_of
from pipelines.rejects import Quarantine

PAGE_SIZE = 20
PREVIEW_ROWS = 20
ON_HOME = 8
QUARANTINED_SHOWN = 20


def _catalogue(request: HttpRequest) -> Catalogue:
    return request.catalogue


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def home(request: HttpRequest) -> HttpResponse:
    catalogue, now = _catalogue(request), _now()
    late = catalogue.late(now)
    context = {
        "newest": catalogue.newest[:ON_HOME],
        "late": [(entry, entry.freshness_at(now)) for entry in late[:ON_HOME]],
        "late_total": len(late),
        "agencies": _agencies(catalogue, request.language),
        "domains": _domains(catalogue, request.language),
        "with_data": len(catalogue.newest),
    }
    return render(request, "home.html", context)


def _agencies(catalogue: Catalogue, language: str) -> list[tuple[Agency, int]]:
    """Every agency with the number of datasets it owns, by name."""
    counted = [(agency, len(catalogue.by_agency.get(code, ()))) for code, agency in catalogue.register.agencies.items()]
    return sorted(counted, key=lambda c: alphabetically(c[0].name_en if language == "en" else c[0].name))


def _domains(catalogue: Catalogue, language: str) -> list[tuple[str, str, int]]:
    domains = [(slug, catalogue.register.domain_title(slug, language), len(found)) for slug, found in catalogue.by_domain.items()]
    return sorted(domains, key=lambda d: alphabetically(d[1]))


def search(request: HttpRequest) -> HttpResponse:
    catalogue, language = _catalogue(request), request.language
    text = request.GET.get("q", "").strip()[:200]
    chosen = {facet: request.GET.getlist(facet) for facet in FACETS}
    sort = "title" if request.GET.get("sort") == "title" else "relevance"
    found = browse(catalogue, text, chosen, sort)
    pages = max(1, -(-len(found.entries) // PAGE_SIZE))
    asked = request.GET.get("page", "1")
    page = min(max(int(asked), 1), pages) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 1
    kept = [("q", text)] * bool(text) + [(f, v) for f in FACETS for v in chosen[f]] + [("sort", sort)] * (sort != "relevance")
    address = lambda number: "/search?" + urlencode([*kept, ("page", number)])
    context = {
        "text": text,
        "sort": sort,
        "total": len(found.entries),
        "results": found.entries[(page - 1) * PAGE_SIZE : page * PAGE_SIZE],
        "facets": [(facet, _choices(catalogue, facet, found.counts[facet], chosen[facet], language)) for facet in FACETS],
        "filtered": any(chosen.values()),
        "page": page,
        "pages": pages,
        "previous": address(page - 1) if page > 1 else None,
        "next": address(page + 1) if page < pages else None,
    }
    return render(request, "search.html", context)


def _choices(catalogue: Catalogue, facet: str, counts: Any, chosen: list[str], language: str) -> list[dict[str, Any]]:
    """A facet's values with their counts; a chosen value stays even when it leaves nothing."""

    def label(value: str) -> str:
        if facet == "domain":
            return catalogue.register.domain_title(value, language)
        if facet == "agency":
            agency = catalogue.register.agencies.get(value)
            return (agency.name_en if language == "en" else agency.name) if agency else value
        try:
            return translate(f"{facet}.{value}", language)
        except KeyError:  # a value typed into the address
            return value

    values = [*counts, *(value for value in chosen if value not in counts)]
    choices = [{"value": v, "label": label(v), "count": counts[v], "chosen": v in chosen} for v in values]
    if facet == "quality":
        return sorted(choices, key=lambda c: QUALITY_STATES.index(c["value"]) if c["value"] in QUALITY_STATES else 99)
    return sorted(choices, key=lambda c: (-c["count"], alphabetically(c["label"])))


def _entry(request: HttpRequest, id: str) -> Entry:
    entry = _catalogue(request).entries.get(id)
    if entry is None:
        raise Http404
    return entry


def dataset(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    catalogue, language = _catalogue(request), request.language
    entry = _entry(request, f"{domain}/{name}")
    decision = decide(request.visitor, entry.contract)
    address = request.build_absolute_uri(entry.path)
    reader = Reader(request.live, catalogue)
    preview = quarantined = None
    if decision.allowed and entry.latest:
        try:
            selection = Selection.of(entry, decision, limit=PREVIEW_ROWS)
            preview = {"columns": [entry.contract.by_name[c] for c in selection.columns], "rows": reader.rows(selection)}
            quarantined = reader.quarantined(entry, decision, QUARANTINED_SHOWN)
        except NoData:  # the table is being changed to fit a new contract; the rest of the page stands
            preview = None
    context = {
        "entry": entry,
        "c": entry.contract,
        "decision": decision,
        "hidden": len(entry.contract.columns) - len(decision.columns),
        "refusal": decision.reason(language),
        "fresh": entry.freshness,
        "lines": dictionary(catalogue.register, entry, decision, language),
        "checks": [(check, next((r for r in entry.checks if r.name == check.name), None)) for check in entry.contract.checks],
        "checks_passed": len(entry.checks) - len(entry.failed_checks),
        "expectations": [(e, _findings(e, decision), ADVICE[e.kind]) for e in entry.expectations],
        "expected": [] if entry.expectations else expectations_of(entry.contract),
        "provenance": entry.contract.provenance.split(": ", 1),
        "upstream": [catalogue.entries[id] for id in entry.upstream if id in catalogue.entries],
        "downstream": [catalogue.entries[id] for id in entry.downstream if id in catalogue.entries],
        "preview": preview,
        "quarantined": quarantined,
        "downloads": ("csv", "xlsx", "json", "parquet") if decision.allowed and entry.latest else (),
        "citation": cite(catalogue, entry, address, language),
        "address": address,
        "api_address": request.build_absolute_uri(f"/api/v1/datasets/{entry.id}"),
        "sql": f"SELECT {', '.join(decision.columns[:5]) or '*'} FROM {entry.contract.sql_name} LIMIT 10",
    }
    return render(request, "dataset.html", context)


def rejects(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """What was held back of a dataset's deliveries. Counts and rules are for everybody, values as far as the decision goes."""
    entry = _entry(request, f"{domain}/{name}")
    decision = decide(request.visitor, entry.contract)
    context: dict[str, Any] = {"entry": entry, "c": entry.contract, "waiting": [], "chosen": None, "sent": "sent" in request.GET}
    try:
        with Reader(request.live, request.catalogue).cursor() as cursor:
            quarantine = Quarantine(cursor, request.catalogue.snapshot)
            waiting = quarantine.deliveries(entry.id)
            if chosen := find(waiting, request.GET.get("delivery", "")):
                titles = {c.name: c.title_en if request.language == "en" else c.title for c in entry.contract.columns}
                context |= {
                    "waiting": waiting,
                    "chosen": chosen,
                    "groups": list(quarantine.groups(chosen.delivery_id).items()),
                    "faults": [{"fault": f, "title": _titles(f.column, titles)} for f in quarantine.faults(chosen.delivery_id)],
                    "examples": quarantine.examples(chosen.delivery_id, decision.columns, QUARANTINED_SHOWN) if decision.allowed else [],
                    "hidden": len(entry.contract.columns) - len(decision.columns),
                    "everybody": everybody(request, entry),
                    "tokens": settings.KHO_AGENCY_OF_TOKEN is not None,
                    "sheet_address": f"{entry.path}/rejects/fix-sheet.xlsx?delivery={chosen.delivery_id}",
                }
    except NoData:  # nothing was ever stored
        pass
    return render(request, "rejects.html", context)


def _titles(columns: str, titles: dict[str, str]) -> str:
    return ", ".join(titles.get(name, name) for name in columns.split(", ")) if columns else ""


def _findings(result: ExpectationResult, decision: Decision) -> list[Finding]:
    """What the visitor may read of an expectation's findings: of the whole dataset, and of the columns that are published."""
    return [f for f in result.findings if f.subject == TABLE or f.subject in decision.columns]


def agencies(request: HttpRequest) -> HttpResponse:
    return render(request, "agencies.html", {"agencies": _agencies(_catalogue(request), request.language)})


def agency(request: HttpRequest, code: str) -> HttpResponse:
    catalogue = _catalogue(request)
    if code not in catalogue.register.agencies:
        raise Http404
    context = {"agency": catalogue.register.agencies[code], "entries": catalogue.by_agency.get(code, [])}
    return render(request, "agency.html", context)


def domains(request: HttpRequest) -> HttpResponse:
    return render(request, "domains.html", {"domains": _domains(_catalogue(request), request.language)})


def domain(request: HttpRequest, slug: str) -> HttpResponse:
    catalogue = _catalogue(request)
    if slug not in catalogue.by_domain:
        raise Http404
    return render(request, "domain.html", {"slug": slug, "entries": catalogue.by_domain[slug]})


def late(request: HttpRequest) -> HttpResponse:
    now = _now()
    return render(request, "late.html", {"late": [(e, e.freshness_at(now)) for e in _catalogue(request).late(now)]})


def about(request: HttpRequest) -> HttpResponse:
    return render(request, "about.html")


def api_reference(request: HttpRequest) -> HttpResponse:
    """The reference page of the API, made from its OpenAPI document."""
    document = api.get_openapi_schema(path_prefix="/api/v1/")
    operations = [
        {"method": method.upper(), "path": path, **operation}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return render(request, "api.html", {"operations": operations})


def healthz(request: HttpRequest) -> JsonResponse:
    catalogue = _catalogue(request)
    return JsonResponse(
        {"status": "ok", "datasets": len(catalogue.entries), "snapshot": catalogue.snapshot, "register_mistakes": len(catalogue.mistakes)}
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "404.html", {"reason": "error.not_found"}, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    return render(request, "500.html", status=500)
