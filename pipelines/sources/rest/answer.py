"""What is asked of a service and what it answers: the words that the other modules share."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from pipelines.outcome import Reason


@dataclass(frozen=True)
class Request:
    """One question to a service. It never holds a secret: `auth` adds those to what is sent, so that a request may be written down."""

    url: str
    params: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    """Sent as JSON by POST; None asks by GET."""

    @cached_property
    def mark(self) -> str:
        """A short sign by which the request is known again."""
        return hashlib.blake2b(json.dumps(asdict(self), sort_keys=True).encode(), digest_size=12).hexdigest()

    def having(self, **values: str | int) -> "Request":
        """The same request with these parameters: in the body where there is one, else in the address."""
        if self.body is not None:
            return Request(self.url, self.params, self.body | values)
        return Request(self.url, self.params | {name: str(value) for name, value in values.items()})


@dataclass(frozen=True)
class Answer:
    """A whole answer, unpacked. ``changed`` is false where the service says that nothing is new (304); the body is empty where it has
    nothing to say (204)."""

    url: str
    body: bytes
    headers: Mapping[str, str]
    """Names regardless of case."""
    changed: bool = True
    next_link: str | None = None
    """What the header `Link` names as `next`."""


@dataclass(frozen=True)
class Page:
    """The records of one answer, and what the answer says about the others."""

    rows: int
    content: bytes = field(repr=False)
    """The records as they go into the delivery's file."""
    fields: frozenset[str]
    total: int | None = None
    """How many records there are in all, where the service says so."""
    next: str | None = None
    """A cursor, or the address of the next page; None where the service names none."""
    more: bool | None = None
    """Whether the service says that there are more records; None where it says nothing."""
    newest: str | None = None
    """The greatest value of the field that later pulls start from."""

    @cached_property
    def mark(self) -> str | None:
        """A short sign by which the content is known again; None where there is none."""
        return hashlib.blake2b(self.content, digest_size=12).hexdigest() if self.rows else None


@dataclass(frozen=True)
class Form:
    """How records become a file."""

    suffix: str
    head: bytes
    between: bytes
    """Between two pages."""
    tail: bytes


class Unacceptable(Exception):
    """The service answers, but with what cannot be taken. Ends as `Withheld`."""

    def __init__(self, *reasons: Reason) -> None:
        self.reasons = reasons
        super().__init__("; ".join(reason.en for reason in reasons))

    @classmethod
    def because(cls, rule: str, vi: str, en: str, column: str = "") -> "Unacceptable":
        return cls(Reason(rule, column, 1, vi, en))


class Unreadable(Unacceptable):
    """The answer is not of its format: cut off on the way, perhaps."""


def unreadable(format_: str, why: str) -> Unacceptable:
    """Why comes from a parser and names a place in the text, not the text."""
    return Unreadable.because("unreadable", f"Dữ liệu nhận được không phải {format_}: {why}", f"The answer is not {format_}: {why}")
