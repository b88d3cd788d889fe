"""Where a dataset is fetched from: the contract's ODCS `servers` entry → `Source`, with its mistakes explained.

ODCS's own fields say which server it is; what ODCS has no field for stands in the entry's `customProperties`. Which fields a
kind of source knows is data (`KINDS`): a new kind is one entry here and one function in `pipelines/sources`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pipelines.contract.model import Source
from pipelines.contract.places import PLACES
from pipelines.contract.service import KEYS, service_faults

SECRET_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
SECRET_FIELD = re.compile(r"secret|password|passwd|pwd|token|api_?key|access_?key|private_?key|passphrase", re.IGNORECASE)
NAMES_A_SECRET = re.compile(r".*secret", re.IGNORECASE)
CREDENTIALS_IN_ADDRESS = re.compile(r"//[^/@\s]*:[^/@\s]*@")
GENERAL = {"id", "server", "type", "description", "environment", "roles", "customProperties"}


@dataclass(frozen=True)
class Kind:
    """What a `servers` entry of this kind may say: ODCS's ``fields``, ours (``properties``), and what it cannot do without."""

    fields: frozenset[str]
    properties: frozenset[str]
    required: frozenset[str] = frozenset()


_TABLE = frozenset({"user", "secret", "table", "columns", "cursor", "overlap", "window", "tls"})

KINDS: dict[str, Kind] = {
    "postgres": Kind(frozenset({"host", "port", "database", "schema"}), _TABLE, frozenset({"host", "port", "database", "schema"})),
    "mysql": Kind(frozenset({"host", "port", "database"}), _TABLE | {"driver"}, frozenset({"host", "port", "database"})),
    "sqlserver": Kind(
        frozenset({"host", "port", "database", "schema"}), _TABLE | {"driver"}, frozenset({"host", "port", "database", "schema"})
    ),
    "sftp": Kind(
        frozenset({"location"}),
        frozenset({"user", "hostKey", "secret", "keySecret", "passphraseSecret", "doneMark", "steadySeconds", "removeTaken"}),
        frozenset({"location"}),
    ),
    "s3": Kind(
        frozenset({"location", "endpointUrl", "region"}),
        frozenset({"idSecret", "secret", "caFile", "virtualHosted", "removeTaken"}),
        frozenset({"location"}),
    ),
    "oracle": Kind(frozenset({"host", "port", "serviceName"}), _TABLE | {"schema"}, frozenset({"host", "port", "serviceName"})),
    **{kind: Kind(frozenset({"location"}), keys - {"location"}, frozenset({"location"})) for kind, keys in KEYS.items()},
}
"""By ODCS's server type; a `custom` server names its kind in the property `kind`."""

SAME = {"postgresql": "postgres"}
DATABASES = ("postgres", "mysql", "sqlserver", "oracle")

Fault = tuple[str, str]


def source_of(raw: list[dict[str, Any]], columns: set[str], load_mode: Any) -> tuple[Source | None, list[Fault]]:
    """The source that a contract's ``servers`` describe, and its mistakes as (message, fix) pairs; with any, no source.

    No message repeats a value that may be a secret.
    """
    if not raw or [entry.get("type") for entry in raw] == ["local"]:
        return None, []  # the drop folder: agencies bring the files
    if len(raw) > 1:
        return None, [("names more than one server", "a dataset comes from one place: keep one entry under `servers`")]
    entry = raw[0]
    properties = {
        str(p.get("property")): p.get("value") for p in entry.get("customProperties") or () if isinstance(p, dict) and "property" in p
    }
    kind = str(entry.get("type"))
    kind = str(properties.pop("kind", kind)) if kind == "custom" else SAME.get(kind, kind)
    if kind not in KINDS:
        near = get_close_matches(kind, KINDS, 1)
        return None, [
            (
                f"type `{kind}` is no kind of source",
                (f"did you mean `{near[0]}`? " if near else "") + f"write one of: {', '.join(sorted(KINDS))}",
            )
        ]
    fields = {k: v for k, v in entry.items() if k not in GENERAL}
    faults = [*_unknown(kind, fields, properties), *_literal_secrets({**fields, **properties})]
    if not isinstance(entry.get("server"), str) or not entry["server"]:
        faults.append(("server has no name", "write `server: <agency>-<system>`, by which its address can be set per installation"))
    faults += [(f"{name} is missing", f"write `{name}: …`") for name in sorted(KINDS[kind].required - set(fields))]
    if kind in DATABASES:
        faults += _table_faults(properties, columns, load_mode)
    if kind in KEYS and not faults:
        faults += service_faults(kind, {**fields, **properties})
    if kind in PLACES and not faults:
        faults += PLACES[kind]({**fields, **properties})[1]
    if faults:
        return None, faults
    return Source(kind, entry["server"], {**fields, **properties}), []


