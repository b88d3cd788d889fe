"""The kind `api`: any REST service that answers in JSON or XML, as its contract describes it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from lxml import etree

from pipelines.contract import Contract
from pipelines.sources.fields import column_of, known_fields
from pipelines.sources.rest import documents, xml_documents
from pipelines.sources.rest.answer import Answer, Page, Request, Unacceptable
from pipelines.sources.rest.client import SHOWN, Client, Passing
from pipelines.sources.rest.documents import Document, Fields
from pipelines.sources.rest.options import Options, Since, Success
from pipelines.sources.rest.paging import STEADY, first, following
from pipelines.sources.rest.pull import Plan

ISO = re.compile(r"\d{4}-\d{2}-\d{2}([T ].*)?")

Told = Callable[[str], Any]
"""What an answer says at a path: a total, a cursor, an error code."""
Newest = Callable[[Iterable[Any]], str | None]


def plan_of(contract: Contract, state: dict[str, Any], options: Options, client: Client) -> Plan:
    """How the service's records are pulled, from where the last pull ended."""
    start = Request(options.location, options.params, options.body)
    since = _starting_point(options.since, state)
    if options.since and since is not None:
        start = start.having(**{options.since.param: since})
    newest = _newest(contract, options.since)
    paging = options.paging
    single = paging.by == "none" and options.since is None
    xml = options.format != "json"
    return Plan(
        start=first(paging, start),
        read=_reader(contract, options, client, newest),
        follow=lambda request, page, pages, rows: following(paging, request, page, pages, rows),
        limits=options.limits,
        check=_checker(options, client),
        steady=paging.by in STEADY,
        conditional=single if options.conditional is None else options.conditional and options.since is None,
        later=lambda one, other: newest(value for value in (one, other) if value is not None),
        form=xml_documents.FILE if xml else documents.FILE,
        since=(since or "").replace("/", "-"),
        identity={key: value for key, value in asdict(options).items() if key not in ("auth", "limits", "ignore")}
        | {"ignore": sorted(options.ignore)},
        kept={"cursor_of": _cursor_of(options.since)} if options.since else {},
    )


def _reader(contract: Contract, options: Options, client: Client, newest: Newest) -> Callable[[Answer], Page]:
    """Answer → page, for the options' format."""
    fields = Fields(lambda names: known_fields(contract, names))
    since = options.since.field if options.since else None

    def read(answer: Answer) -> Page:
        document = _document(answer, options)
        told = _told_by(document, answer)
        _must_be_well(options.success, told, client)
        values: Iterable[Any] = ()
        if options.format == "json":
            assert isinstance(document, Document)
            records = documents.without(documents.records_at(document, options.records), options.ignore)
            content, names = documents.lines(records), fields.of(records)
            values = documents.values(records, since) if since else ()
        else:
            elements = xml_documents.without(_elements(document, options), options.ignore)
            content, names = xml_documents.lines(elements), xml_documents.names_of(elements)
            values = (xml_documents.text_at(element, since) for element in elements) if since else ()
        return Page(
            rows=len(records if options.format == "json" else elements),
            content=content,
            fields=names,
            total=_number(told(options.total)),
            next=_next(options, told, answer, client),
            more=_flag(told(options.paging.more)) if options.paging.more else None,
            newest=newest(values),
        )

    return read


def _document(answer: Answer, options: Options) -> Document | etree._Element:
    return xml_documents.root_of(answer.body) if options.format == "xml" else documents.document(answer)


def _elements(document: Document | etree._Element, options: Options) -> list[etree._Element]:
    """The records of an XML answer, or of the XML that stands as text in a JSON answer; no text, no records."""
    if not isinstance(document, Document):
        return xml_documents.records_at(document, options.records)
    text = document.plain(options.records)
    return xml_documents.records_at(xml_documents.root_of(str(text).encode()), options.elements) if text else []


