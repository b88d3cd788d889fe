"""How a delivery comes, where it is not left in the drop folder: a module per kind of source.

What a source brings is a file. It is archived, judged and committed like any other delivery, so that the gate, the
quarantine and the ledger are the same for all of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pipelines.contract import Contract
from pipelines.gate.readers import Decision
from pipelines.outcome import Reason


@dataclass(frozen=True)
class Fetched:
    """One delivery brought from a source, complete, in the staging folder; its suffix says its format."""

    file: Path
    name: str
    """What the ledger calls it, such as ``ho_so since 2023-06-30.parquet``; no secret, no address with one."""
    state: dict[str, Any] = field(default_factory=dict)
    """What the next fetch starts from (cursor, ETag…). Stored in the transaction that commits the delivery, never before."""
    synthetic: bool = False
    decisions: tuple[Decision, ...] = ()
    """What was decided on the way (columns left out, from where on it was read); the ledger keeps it."""
    judged_once: bool = False
    """The delivery is the sender's own file: once refused it is answered, and ``state`` stands so that it is not fetched again.
    Otherwise a refusal leaves the state as it was, and the same is fetched anew."""


@dataclass(frozen=True)
class Withheld:
    """The source was reached, and what it offers cannot be taken: its schema drifted, say. Becomes a refusal in the ledger."""

    name: str
    reasons: tuple[Reason, ...]


class SourceUnavailable(Exception):
    """The source could not be reached or broke off: the infrastructure's trouble, worth another try. Its text holds no secret."""


class Fetch(Protocol):
    """A kind of source: yields what is new since ``state``; nothing when there is nothing.

    Raises `SourceUnavailable` when the source cannot be reached. Writes below ``staging`` only.
    """

    def __call__(self, contract: Contract, state: dict[str, Any], staging: Path) -> Iterator[Fetched | Withheld]: ...


class Probe(Protocol):
    """A kind of source: looks whether it can be read, without reading; says in a line what it found.

    Raises `SourceUnavailable`.
    """

    def __call__(self, contract: Contract) -> str: ...