def _unknown(kind: str, fields: dict[str, Any], properties: dict[str, Any]) -> Iterator[Fault]:
    known = KINDS[kind]
    for given, names, what in ((fields, known.fields, "field"), (properties, known.properties, "property")):
        for name in given:
            if name not in names and not SECRET_FIELD.search(name):
                near = get_close_matches(name, names, 1)
                yield (
                    f"`{name}` is no {what} of a {kind} server",
                    f"did you mean `{near[0]}`?" if near else f"known are: {', '.join(sorted(names))}",
                )


def _literal_secrets(given: Any, path: str = "") -> Iterator[Fault]:
    """Anything that holds a secret instead of its name. The value itself is never repeated."""
    if isinstance(given, list):
        for item in given:
            yield from _literal_secrets(item, path)
    elif isinstance(given, dict):
        for name, value in given.items():
            here = f"{path}.{name}".lstrip(".")
            if isinstance(value, dict | list):
                yield from _literal_secrets(value, here)
            elif NAMES_A_SECRET.fullmatch(str(name)):
                if not (isinstance(value, str) and SECRET_NAME.fullmatch(value)):
                    yield (
                        f"{here} is no name of a secret",
                        "write a name such as STNMT_DAT_DAI here and put the secret itself into the environment "
                        "(KHO_SECRET_STNMT_DAT_DAI) or a secret file; if a real one stood here, change it",
                    )
            elif SECRET_FIELD.search(str(name)) and isinstance(value, str):
                yield (
                    f"{here} holds a secret",
                    "take it out (and change it: it has been written down); write `secret: NAME` and put it into KHO_SECRET_NAME",
                )
    if isinstance(given, dict):
        for name, value in given.items():
            if isinstance(value, str) and CREDENTIALS_IN_ADDRESS.search(value):
                yield f"{name} holds a user and password", "write the address without them; name the secret in `secret`"


def _table_faults(properties: dict[str, Any], columns: set[str], load_mode: Any) -> Iterator[Fault]:
    """What only a table in a database can have wrong."""
    mapped = properties.get("columns", {})
    if not isinstance(mapped, dict) or not all(isinstance(name, str) for name in mapped.values()):
        yield "columns is not a mapping", "write {<column of the contract>: <column of the source>}"
        mapped = {}
    for name in mapped:
        if name not in columns:
            near = get_close_matches(str(name), columns, 1)
            yield f"columns names `{name}`, no column of the contract", f"did you mean `{near[0]}`?" if near else "use the contract's names"
    for name in ("overlap", "window"):
        value = properties.get(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            yield f"{name} `{value}` is not a whole number", f"write `{name}: 0` or more"
    if load_mode == "append":
        yield "a table cannot be appended", "its rows are read again: write loadMode merge (by key), snapshot or replace"
    elif "cursor" in properties and load_mode != "merge":
        yield (
            "a cursor needs loadMode merge",
            "rows near the cursor are read again, so that late ones are not lost: merge them by key, or leave the cursor out",
        )
