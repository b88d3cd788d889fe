"""Which system a source is, here: the contract's own address, or the one that this installation gives for its server.

A contract names its server (`servers[].server`) and says where it is. An installation that reaches it elsewhere — a moved host, a
test system, the synthetic servers of a first run — says so in one file for all datasets of that server (`Settings.servers`):

    stnmt-dat-dai: {host: 10.0.0.7, port: 6432, secret: STNMT_THU_NGHIEM}

Fields given there replace the contract's; `null` takes one away; `synthetic: true` marks whatever comes from it as not real.
"""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pipelines.contract import Contract
from pipelines.contract.model import Source
from pipelines.contract.places import PLACES
from pipelines.settings import Settings


class InvalidServers(Exception):
    """The installation's file of servers cannot be used."""


@dataclass(frozen=True)
class Place:
    """Where a dataset is fetched from, here and now."""

    contract: Contract
    """The contract, its source with this installation's address."""
    origin: str
    """Unequal as soon as contract or place change: what was remembered of the source then no longer holds."""
    synthetic: bool

    @property
    def kind(self) -> str:
        assert self.contract.source
        return self.contract.source.kind


def place_of(contract: Contract, settings: Settings, timezone: str) -> Place:
    """Where ``contract`` is fetched from. ``timezone`` is that of the times which the dataset holds.

    Raises `InvalidServers`.
    """
    assert contract.source
    source = contract.source
    own = _servers(settings.servers).get(source.server, {})
    options = {**source.options, **{k: v for k, v in own.items() if k not in ("type", "synthetic")}}
    options = {k: v for k, v in options.items() if v is not None} | {"timezone": timezone}
    found = Source(str(own.get("type", source.kind)), source.server, options)
    # Rows are asked for by the contract's columns; files are what they are, and a changed rule judges the last one again.
    seal = json.dumps(
        [None if found.kind in PLACES else contract.fingerprint, found.kind, options], ensure_ascii=False, sort_keys=True, default=str
    )
    return Place(replace(contract, source=found), hashlib.sha256(seal.encode()).hexdigest()[:16], bool(own.get("synthetic")))


def _servers(file: Path) -> dict[str, dict[str, Any]]:
    try:
        return _read(file, file.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}


@lru_cache(maxsize=4)
def _read(file: Path, changed: int) -> dict[str, dict[str, Any]]:
    try:
        servers = yaml.load(file.read_bytes(), Loader=yaml.CSafeLoader) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InvalidServers(f"{file}:{mark.line + 1 if mark else 1}: is not valid YAML") from None
    if not isinstance(servers, dict) or not all(isinstance(fields, dict) for fields in servers.values()):
        raise InvalidServers(f"{file}: write `<server>: {{host: …, port: …}}` for each server")
    return servers
