"""The kind `arcgis`: a layer or table of an ArcGIS feature or map service (Esri, ArcGIS REST API, "Query (Feature Service/Layer)")."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Raw

from pipelines.contract import Contract
from pipelines.sources import SourceUnavailable
from pipelines.sources.fields import column_of, known_fields, missing_fields, unknown_fields
from pipelines.sources.rest import documents
from pipelines.sources.rest.answer import Answer, Page, Request, Unacceptable
from pipelines.sources.rest.client import SHOWN, Client, Passing
from pipelines.sources.rest.documents import Document, Record
from pipelines.sources.rest.options import Options
from pipelines.sources.rest.pull import Plan

PAGE_SIZE = 2_000
"""What most services allow; each says its own limit as `maxRecordCount`."""
BAD_TOKEN = (498, 499)
SHAPE_FIELDS = ("shape__", "shape_", "shape.", "st_area", "st_length", "st_perimeter")
"""Measures that the service computes of the geometry."""
_GEOMETRY = "geometry"


def plan_of(contract: Contract, state: dict[str, Any], options: Options, client: Client) -> Plan:
    """Ask what the layer has, compare it with the contract, then read on from the last object id: no page depends on how many
    features stand before it, and services too old for offsets know it too.

    Raises `Unacceptable` when the fields do not fit.
    """
    location = options.location.rstrip("/")
    layer = _good(client.ask(Request(location, {"f": "json"}), check=_passing), client)
    fields = {str(f["name"]): str(f["type"]) for f in layer.plain("fields") or []}
    own = str(layer.plain("objectIdField") or next((name for name, kind in fields.items() if kind == "esriFieldTypeOID"), ""))
    if not own:
        raise Unacceptable.because("no_object_id", "Lớp dữ liệu không có mã đối tượng", "The layer has no object ids to read it by")
    known = known_fields(contract, fields)
    names = [name for name in fields if name in known or not _of_the_service(name, fields[name], own, options.ignore)]
    shape = column_of(contract, _GEOMETRY) is not None and layer.plain("geometryType") is not None
    if reasons := unknown_fields(contract, names) + missing_fields(contract, [*names, *([_GEOMETRY] if shape else [])]):
        raise Unacceptable(*reasons)
    size = min(options.paging.size or PAGE_SIZE, int(layer.plain("maxRecordCount") or PAGE_SIZE))
    zone = ZoneInfo(options.timezone)
    days = {name for name in names if (column := column_of(contract, name)) and column.type == "date"}
    dates = {name for name, kind in fields.items() if kind == "esriFieldTypeDate"} & set(names)
    query = Request(f"{location}/query", {"where": f"({options.where})", "f": "geojson" if shape else "json"})
    start = query.having(
        outFields=",".join(dict.fromkeys([*names, own])),
        orderByFields=f"{own} ASC",
        resultRecordCount=size,
        returnGeometry=str(shape).lower(),
        **({"outSR": 4326} if shape else {}),
    )

    def read(answer: Answer) -> Page:
        features = documents.records_at(_good(answer, client), "features")
        rows = [_row(feature, shape) for feature in features]
        last = max((int(bytes(row[own])) for row in rows), default=None)
        records = [
            {
                name: _moment(value, zone, name in days) if name in dates else value
                for name, value in row.items()
                if name in names or name == _GEOMETRY
            }
            for row in rows
        ]
        return Page(
            len(records),
            documents.lines(records),
            frozenset(names) | ({_GEOMETRY} if shape else set()),
            next=None if last is None else str(last),
        )

    def follow(request: Request, page: Page, pages: int, rows: int) -> Request | None:
        return None if page.next is None else request.having(where=f"({options.where}) AND {own} > {page.next}")

    def count() -> int:
        counted = Request(query.url, {"where": f"({options.where})", "returnCountOnly": "true", "f": "json"})
        return int(_good(client.ask(counted, check=_passing), client).plain("count"))

    return Plan(
        start=start,
        read=read,
        follow=follow,
        limits=options.limits,
        check=_passing,
        count=count,
        identity={key: value for key, value in asdict(options).items() if key in ("location", "where")},
    )


def _of_the_service(name: str, kind: str, own: str, ignored: frozenset[str]) -> bool:
    """Whether a field is the service's bookkeeping, or one that the contract leaves behind."""
    return (
        name == own
        or name in ignored
        or kind in ("esriFieldTypeOID", "esriFieldTypeGlobalID", "esriFieldTypeGeometry")
        or name.lower().startswith(SHAPE_FIELDS)
    )


def _row(feature: Record, shape: bool) -> Record:
    """A feature's attributes, and its geometry as GeoJSON text."""
    attributes = msgspec.json.decode(feature["properties" if shape else "attributes"], type=Record)
    if shape:
        geometry = bytes(feature.get(_GEOMETRY, Raw(b"null")))
        attributes[_GEOMETRY] = Raw(geometry if geometry == b"null" else msgspec.json.encode(geometry.decode()))
    return attributes


def _moment(value: Raw, zone: ZoneInfo, day: bool) -> Raw:
    """Milliseconds of UTC as a date or time there: a day in Viet Nam begins seven hours before it does in UTC. What is no number already is a date in words."""
    text = bytes(value)
    if not text.removeprefix(b"-").isdigit():
        return value
    moment = datetime.fromtimestamp(int(text) / 1000, UTC).astimezone(zone)
    return Raw(msgspec.json.encode(f"{moment:%Y-%m-%d}" if day else f"{moment:%Y-%m-%d %H:%M:%S}"))


def _error(answer: Answer) -> tuple[int | None, str]:
    """ArcGIS reports errors with status 200."""
    found = documents.document(answer)
    return found.plain("error.code"), str(found.plain("error.message") or "")


def _passing(answer: Answer) -> None:
    code, _ = _error(answer)
    if code in BAD_TOKEN:
        raise SourceUnavailable(f"the ArcGIS service answers {code}: the token is not accepted")
    if code is not None and code >= 500:
        raise Passing(f"the ArcGIS service answers {code}")


def _good(answer: Answer, client: Client) -> Document:
    code, message = _error(answer)
    if code is not None:
        said = f"{code} {client.hide(message)[:SHOWN]}"
        raise Unacceptable.because("service_error", f"Dịch vụ ArcGIS báo lỗi: {said}", f"The ArcGIS service reports: {said}")
    return documents.document(answer)
