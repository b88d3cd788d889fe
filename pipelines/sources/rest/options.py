"""The options of a service in the contract's `servers` entry → typed values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines.contract.service import LIMITS, PARTS, service_faults

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Limits:
    """How far a pull goes before it gives up. Seconds, bytes, counts."""

    timeout: float = 60
    """Seconds without a byte."""
    retries: int = 5
    """Further tries of one page."""
    wait: float = 120
    """The longest pause that a service may ask for (`Retry-After`); asked for more, the pull ends and goes on another time."""
    rate: float = 0
    """Requests a minute; 0 for as many as come."""
    pages: int = 10_000
    bytes: int = 2_048 * MEBIBYTE
    page_bytes: int = 64 * MEBIBYTE
    plain_http: bool = False
    """A secret may travel unencrypted: for services inside a closed network that speak nothing better."""


@dataclass(frozen=True)
class Paging:
    """How one page leads to the next."""

    by: str = "none"
    """`none`, `page`, `offset`, `cursor` or `link`."""
    param: str = ""
    """The parameter that takes the page's number, the offset or the cursor."""
    size: int | None = None
    size_param: str = ""
    first: int = 1
    """The first page's number."""
    next: str = ""
    """Where the answer names the next cursor or link; for `link` the HTTP header `Link`, unless said."""
    more: str = ""
    """Where the answer says whether there are more records."""


@dataclass(frozen=True)
class Since:
    """Pulls after the first ask only for what is new."""

    param: str
    field: str
    """Field of the records; its greatest value is where the next pull starts."""
    start: str | None = None
    """What the first pull asks for; without it, the first pull asks for everything."""
    overlap: float = 0
    """How far each pull reaches back behind the last one, for records that came late: days of a date, units of a number."""
    format: str = ""
    """How the service wants a date written (`%d/%m/%Y`); as the records have it, unless said."""


@dataclass(frozen=True)
class Success:
    """How the service says in its answer that all went well, where the HTTP status does not."""

    field: str
    values: tuple[str, ...] = ()
    """Good values; with none, the field must be absent."""
    retry: tuple[str, ...] = ()
    """Values that mean trouble of the moment."""
    message: str = ""


@dataclass(frozen=True)
class Options:
    """Everything that a contract may say about a service."""

    location: str
    """The whole address."""
    params: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    format: str = "json"
    records: str = ""
    """Path to the records, `data.items`; empty where the answer is the list itself (XML: where the root's children are the records)."""
    elements: str = ""
    """Path to the records inside the XML that stands as text at ``records`` (format `xml-in-json`)."""
    total: str = ""
    """Where the answer says how many records there are in all."""
    ignore: frozenset[str] = frozenset()
    """Fields that are left behind."""
    conditional: bool | None = None
    """Whether `ETag` and `Last-Modified` stand for the whole dataset; unless said, only where the answer is one page."""
    auth: dict[str, str] = field(default_factory=dict)
    paging: Paging = Paging()
    since: Since | None = None
    success: Success | None = None
    limits: Limits = Limits()
    resource: str = ""
    """CKAN: the resource's id."""
    where: str = "1=1"
    """ArcGIS: which features."""
    filters: dict[str, Any] = field(default_factory=dict)
    """CKAN: which records."""
    timezone: str = "Asia/Ho_Chi_Minh"
    """ArcGIS: whose calendar the dates are in, which travel as milliseconds of UTC."""


def options_of(kind: str, raw: Mapping[str, Any]) -> Options:
    """The entry's options. Raises `ValueError` for an entry with mistakes, which `kho check` would have named."""
    if mistakes := list(service_faults(kind, raw)):
        raise ValueError("; ".join(f"{message}: {fix}" for message, fix in mistakes))
    parts: dict[str, Any] = {}
    kinds: dict[str, Callable[..., Any]] = {"paging": Paging, "since": Since, "success": Success}
    for part, of in kinds.items():
        if part in raw:
            values: dict[str, Any] = {PARTS[part][key]: value for key, value in raw[part].items()}
            parts[part] = of(**{key: tuple(map(str, value)) if isinstance(value, list) else value for key, value in values.items()})
    if kind != "api" and "pageSize" in raw:
        parts["paging"] = Paging(size=raw["pageSize"])
    plain = {
        key: raw[key]
        for key in ("body", "format", "records", "elements", "total", "conditional", "resource", "where", "filters", "timezone")
        if key in raw
    }
    location = f"{raw['location'].rstrip('/')}/{path.lstrip('/')}" if (path := raw.get("path")) else raw["location"]
    return Options(
        location=location,
        headers=dict(raw.get("headers", {})),
        ignore=frozenset(raw.get("ignore", ())),
        auth=dict(raw.get("auth", {})),
        limits=Limits(plain_http=bool(raw.get("plainHttp")), **{LIMITS[k]: raw[k] for k in LIMITS if k in raw}),
        **{"params": {k: str(v) for k, v in raw.get("params", {}).items()}} | parts | plain,
    )
