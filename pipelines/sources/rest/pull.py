"""A pull: page after page to a file on disk, until everything is there or the reason why not is known."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.contract import Contract
from pipelines.gate.readers import Decision
from pipelines.sources import Fetched, SourceUnavailable, Withheld
from pipelines.sources.fields import missing_fields, unknown_fields
from pipelines.sources.rest import documents
from pipelines.sources.rest.answer import Answer, Form, Page, Request, Unacceptable, Unreadable
from pipelines.sources.rest.client import Client, Rejected
from pipelines.sources.rest.journal import Journal, Position
from pipelines.sources.rest.options import Limits

NOTHING = Page(0, b"", frozenset())
SYNTHETIC_HEADER = "X-Kho-Synthetic"
"""A service that serves made-up records says so in this header."""
CONDITIONS = {"etag": ("ETag", "If-None-Match"), "modified": ("Last-Modified", "If-Modified-Since")}
"""Word in the state → header that brings it, header that sends it back."""


class _Changed(Exception):
    """What is being read changed under our hands: what has come so far does not fit what is still to come."""


@dataclass
class Plan:
    """What a kind of service must say for its records to be pulled."""

    start: Request
    read: Callable[[Answer], Page]
    """Raises `Unacceptable`."""
    follow: Callable[[Request, Page, int, int], Request | None]
    """(request, its page, pages so far, rows so far) → the next request, None at the end."""
    limits: Limits
    check: Callable[[Answer], None] = lambda _: None
    """Raises `Passing` for trouble of the moment that the service reports in its answer."""
    steady: bool = False
    """Whether pages are counted off by position, so that a total which changes on the way spoils the pull."""
    conditional: bool = False
    """Whether the service may be asked if anything changed at all since the last pull."""
    count: Callable[[], int] | None = None
    """Asks how many records there are, where pages do not say it."""
    later: Callable[[str | None, str | None], str | None] = lambda one, other: None
    """The greater of two values of the field that later pulls start from."""
    form: Form = documents.FILE
    since: str = ""
    """What this pull starts from, for its name."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What the state holds besides."""
    identity: dict[str, Any] = field(default_factory=dict)
    """What the rows depend on besides the first request: progress and validators hold only while it stays the same."""


def pull(contract: Contract, state: dict[str, Any], staging: Path, client: Client, plan: Plan) -> Iterator[Fetched | Withheld]:
    """Yield the delivery that ``plan`` describes; nothing where the service has nothing new. The file is gone after the yield.

    A pull that breaks off raises `SourceUnavailable`, and the next one goes on where it was.
    """
    of = hashlib.sha256(json.dumps([contract.id, plan.start.mark, plan.identity], sort_keys=True).encode()).hexdigest()
    name = f"{contract.table}{f' since {plan.since}' if plan.since else ''}{plan.form.suffix}"
    with Journal(staging / f"{contract.id.replace('/', '.')}.pull", of, plan.form) as journal:
        try:
            found = _read_all(contract, state, client, plan, journal, of)
        except Unacceptable as error:
            journal.drop()
            yield Withheld(name, error.reasons)
            return
        if found is None:
            journal.drop()
            return
        position, kept = found
        if position.rows == 0:
            journal.drop()
            if not plan.since:
                yield Withheld(name, Unacceptable.because("empty", "Nguồn không có bản ghi nào", "The source has no records").reasons)
            return
        kept |= {"cursor": position.newest} if position.newest is not None else {}
        with journal.finished(contract.table) as file:
            yield Fetched(file, name, kept, position.synthetic, tuple(_told(plan, position)))


def _told(plan: Plan, position: Position) -> Iterator[Decision]:
    """What the ledger keeps of how the delivery was read."""
    yield Decision("read", f"{position.rows} records in {position.pages} pages", f"from {plan.start.url}")
    if plan.since:
        yield Decision("read from", plan.since, "the last cursor less the overlap")
    if position.resumed_after:
        yield Decision("resumed", f"after {position.resumed_after} pages", "the reading before was cut off")


