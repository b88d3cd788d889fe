"""The way in over HTTP: an agency's system puts a file into its dataset's drop folder, and asks what became of it.

Nothing is judged here: the file waits in the drop folder like any other, and its verdict stands in the ledger.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, cast

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from ninja import Path, Query, Router, Schema
from ninja.errors import HttpError
from ninja.security import HttpBearer

from catalog.access.failures import guesses
from catalog.access.tokens import Token, Tokens
from catalog.doors.problem import described
from pipelines.archive import SUFFIX
from pipelines.contract import Contract
from pipelines.settings import Settings
from pipelines.sources.dropfolder import Incomplete, TooLarge, put, shown_name, unfinished_name, waiting
from pipelines.store import StoreMissing

router = Router(tags=["deliveries"])

AT_ONCE = 4
"""Uploads at the same time: half of the web process's threads, so that slow senders never close the catalogue."""
SILENCE_SECONDS = 60
"""A sender that sends nothing for so long is gone."""
BUSY_SECONDS = 10
LONGEST_NAME = 200

_slots = threading.BoundedSemaphore(AT_ONCE)


class Throttled(HttpError):
    """Too much at once, or too often; ``wait`` is how many seconds to wait."""

    def __init__(self, status: int, message: str, wait: int) -> None:
        self.wait = wait
        super().__init__(status, message)


class AgencyToken(HttpBearer):
    """`Authorization: Bearer kho_…`: a token that `kho token` issued to an agency."""

    def authenticate(self, request: HttpRequest, token: str) -> Token | None:
        holder = Tokens(_settings().tokens).holder(token)
        if holder is None and (wait := guesses.note(request.META.get("REMOTE_ADDR", ""))):
            raise Throttled(429, f"Quá nhiều mã sai, hãy đợi {wait} giây. / Too many wrong tokens; wait {wait} s.", wait)
        return holder


class Received(Schema):
    """A delivery that waits for the gate."""

    dataset: str
    sha256: str
    bytes: int
    file_name: str
    verdict_url: str


class ReasonOut(Schema):
    rule: str
    column: str
    count: int
    vi: str
    en: str


class VerdictOut(Schema):
    """What became of a delivery. Everything from ``outcome`` on is null while it waits."""

    dataset: str
    sha256: str
    state: Literal["waiting", "judged"]
    outcome: Literal["accepted", "partial", "refused", "duplicate"] | None = None
    file_name: str | None = None
    received_at: datetime | None = None
    finished_at: datetime | None = None
    rows_read: int | None = None
    rows_accepted: int | None = None
    rows_quarantined: int | None = None
    release: int | None = None
    reasons: list[ReasonOut] | None = None


SHA256 = "^[0-9a-f]{64}$"


@router.post(
    "/{domain}/{dataset}",
    auth=AgencyToken(),
    response={202: Received},
    summary="Deliver a file",
    description=(
        "Cần `Authorization: Bearer …` với mã của cơ quan; thân yêu cầu là chính tệp. / "
        "Needs an agency's token as `Authorization: Bearer …`; the body is the file itself, of any length, also chunked. "
        "`filename` says its format by its suffix; with `sha256`, a file that arrives damaged is not taken. "
        "The same bytes sent again are one delivery. The answer comes before the file is judged: ask `verdict_url`."
    ),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}},
        "responses": described(400, 401, 403, 404, 409, 413, 415, 422, 429, 503),
    },
)  # fmt: skip
def deliver(
    request: HttpRequest, response: HttpResponse, domain: str, dataset: str, filename: Annotated[str, Query(min_length=1)],
    sha256: Annotated[str | None, Query(pattern=SHA256)] = None,
) -> tuple[int, dict[str, Any]]:  # fmt: skip
    contract = _deliverable(request, domain, dataset)
    name = _name(filename)
    if request.content_type.startswith("multipart/"):
        raise HttpError(415, "Hãy gửi chính tệp làm thân yêu cầu. / Send the file itself as the body, not a form.")
    where = _settings()
    length = _length(request)
    if length is not None and length > where.upload_limit:
        raise _too_large(where)
    with _slot(), _patience(request):
        try:
            landed = put(where.drop / contract.id, name, _Body(request, length), where.upload_limit, length, sha256)
        except TooLarge:
            raise _too_large(where) from None
        except Incomplete as error:
            raise HttpError(422, f"Tệp chưa đến đủ, hãy gửi lại. / The file did not arrive whole: {error}") from None
    address = request.build_absolute_uri(f"/api/v1/deliveries/{contract.id}/{landed.sha256}")
    response["Location"] = address
    return 202, {
        "dataset": contract.id, "sha256": landed.sha256, "bytes": landed.size, "file_name": landed.path.name, "verdict_url": address,
    }  # fmt: skip


