"""What every request gets before a view sees it, and every answer before it leaves."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from catalog.access import ANONYMOUS, Refused
from catalog.doors.downloads import TooLarge
from catalog.doors.problem import CONTENT_TYPE, problem
from catalog.doors.selection import NoData

Next = Callable[[HttpRequest], HttpResponseBase]
LANGUAGE_COOKIE = "kho_lang"
LANGUAGES = ("vi", "en")
API = "/api/"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Context:
    """One catalogue for the whole request, who asks, and in which language."""

    def __init__(self, following: Next) -> None:
        self.following = following

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        asked = request.GET.get("lang")
        chosen = asked if asked in LANGUAGES else request.COOKIES.get(LANGUAGE_COOKIE)
        request.live = settings.KHO_LIVE
        request.catalogue = settings.KHO_LIVE.catalogue
        request.visitor = ANONYMOUS
        request.language = chosen if chosen in LANGUAGES else "vi"
        response = self.following(request)
        if asked in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, asked, max_age=365 * 86_400, samesite="Lax", httponly=True)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class Refusals:
    """Turns what the doors raise into pages; below `/api/` every error becomes a problem document."""

    def __init__(self, following: Next) -> None:
        self.following = following

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.following(request)
        if not request.path.startswith(API) or response.status_code < 400 or response.headers.get("Content-Type") == CONTENT_TYPE:
            return response
        replaced = problem(response.status_code, HTTPStatus(response.status_code).description or "")
        if "Allow" in response.headers:
            replaced.headers["Allow"] = response.headers["Allow"]
        return replaced

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if request.path.startswith(API):
            return None
        if isinstance(error, Refused):
            entry = request.catalogue.entries[error.contract.id]
            return render(request, "403.html", {"entry": entry, "decision": error.decision}, status=403)
        if isinstance(error, NoData):
            return render(request, "404.html", {"reason": "error.no_data"}, status=404)
        if isinstance(error, TooLarge):
            return render(request, "404.html", {"reason": "error.too_large"}, status=422)
        return None