def _told_by(found: Document | etree._Element, answer: Answer) -> Told:
    def told(path: str) -> Any:
        if not path:
            return None
        if path.startswith("header:"):
            return answer.headers.get(path.removeprefix("header:"))
        return found.plain(path) if isinstance(found, Document) else xml_documents.text_at(found, path)

    return told


def _checker(options: Options, client: Client) -> Callable[[Answer], None]:
    """Finds the codes in an answer that mean trouble of the moment."""
    success = options.success
    if success is None or not success.retry:
        return lambda answer: None

    def check(answer: Answer) -> None:
        told = _told_by(_document(answer, options), answer)
        if (code := _text(told(success.field))) in success.retry:
            raise Passing(f"the service answers {success.field} {code}{_message(success, told, client)}")

    return check


def _must_be_well(success: Success | None, told: Told, client: Client) -> None:
    if success is None:
        return
    code = _text(told(success.field))
    if code in success.values if success.values else code is None:
        return
    message = _message(success, told, client)
    raise Unacceptable.because(
        "service_error", f"Dịch vụ báo lỗi {success.field} = {code}{message}", f"The service reports {success.field} = {code}{message}"
    )


def _message(success: Success, told: Told, client: Client) -> str:
    text = _text(told(success.message)) if success.message else None
    return f": {client.hide(text)[:SHOWN]}" if text else ""


def _next(options: Options, told: Told, answer: Answer, client: Client) -> str | None:
    paging = options.paging
    if paging.by == "cursor":
        return _text(told(paging.next))
    if paging.by == "link":
        link = _text(told(paging.next)) if paging.next else answer.next_link
        return client.without_secret(link) if link else None
    return None


def _text(value: Any) -> str | None:
    """A code or cursor as text; None for null and for what JSON services write instead of it."""
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None or value == "" else str(value)


def _flag(value: Any) -> bool | None:
    return None if value is None else str(value).lower() in ("true", "1")


def _number(value: Any) -> int | None:
    try:
        return None if value is None else int(str(value))
    except ValueError:
        raise Unacceptable.because("total", f"Tổng số bản ghi «{value}» không phải là số", f"The total “{value}” is no number") from None


def _starting_point(since: Since | None, state: dict[str, Any]) -> str | None:
    """What the pull asks for: where the last one ended, less the overlap, in the service's way of writing."""
    if since is None:
        return None
    cursor = state.get("cursor") if state.get("cursor_of") == _cursor_of(since) else None
    if cursor is None:
        return since.start
    if not ISO.fullmatch(cursor):
        return str(Decimal(cursor) - Decimal(str(since.overlap))) if since.overlap else cursor
    if not since.overlap and not since.format:
        return str(cursor)
    moment = datetime.fromisoformat(cursor) - timedelta(days=since.overlap)
    if since.format:
        return moment.strftime(since.format)
    return moment.date().isoformat() if len(cursor) == len("2023-06-30") else moment.isoformat()


def _cursor_of(since: Since | None) -> str:
    """A cursor is worth nothing for another field or parameter."""
    return f"{since.param} {since.field}" if since else ""


def _newest(contract: Contract, since: Since | None) -> Newest:
    """The greatest of some values of the cursor's field, compared as the contract types it; numbers by size, dates in ISO form."""
    if since is None:
        return lambda values: None
    column = column_of(contract, since.field)
    kind = column.type if column else "string"

    def key(text: str) -> Any:
        if kind in ("integer", "number"):
            return Decimal(text)
        if kind in ("date", "timestamp") and not ISO.fullmatch(text):
            raise ValueError
        return text

    def newest(values: Iterable[Any]) -> str | None:
        texts = [str(value) for value in values if value is not None]
        try:
            return max(texts, key=key, default=None)
        except (ValueError, InvalidOperation):
            raise Unacceptable.because(
                "cursor",
                f"Trường «{since.field}» có giá trị không so sánh được theo thời gian (cần dạng YYYY-MM-DD) hoặc theo số",
                f"Field “{since.field}” has values that cannot be put in order: dates must be written YYYY-MM-DD, numbers plainly",
                since.field,
            ) from None

    return newest