@router.get(
    "/{domain}/{dataset}/{sha256}", auth=AgencyToken(), response=VerdictOut, summary="What became of a delivery",
    openapi_extra={"responses": described(401, 403, 404, 409, 422, 429)},
)  # fmt: skip
def verdict(request: HttpRequest, domain: str, dataset: str, sha256: Annotated[str, Path(pattern=SHA256)]) -> dict[str, Any]:
    contract = _deliverable(request, domain, dataset)
    found = {"dataset": contract.id, "sha256": sha256}
    if waiting(_settings().drop / contract.id, sha256):
        return {**found, "state": "waiting"}
    row = _judged(request, contract, sha256)
    if row is None:
        raise HttpError(404, "Chưa có đợt giao nào với mã băm này. / No delivery with this hash has come.")
    return {**found, "state": "judged", **row}


def _judged(request: HttpRequest, contract: Contract, sha256: str) -> dict[str, Any] | None:
    """The ledger's last word on these bytes: a judgement before a note that they came again."""
    columns = ("outcome", "file_name", "received_at", "finished_at", "rows_read", "rows_accepted", "rows_quarantined", "release", "reasons")
    try:
        cursor = request.live.cursor()
    except StoreMissing:
        return None
    try:
        row = cursor.execute(
            f"""
            SELECT {", ".join(columns)} FROM kho.ledger
            WHERE dataset = ? AND sha256 = ?
            ORDER BY outcome = 'duplicate', finished_at DESC LIMIT 1
            """,
            [contract.id, sha256],
        ).fetchone()
    finally:
        cursor.close()
    if row is None:
        return None
    found = dict(zip(columns, row, strict=True))
    times = {name: found[name].replace(tzinfo=UTC) for name in ("received_at", "finished_at")}
    return {**found, **times, "reasons": json.loads(found["reasons"] or "[]")}


def _settings() -> Settings:
    return cast(Settings, settings.KHO_SETTINGS)


def _deliverable(request: HttpRequest, domain: str, dataset: str) -> Contract:
    """The dataset, if the token's agency owns it and it takes deliveries."""
    entry = request.catalogue.entries.get(f"{domain}/{dataset}")
    if entry is None:
        raise HttpError(404, f"there is no dataset `{domain}/{dataset}`")
    contract = entry.contract
    if contract.agency != request.auth.agency:
        raise HttpError(
            403,
            f"Bộ dữ liệu thuộc {contract.agency}, mã này của {request.auth.agency}. / The dataset is {contract.agency}'s, the token {request.auth.agency}'s.",
        )
    if contract.kind != "delivered" or contract.status not in ("active", "deprecated"):
        raise HttpError(409, f"Bộ dữ liệu không nhận đợt giao ({contract.kind}, {contract.status}). / The dataset takes no deliveries.")
    return cast(Contract, contract)


def _name(filename: str) -> str:
    """The sender's file name without its folders. It needs a suffix, which says the format; whether that is read, the gate decides."""
    name = shown_name(filename.replace("\\", "/").rpartition("/")[2].strip())
    suffix = PurePosixPath(name).suffix
    if not SUFFIX.fullmatch(suffix.lower()):
        raise HttpError(422, "filename: thiếu đuôi tệp, như .xlsx / lacks the suffix that says its format, such as .xlsx")
    if unfinished_name(name):
        raise HttpError(422, "filename: tên của tệp chưa hoàn chỉnh / a name for unfinished files")
    stem = name[: -len(suffix)].encode("utf-8", "replace")[:LONGEST_NAME].decode("utf-8", "ignore")
    return stem + suffix


def _length(request: HttpRequest) -> int | None:
    """The body's length as the sender declares it; None for a chunked body."""
    declared = request.META.get("CONTENT_LENGTH", "")
    return int(declared) if declared.isdigit() else None


class _Body:
    """What the sender sends, whether its length is declared or not."""

    def __init__(self, request: HttpRequest, length: int | None) -> None:
        # Django reads no body without a declared length; the server below it does, and ends it where the sender does.
        self._stream: Any = request if length is not None else request.META["wsgi.input"]

    def read(self, size: int) -> bytes:
        try:
            return cast(bytes, self._stream.read(size))
        except OSError as error:  # the connection's: the disk is not touched here
            raise Incomplete(f"the connection broke off ({type(error).__name__})") from None


def _too_large(where: Settings) -> HttpError:
    return HttpError(413, f"Tệp lớn hơn mức cho phép. / The file is larger than {where.upload_limit:,} bytes.")


@contextmanager
def _slot() -> Iterator[None]:
    if not _slots.acquire(blocking=False):
        raise Throttled(503, "Đang có quá nhiều tệp được gửi. / Too many uploads at this moment.", BUSY_SECONDS)
    try:
        yield
    finally:
        _slots.release()


@contextmanager
def _patience(request: HttpRequest) -> Iterator[None]:
    """While the body is read, the connection ends when the sender is silent for `SILENCE_SECONDS`."""
    socket = request.META.get("gunicorn.socket")
    if socket is None:
        yield
        return
    before = socket.gettimeout()
    socket.settimeout(SILENCE_SECONDS)
    try:
        yield
    finally:
        socket.settimeout(before)
