"""`kho sources`: where the datasets that nobody delivers come from, and whether those systems answer."""

from collections.abc import Iterable
from typing import Any

from pipelines.contract import Contract, Register
from pipelines.settings import Settings
from pipelines.sources import SourceUnavailable
from pipelines.sources.kinds import prober
from pipelines.sources.secrets import MissingSecret
from pipelines.sources.servers import Place, place_of
from pipelines.store import Store


def sources(where: Settings, register: Register, contracts: Iterable[Contract], test: bool) -> list[dict[str, Any]]:
    """One row per fetched dataset: place, when it was last read, what was wrong. ``test`` asks each system now. No secret in it."""
    store = Store(where)
    known = store.snapshot() > 0
    return [_row(store if known else None, place_of(c, where, register.timezone), test) for c in contracts if c.source]


def _row(store: Store | None, place: Place, test: bool) -> dict[str, Any]:
    source = place.contract.source
    assert source
    state = store.source_state(place.contract.id) if store else None
    row = {
        "dataset": place.contract.id, "server": source.server, "kind": source.kind, "place": _place(source.options),
        "synthetic": place.synthetic, "secret": source.options.get("secret"), "read_at": state and state.at,
        "trouble": state and state.trouble,
    }  # fmt: skip
    return row | _answer(place) if test else row


def _place(options: dict[str, Any]) -> str:
    if "host" not in options:
        return str(options.get("location", "")).partition("?")[0]
    return f"{options['host']}:{options.get('port', '')}/{options.get('database') or options.get('serviceName') or ''}"


def _answer(place: Place) -> dict[str, Any]:
    try:
        return {"answers": True, "found": prober(place.kind)(place.contract)}
    except (SourceUnavailable, MissingSecret) as error:
        return {"answers": False, "found": str(error)}
