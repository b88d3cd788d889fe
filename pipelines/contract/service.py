"""What the contract's `servers` entry of a service (`api`, `ckan`, `arcgis`) may say, and its mistakes explained."""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

SECRET_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
KEY_LIKE = re.compile(r"authorization|cookie|token|secret|passw|api[-_]?key", re.IGNORECASE)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
FORMATS = ("json", "xml", "xml-in-json")
PAGINGS = {"none": (), "page": ("param",), "offset": ("param",), "cursor": ("param", "next"), "link": ()}
"""Way of paging → what it needs."""
AUTHS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bearer": (("secret",), ()),
    "apiKey": (("secret",), ("header", "param")),
    "basic": (("user", "secret"), ()),
    "oauth2": (("endpoint", "clientId", "secret"), ("scope", "clientAuth")),
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
SHARED = {"location", "path", "headers", "ignore", "auth", "plainHttp", "timezone", *LIMITS}
KEYS: dict[str, frozenset[str]] = {
    "api": frozenset(SHARED | {"params", "body", "format", "records", "elements", "total", "conditional", *PARTS}),
    "ckan": frozenset(SHARED | {"resource", "filters", "pageSize"}),
    "arcgis": frozenset(SHARED | {"where", "pageSize"}),
}
"""Kind of service → what its entry may say."""


def service_faults(kind: str, raw: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The mistakes of a service's entry as (message, fix) pairs; none repeats what may be a secret."""
    for key in raw:
        if key not in KEYS[kind]:
            yield f"`{key}` is not known for a source of type {kind}", _near(key, KEYS[kind])
    raw = {key: value for key, value in raw.items() if key in KEYS[kind]}
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
    if not isinstance(raw.get("path", ""), str) or "?" in str(raw.get("path", "")):
        yield f"path `{raw['path']}` is no path", "write what follows the location; parameters stand under `params`"
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
        yield "location is no address", "write https://…"  # not repeated: a password may stand in it
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
    if auth.get("secret") and not SECRET_NAME.fullmatch(str(auth["secret"])):
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
