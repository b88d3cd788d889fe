"""Whole datasets as files: `/datasets/<domain>/<dataset>/download.<format>`."""

from collections.abc import Iterator
from itertools import chain

from django.http import FileResponse, Http404, HttpRequest, HttpResponseBase, StreamingHttpResponse

from catalog.access import decide
from catalog.citation import cite
from catalog.doors.formats import CONTENT_TYPES, XLSX_MAX_ROWS, csv_chunks, json_chunks, parquet_chunks, xlsx_file
from catalog.doors.selection import NoData, Reader, Selection
from catalog.publish import Entry

CHUNKS = {"csv": csv_chunks, "json": json_chunks, "parquet": parquet_chunks}


class TooLarge(Exception):
    """More rows than the format holds."""


def file_name(entry: Entry, form: str) -> str:
    """Says what the file is without its page: dataset, release, and whether the rows are synthetic."""
    release = entry.latest.release if entry.latest else 0
    return f"{entry.id.replace('/', '_')}_v{release}{'_synthetic' if entry.synthetic else ''}.{form}"


def download(request: HttpRequest, domain: str, name: str, form: str) -> HttpResponseBase:
    """Streams the newest release. Raises what `Selection.of` raises, and `TooLarge`; the pages' middleware answers."""
    catalogue, live = request.catalogue, request.live
    entry = catalogue.entries.get(f"{domain}/{name}")
    if entry is None:
        raise Http404
    selection = Selection.of(entry, decide(request.visitor, entry.contract))
    reader = Reader(live, catalogue)
    response: HttpResponseBase
    if form == "xlsx":
        if entry.rows > XLSX_MAX_ROWS:
            raise TooLarge(entry.id)
        response = FileResponse(xlsx_file(reader, selection, _notes(request, entry)), as_attachment=True, filename=file_name(entry, form))
    else:
        response = StreamingHttpResponse(_started(CHUNKS[form](reader, selection)))
        response.headers["Content-Disposition"] = f'attachment; filename="{file_name(entry, form)}"'
    response.headers["Content-Type"] = CONTENT_TYPES[form]
    return response


def _started(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Takes the first chunk before the headers go out, so that a failing query is an error and not a broken file."""
    try:
        first = next(chunks)
    except StopIteration as end:
        raise NoData from end
    return chain([first], chunks)


def _notes(request: HttpRequest, entry: Entry) -> list[tuple[str, str]]:
    c = entry.contract
    address = request.build_absolute_uri(entry.path)
    notes = [("Bộ dữ liệu", c.title), ("Dataset", c.title_en), ("Mã", c.id), ("Cơ quan", entry.agency.name)]
    notes += [("Trích dẫn", cite(request.catalogue, entry, address, "vi")), ("Giấy phép", c.licence or "")]
    return [*notes, ("LƯU Ý", "DỮ LIỆU GIẢ LẬP (SYNTHETIC), không phải số liệu thật")] if entry.synthetic else notes
