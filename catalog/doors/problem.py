"""Errors of the API as RFC 9457 problem documents."""

import json
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse

CONTENT_TYPE = "application/problem+json"


def problem(status: int, detail: str, *, kind: str = "about:blank", title: str = "", **more: Any) -> HttpResponse:
    """``kind`` is a URI reference that names the sort of error; ``more`` are its extension members."""
    body = {"type": kind, "title": title or HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return HttpResponse(json.dumps(body, ensure_ascii=False), status=status, content_type=CONTENT_TYPE)


SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"}},
}


def described(*statuses: int) -> dict[int, Any]:
    """These statuses as OpenAPI describes responses, each answered with a problem document."""
    return {s: {"description": HTTPStatus(s).phrase, "content": {CONTENT_TYPE: {"schema": SCHEMA}}} for s in statuses}