def _read_all(
    contract: Contract, state: dict[str, Any], client: Client, plan: Plan, journal: Journal, of: str
) -> tuple[Position, dict[str, Any]] | None:
    """Everything, from where the last pull broke off; begun anew, once, where that does not lead to the end."""
    position = journal.resume(plan.start)
    for _ in range(3):
        resumed = position.pages > 0
        try:
            return _read(contract, state, client, plan, journal, position, of)
        except _Changed:
            pass
        except Rejected:
            if not resumed:
                raise
            # A cursor handed out yesterday may be worth nothing today.
        position = journal.begin(plan.start)
    journal.drop()
    raise SourceUnavailable(f"{plan.start.url} changes while it is read")


def _read(
    contract: Contract, state: dict[str, Any], client: Client, plan: Plan, journal: Journal, position: Position, of: str
) -> tuple[Position, dict[str, Any]] | None:
    kept: dict[str, Any] = plan.kept | {"of": of}
    while request := position.next:
        asks = plan.conditional and position.pages == 0 and state.get("of") == of
        conditions = {sent: state[word] for word, (_, sent) in CONDITIONS.items() if word in state} if asks else {}
        answer, page = _page(client, plan, request, conditions)
        if not answer.changed:
            return None
        _check(contract, plan, position, page)
        if plan.conditional:
            kept |= {word: answer.headers[brought] for word, (brought, _) in CONDITIONS.items() if brought in answer.headers}
        follow = plan.follow(request, page, position.pages + 1, position.rows + page.rows)
        if follow and (follow.mark == request.mark or follow.mark in position.asked):
            raise Unacceptable.because("repeats", "Nguồn cứ trả lại cùng một trang", "The source leads back to a page that was read")
        position.synthetic |= answer.headers.get(SYNTHETIC_HEADER, "").lower() == "true"
        journal.note(position, request, page, follow, plan.later(position.newest, page.newest))
        _within(plan.limits, position)
    total = plan.count() if plan.count else position.total
    if total is not None and total != position.rows:
        raise Unacceptable.because(
            "total", f"Nguồn báo có {total} bản ghi nhưng chỉ nhận được {position.rows}", f"The source says that it has {total} records; {position.rows} came"
        )  # fmt: skip
    if reasons := missing_fields(contract, sorted(position.fields)) if position.rows else ():
        raise Unacceptable(*reasons)
    return position, kept


def _page(client: Client, plan: Plan, request: Request, conditions: dict[str, str]) -> tuple[Answer, Page]:
    """One page. An answer that cannot be read is asked for once more: it may have been cut off on the way."""
    for last in (False, True):
        try:
            answer = client.ask(request, conditions, plan.check)
            return answer, plan.read(answer) if answer.body else NOTHING
        except Unreadable:
            if last:
                raise
    raise AssertionError


def _check(contract: Contract, plan: Plan, position: Position, page: Page) -> None:
    """What must hold of a page before its rows are taken."""
    if plan.steady and position.total is not None and page.total is not None and page.total != position.total:
        raise _Changed
    if page.mark in position.seen:
        raise Unacceptable.because(
            "repeats",
            f"Trang {position.pages + 1} giống hệt một trang trước đó",
            f"Page {position.pages + 1} is the same as an earlier one",
        )
    new = page.fields - position.fields
    if new and (reasons := unknown_fields(contract, sorted(new))):
        raise Unacceptable(*reasons)


def _within(limits: Limits, position: Position) -> None:
    if position.next and position.pages >= limits.pages:
        raise Unacceptable.because("too_many_pages", f"Quá {limits.pages} trang", f"More than {limits.pages} pages (maxPages)")
    if position.bytes > limits.bytes:
        raise Unacceptable.because("too_large", f"Lớn hơn {limits.bytes} byte", f"Larger than {limits.bytes} bytes (maxBytes)")
