"""Telling an agency that its delivery was refused or partly held back: by mail, by webhook, in both languages.

A notice is *due* for every such delivery until one was sent; so a mail server that is down costs nothing but time, and the next run tries
again. Sending never fails a run. A notice names files, columns, rules and counts: no value of any row, so no personal data.
What is told where is in docs/rejects.md.
"""

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

import duckdb

from pipelines.contract import Agency, Register
from pipelines.ledger import now
from pipelines.outcome import Reason
from pipelines.sources.secrets import MASK, MissingSecret, secret
from pipelines.store import Store

MAIL = "NOTIFY_MAIL"
"""Secret: the mail server as an Apprise address without recipient, `mailtos://user:password@host:587?from=kho@…`."""
WEBHOOKS = "NOTIFY_WEBHOOKS"
"""Secret: Apprise addresses told of every agency's deliveries; ``NOTIFY_WEBHOOKS_<AGENCY>``: of that agency's alone."""

FORGOTTEN = timedelta(days=7)
"""Older deliveries are no news; also what keeps a new mail server from telling the whole history."""
RETRY = timedelta(minutes=10)
DIGEST = timedelta(hours=20)
"""Deliveries that were held back in part are told together, at most once in this time; refusals at once."""
REASONS = 5
ERROR_CHARACTERS = 300
QUOTING = {"unknown_column", "unreadable"}
"""Rules whose reasons quote the file: without a header, a person's data stands where names are expected."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Due:
    """A delivery that its agency is to be told of."""

    delivery_id: str
    dataset: str
    agency: str
    file_name: str
    outcome: str
    rows_read: int
    rows_held: int
    reasons: tuple[Reason, ...]


def due(store: Store, register: Register) -> list[Due]:
    """What is to be told now. Synthetic deliveries are nobody's; rows that are mended already are no news."""
    if store.snapshot() == 0:
        return []
    at = now()
    with store.reader() as connection:
        try:
            rows = connection.execute(
                """
                WITH open_rows AS (SELECT delivery_id, count(*) AS n FROM kho.held_rows WHERE closed_at IS NULL GROUP BY ALL),
                told AS (SELECT delivery_id, bool_or(sent) AS sent, max(attempted_at) AS attempted_at FROM kho.notices GROUP BY ALL)
                SELECT delivery_id, dataset, file_name, outcome, rows_read, coalesce(n, 0), reasons
                FROM kho.ledger LEFT JOIN open_rows USING (delivery_id) LEFT JOIN told USING (delivery_id)
                WHERE NOT synthetic AND finished_at > $since AND NOT coalesce(sent, false) AND coalesce(attempted_at < $retry, true)
                  AND (outcome = 'refused' OR (outcome = 'partial' AND n > 0))
                ORDER BY finished_at
                """,
                {"since": at - FORGOTTEN, "retry": at - RETRY},
            ).fetchall()
            digests = _digests(connection)
        except duckdb.CatalogException:
            return []  # an older warehouse, not prepared yet
    found = [
        Due(
            delivery, dataset, register.contracts[dataset].agency, file_name, outcome, read, held,
            tuple(Reason(**r) for r in json.loads(reasons or "[]")),
        )
        for delivery, dataset, file_name, outcome, read, held, reasons in rows
        if dataset in register.contracts
    ]  # fmt: skip
    return [d for d in found if d.outcome == "refused" or d.agency not in digests or digests[d.agency] < at - DIGEST]


def _digests(connection: duckdb.DuckDBPyConnection) -> dict[str, datetime]:
    """When each agency was last told of rows held back."""
    return dict(
        connection.execute(
            """
            SELECT agency, max(attempted_at) FROM kho.notices JOIN kho.ledger USING (delivery_id)
            WHERE sent AND outcome = 'partial' GROUP BY agency
            """
        ).fetchall()
    )


def send_due(store: Store, register: Register, catalogue_url: str) -> list[tuple[Due, str | None]]:
    """Send what is due and record each attempt in `kho.notices`; every delivery with its error, None where it was told.

    Raises on faults of the store only. Agencies that cannot be reached in any way stay due.
    """
    results: list[tuple[Due, str | None]] = []
    if not reachable(register):
        return results
    for agency, deliveries in _messages(due(store, register)):
        if addresses := _addresses(register.agencies[agency]):
            error = _send(addresses, *_text(register, deliveries, catalogue_url))
            results += [(d, error) for d in deliveries]
    if results:
        with store.transaction("notices", {"notices": len(results)}) as connection:
            connection.executemany(
                "INSERT INTO kho.notices VALUES (?, ?, ?, ?, ?, ?)",
                [(d.delivery_id, d.dataset, d.agency, now(), error is None, error) for d, error in results],
            )
    return results


