"""The options of a service in the contract's `servers` entry → typed values, with every mistake explained."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from pipelines.sources.secrets import NAME

KEY_LIKE = re.compile(r"authorization|cookie|token|secret|passw|api[-_]?key", re.IGNORECASE)
MEBIBYTE = 1 << 20
LOOPBACK = ("localhost", "127.0.0.1", "::1")


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


FORMATS = ("json", "xml", "xml-in-json")
PAGINGS = {"none": (), "page": ("param",), "offset": ("param",), "cursor": ("param", "next"), "link": ()}
"""Way of paging → what it needs."""
AUTHS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bearer": (("secret",), ()),
    "apiKey": (("secret",), ("header", "param")),
    "basic": (("user", "secret"), ()),
    "oauth2": (("tokenUrl", "clientId", "secret"), ("scope", "clientAuth")),
}
"""Way of proving who we are → the keys it needs, and those it may have."""
LIMITS = {
    "timeout": "timeout",
    "retries": "retries",
    "maxWait": "wait",
    "requestsPerMinute": "rate",
    "maxPages": "pages",
    "maxBytes": "bytes",
    "maxPageBytes": "page_bytes",
}
PARTS = {
    "paging": {"by": "by", "param": "param", "size": "size", "sizeParam": "size_param", "first": "first", "next": "next", "more": "more"},
    "since": {"param": "param", "field": "field", "start": "start", "overlap": "overlap", "format": "format"},
    "success": {"field": "field", "values": "values", "retry": "retry", "message": "message"},
}
SHARED = {"location", "headers", "ignore", "auth", "plainHttp", *LIMITS}
KEYS: dict[str, frozenset[str]] = {
    "api": frozenset(SHARED | {"params", "body", "format", "records", "elements", "total", "conditional", *PARTS}),
    "ckan": frozenset(SHARED | {"resource", "filters", "pageSize"}),
    "arcgis": frozenset(SHARED | {"where", "pageSize"}),
}
"""Kind of service → what its entry may say."""


def faults(kind: str, raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The mistakes of a service's entry as (message, fix) pairs."""
    for key in raw:
        if key not in KEYS[kind]:
            yield f"`{key}` is not known for a source of type {kind}", _near(key, KEYS[kind])
    yield from _location_faults(raw)
    if kind == "ckan" and not raw.get("resource"):
        yield "resource is missing", "write the id of the CKAN resource"
    if raw.get("format", "json") not in FORMATS:
        yield f"format `{raw['format']}` is not known", f"write one of: {', '.join(FORMATS)}"
    for part in ("params", "headers", "body", "auth", "filters", *PARTS):
        if part in raw and not isinstance(raw[part], Mapping):
            yield f"{part} is not a mapping", "write `name: value` pairs"
        elif part in PARTS:
            for key in raw.get(part, {}):
                if key not in PARTS[part]:
                    yield f"{part}.{key} is not known", _near(key, PARTS[part])
    for part in ("params", "headers", "body"):
        for name in raw.get(part) or ():
            if KEY_LIKE.search(str(name)):
                yield f"{part}.{name} looks like a key", "name the secret under `auth`; its text stays outside the contract"
    if isinstance(raw.get("auth"), Mapping):
        yield from _auth_faults(raw["auth"])
    if isinstance(raw.get("paging"), Mapping):
        yield from _paging_faults(raw["paging"])
    for key in (*LIMITS, "pageSize"):
        if key in raw and (isinstance(raw[key], bool) or not isinstance(raw[key], int | float) or raw[key] < 0):
            yield f"{key} `{raw[key]}` is not a number", "write a number, 0 or more"
    for part, needed in (("since", ("param", "field")), ("success", ("field",))):
        if isinstance(raw.get(part), Mapping):
            yield from ((f"{part}.{key} is missing", f"write {part}.{key}") for key in needed if not raw[part].get(key))


def _near(word: str, known: Any) -> str:
    near = get_close_matches(str(word), known, 1)
    return f"did you mean `{near[0]}`?" if near else f"known are: {', '.join(sorted(known))}"


def _location_faults(raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    location = raw.get("location")
    parts = urlsplit(location) if isinstance(location, str) else None
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        yield f"location `{location}` is no address", "write https://…"
        return
    if parts.username or parts.password or "@" in parts.netloc:
        yield "location holds a user or password", "name the secret under `auth`; its text stays outside the contract"
    if parts.query:
        yield "location holds parameters", "write them under `params`, and a key under `auth`"
    if parts.scheme == "http" and raw.get("auth") and not raw.get("plainHttp") and parts.hostname not in LOOPBACK:
        yield "the secret would travel unencrypted", "use https; in a closed network say `plainHttp: true`"


def _auth_faults(auth: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    kind = auth.get("type")
    if kind not in AUTHS:
        yield f"auth.type `{kind}` is not known", f"write one of: {', '.join(AUTHS)}"
        return
    needed, allowed = AUTHS[kind]
    for key in needed:
        if not auth.get(key):
            yield f"auth.{key} is missing", f"{kind} needs {', '.join(needed)}"
    for key in auth:
        if key not in ("type", *needed, *allowed):
            yield f"auth.{key} is not known for {kind}", f"known are: {', '.join((*needed, *allowed))}"
    if auth.get("secret") and not re.fullmatch(NAME, str(auth["secret"])):
        yield "auth.secret is not the name of a secret", "write a name such as LGSP_TOKEN; the secret's text stays outside the contract"
    if kind == "apiKey" and ("header" in auth) == ("param" in auth):
        yield "auth says not where the key goes", "write either header or param"


def _paging_faults(paging: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    by = paging.get("by")
    if by not in PAGINGS:
        yield f"paging.by `{by}` is not known", f"write one of: {', '.join(PAGINGS)}"
        return
    for key in PAGINGS[by]:
        if not paging.get(key):
            yield f"paging.{key} is missing", f"paging by {by} needs {', '.join(PAGINGS[by])}"


def options_of(kind: str, raw: Mapping[str, Any]) -> Options:
    """The entry's options. Raises `ValueError` for an entry with mistakes, which `kho check` would have named."""
    if mistakes := list(faults(kind, raw)):
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
        for key in ("body", "format", "records", "elements", "total", "conditional", "resource", "where", "filters")
        if key in raw
    }
    return Options(
        location=raw["location"],
        headers=dict(raw.get("headers", {})),
        ignore=frozenset(raw.get("ignore", ())),
        auth=dict(raw.get("auth", {})),
        limits=Limits(plain_http=bool(raw.get("plainHttp")), **{LIMITS[k]: raw[k] for k in LIMITS if k in raw}),
        **{"params": {k: str(v) for k, v in raw.get("params", {}).items()}} | parts | plain,
    )
