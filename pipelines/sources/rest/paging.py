"""How one page leads to the next. Nothing here speaks HTTP: requests and pages in, the next request out."""

from urllib.parse import urljoin

from pipelines.sources.rest.answer import Page, Request
from pipelines.sources.rest.options import Paging

STEADY = ("page", "offset")
"""Ways in which a page's place depends on how many records stand before it: sound only while none is added or removed."""


def first(paging: Paging, request: Request) -> Request:
    """The request for the first page."""
    if paging.size is not None and paging.size_param:
        request = request.having(**{paging.size_param: paging.size})
    match paging.by:
        case "page":
            return request.having(**{paging.param: paging.first})
        case "offset":
            return request.having(**{paging.param: 0})
    return request


def following(paging: Paging, request: Request, page: Page, pages: int, rows: int) -> Request | None:
    """The request after ``request``, which brought ``page``; None at the end. ``pages`` and ``rows`` count what has come, ``page`` included.

    A page that is not full is not the last one: services cap pages without saying so. The end is where the service says
    it is (total, `more`, no next cursor or link), or an empty page.
    """
    if paging.by == "none" or page.more is False:
        return None
    if paging.by == "cursor":
        return request.having(**{paging.param: page.next}) if page.next else None
    if paging.by == "link":
        return Request(urljoin(request.url, page.next), body=request.body) if page.next else None
    if page.rows == 0 or (page.total is not None and rows >= page.total):
        return None
    return request.having(**{paging.param: paging.first + pages if paging.by == "page" else rows})
