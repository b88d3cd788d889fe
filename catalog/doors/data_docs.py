"""The Data Docs of Great Expectations: `/quality/`. A result's page has the permission of the rows it speaks of."""

import posixpath

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest
from django.views.static import serve

from catalog.access import Refused, decide


def data_docs(request: HttpRequest, path: str) -> FileResponse:
    """A file of the site. Raises `Refused` like every other door; the pages' middleware answers."""
    if path != posixpath.normpath(path):  # whose permission is asked must be what is served
        raise Http404
    section, *rest = path.split("/")
    if section == "validations":
        entry = request.catalogue.entries.get("/".join(rest[:2]))
        if entry is None:
            raise Http404
        decision = decide(request.visitor, entry.contract)
        if not decision.allowed:
            raise Refused(entry.contract, decision)
    return serve(request, path, document_root=settings.KHO_DATA_DOCS)