def reachable(register: Register) -> bool:
    """Whether this machine was told how to reach any agency."""
    return any(_addresses(agency) for agency in register.agencies.values())


def _messages(found: Iterable[Due]) -> Iterator[tuple[str, list[Due]]]:
    """Refusals one by one, then what was held back in part, together by agency."""
    partial: dict[str, list[Due]] = defaultdict(list)
    for delivery in found:
        if delivery.outcome == "refused":
            yield delivery.agency, [delivery]
        else:
            partial[delivery.agency].append(delivery)
    yield from partial.items()


def _addresses(agency: Agency) -> list[str]:
    mail = _secret(MAIL)
    found = [f"{mail}{'&' if '?' in mail else '?'}to={quote(agency.email)}"] if mail and agency.email else []
    hooks = (WEBHOOKS, f"{WEBHOOKS}_{agency.code.upper().replace('-', '_')}")
    return found + [address for name in hooks for address in (_secret(name) or "").split()]


def _secret(name: str) -> str | None:
    try:
        return secret(name).reveal().strip() or None
    except MissingSecret:
        return None


def _send(addresses: list[str], title: str, text: str) -> str | None:
    """Why the notice was not sent everywhere; None when it was. No secret is in the answer."""
    import apprise

    sender = apprise.Apprise()
    wrong = [address for address in addresses if not sender.add(address)]
    if wrong:
        return f"{len(wrong)} address(es) are none that Apprise knows; correct the secrets {MAIL} and {WEBHOOKS}"
    with apprise.LogCapture(level=logging.WARNING) as said:
        sent = sender.notify(title=title, body=text, body_format=apprise.NotifyFormat.TEXT)
        error = said.getvalue().strip()
    if sent:
        return None
    for address in addresses:
        for hidden in (address, urlsplit(address).password, urlsplit(address).query):
            error = error.replace(hidden, MASK) if hidden else error
    log.warning("a notice was not sent: %s", error)
    return (error.splitlines()[-1] if error else "not sent")[-ERROR_CHARACTERS:]


def _text(register: Register, deliveries: list[Due], catalogue_url: str) -> tuple[str, str]:
    """Title and text: Vietnamese first, English below."""
    if deliveries[0].outcome == "refused":
        contract = register.contracts[deliveries[0].dataset]
        title = f"[Kho] Đợt giao bị trả lại: {contract.title} / Delivery refused: {contract.title_en}"
    else:
        title = f"[Kho] {len(deliveries)} đợt giao có hàng bị giữ lại / {len(deliveries)} deliveries with rows held back"
    parts = [_part(register, d, catalogue_url, vi=True) for d in deliveries]
    parts += ["— English —", *(_part(register, d, catalogue_url, vi=False) for d in deliveries)]
    return title, "\n\n".join(parts)


def _part(register: Register, d: Due, catalogue_url: str, vi: bool) -> str:
    contract = register.contracts[d.dataset]
    say = lambda one, other: one if vi else other
    fate = {
        "refused": ("bị trả lại cả đợt; phiên bản trước vẫn giữ nguyên", "refused as a whole; the last release stays"),
        "partial": ("đã nhận một phần, phần còn lại bị giữ", "accepted in part, the rest is held"),
    }[d.outcome]
    lines = [
        f"{say(contract.title, contract.title_en)} ({d.dataset}): {say(*fate)}",
        say(f"Tệp {d.file_name}: đọc {d.rows_read} hàng, {d.rows_held} hàng chờ sửa.", f"File {d.file_name}: {d.rows_read} rows read, {d.rows_held} wait."),
    ]  # fmt: skip
    for reason in d.reasons[:REASONS]:
        said = say("Xem trang dưới đây", "See the page below") if reason.rule in QUOTING else say(reason.vi, reason.en)
        column = f"{reason.column}: " if reason.column and reason.rule not in QUOTING else ""
        lines.append(f"- {column}{said} (× {reason.count})")
    if len(d.reasons) > REASONS:
        lines.append(say(f"- và {len(d.reasons) - REASONS} lý do khác", f"- and {len(d.reasons) - REASONS} more reasons"))
    lines.append(
        say("Xem chi tiết, tải tệp sửa lỗi, sửa rồi gửi lại: ", "See details, get the fix sheet, correct it and send it back: ")
        + f"{catalogue_url}/datasets/{d.dataset}/rejects"
    )
    return "\n".join(lines)
