"""What was held back, for whoever may see it: the fix sheet out, the mended sheet in.

A fix sheet holds whole rows as delivered, personal data included. It goes to everybody only where every column of the
dataset is public; else to the owning agency, which shows its token. A sheet comes in by token alone, and is judged by the pipeline, not here.
"""

import logging
import tempfile
from pathlib import Path

from django.conf import settings
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_POST

from catalog.access import decide
from catalog.access.failures import guesses
from catalog.doors.formats import CONTENT_TYPES
from catalog.doors.selection import NoData, Reader
from catalog.publish import Entry
from pipelines.drop import put_down
from pipelines.rejects import SHEET_BYTES, OpenDelivery, Quarantine, write_fix_sheet

log = logging.getLogger(__name__)


def find(waiting: list[OpenDelivery], asked: str) -> OpenDelivery | None:
    """The delivery whose id begins with ``asked``; the newest where nothing is asked."""
    return next((d for d in waiting if d.delivery_id.startswith(asked)), None)


def everybody(request: HttpRequest, entry: Entry) -> bool:
    """Whether the fix sheet may go to any visitor: only where no column is withheld from him."""
    decision = decide(request.visitor, entry.contract)
    return decision.allowed and len(decision.columns) == len(entry.contract.columns)


def _not_the_owner(request: HttpRequest, entry: Entry) -> HttpResponse | None:
    """The answer to whoever posted no token of the owning agency; None for the agency. Guessing is told to wait."""
    agency_of = settings.KHO_AGENCY_OF_TOKEN
    posted = request.POST.get("token", "").strip()
    agency = agency_of(posted) if agency_of and posted else None
    if agency == entry.contract.agency:
        return None
    if posted and agency is None and (wait := guesses.note(request.META.get("REMOTE_ADDR", ""))):
        response = render(request, "rejects_refused.html", {"entry": entry, "why": "rejects.guessing"}, status=429)
        response.headers["Retry-After"] = str(wait)
        return response
    return render(request, "rejects_refused.html", {"entry": entry}, status=403)


def _entry(request: HttpRequest, domain: str, name: str) -> Entry:
    entry = request.catalogue.entries.get(f"{domain}/{name}")
    if entry is None:
        raise Http404
    return entry


def fix_sheet(request: HttpRequest, domain: str, name: str) -> HttpResponse | FileResponse:
    """The fix sheet of an open delivery (``?delivery=``)."""
    entry = _entry(request, domain, name)
    if not everybody(request, entry) and (refusal := _not_the_owner(request, entry)):
        return refusal
    if entry.contract.access != "open" or not everybody(request, entry):
        log.warning("fix sheet of %s given to %s", entry.id, entry.contract.agency)
    with Reader(request.live, request.catalogue).cursor() as cursor:
        quarantine = Quarantine(cursor, request.catalogue.snapshot)
        found = find(quarantine.deliveries(entry.id), request.GET.get("delivery", ""))
        if found is None or not found.open_rows:
            raise NoData(entry.id)
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the response closes it when it was sent
        write_fix_sheet(quarantine, entry.contract, found, file)
    file.seek(0)
    mark = "_synthetic" if found.synthetic else ""
    name = f"{entry.id.replace('/', '_')}_sua-loi_{found.delivery_id[:8]}{mark}.xlsx"
    response = FileResponse(file, as_attachment=True, filename=name)
    response.headers["Content-Type"] = CONTENT_TYPES["xlsx"]
    return response


@require_POST
def submit(request: HttpRequest, domain: str, name: str) -> HttpResponse:
    """Put a mended sheet down for the pipeline, as the owning agency."""
    entry = _entry(request, domain, name)
    if int(request.headers.get("Content-Length") or 0) > SHEET_BYTES:
        return render(request, "rejects_refused.html", {"entry": entry, "why": "rejects.too_large"}, status=413)
    if refusal := _not_the_owner(request, entry):
        return refusal
    file = request.FILES.get("sheet")
    if file is None or Path(file.name).suffix.lower() not in (".xlsx", ".xlsm", ".ods"):
        return render(request, "rejects_refused.html", {"entry": entry, "why": "rejects.no_file"}, status=400)
    put_down(settings.KHO_DROP, entry.id, file.name, file.chunks())
    log.warning("fix sheet for %s handed in by %s", entry.id, entry.contract.agency)
    return HttpResponseRedirect(f"{entry.path}/rejects?sent=1#sent")
