"""Agencies are told by a real mail server and a real web hook what came back; no fault of theirs holds a delivery up."""

import json
import socket
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import yaml
from aiosmtpd.controller import Controller

from pipelines import notify
from tests.warehouse import AGENCIES, Warehouse, column, contract

TEAM = "ho-tich/to-cong-tac"
REFUSED = "ma_to,loai\nA,Xóm\n"
PARTIAL = "ma_to,loai\nA,Xóm\nB,Xã\n"


class Mailbox:
    """What arrived at the mail server."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], str, str]] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        mail = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append((envelope.rcpt_tos, str(mail["subject"]), mail.get_content()))
        return "250 OK"


@pytest.fixture
def mailbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    box = Mailbox()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    monkeypatch.setenv("KHO_SECRET_NOTIFY_MAIL", f"mailto://127.0.0.1:{port}?mode=insecure&from=kho@tinh.vn&name=Kho")
    yield box
    server.stop()


@pytest.fixture
def offices(warehouse: Warehouse) -> Warehouse:
    agencies = {code: facts | {"email": f"{code.lower()}@tinh.gov.vn"} for code, facts in AGENCIES.items()}
    (warehouse.settings.register / "agencies.yaml").write_text(yaml.safe_dump(agencies, allow_unicode=True), encoding="utf-8")
    return warehouse


def send(warehouse: Warehouse) -> list[str | None]:
    intake = warehouse.intake()
    try:
        return [error for _, error in notify.send_due(intake.store, intake.register, "https://kho.tinh.vn")]
    finally:
        intake.store.close()


def take(warehouse: Warehouse, content: str, dataset: str = TEAM, name: str = "a.csv") -> None:
    warehouse.drop(dataset, name, content)
    warehouse.take(dataset)


def test_the_owner_is_told_once_of_a_refused_delivery(offices: Warehouse, mailbox: Mailbox) -> None:
    take(offices, REFUSED, name="Tháng 6.csv")
    assert send(offices) == [None]
    [(to, subject, text)] = mailbox.mails
    assert to == ["stp@tinh.gov.vn"] and "bị trả lại" in subject and "refused" in subject
    for part in (
        "Tháng 6.csv",
        "không có trong danh mục",
        "not in the list",
        "× 1",
        f"https://kho.tinh.vn/datasets/{TEAM}/rejects",
        "phiên bản trước vẫn giữ nguyên",
        "the last release stays",
    ):
        assert part in text, part
    assert "Xóm" not in text, "no value of any row"
    assert send(offices) == [] and len(mailbox.mails) == 1


def test_what_was_held_back_in_part_comes_as_one_digest_per_agency(offices: Warehouse, mailbox: Mailbox) -> None:
    offices.add(contract("ho-tich/khac", [column("ma_to", primaryKey=True), column("loai", values=["Xã"])]))
    offices.add(contract("y-te/tram", [column("ma_to", primaryKey=True), column("loai", values=["Xã"])], agency="SYT"))
    for dataset in (TEAM, "ho-tich/khac", "y-te/tram"):
        take(offices, PARTIAL, dataset)
    assert send(offices) == [None, None, None]
    assert sorted(to for to, _, _ in mailbox.mails) == [["stp@tinh.gov.vn"], ["syt@tinh.gov.vn"]]
    [text] = [text for to, _, text in mailbox.mails if to == ["stp@tinh.gov.vn"]]
    assert TEAM in text and "ho-tich/khac" in text and "y-te/tram" not in text
    take(offices, PARTIAL.replace("B", "C"))
    assert send(offices) == [], "the next digest is for tomorrow"
    take(offices, REFUSED)
    assert send(offices) == [None], "a refusal is told at once"


def test_synthetic_mended_and_good_deliveries_are_no_news(offices: Warehouse, mailbox: Mailbox) -> None:
    take(offices, REFUSED, name="a.synthetic.csv")
    take(offices, PARTIAL)
    take(offices, "ma_to,loai\nA,Xã\n")
    assert send(offices) == [] and mailbox.mails == []


def test_a_file_without_a_header_sends_nobodys_name(offices: Warehouse, mailbox: Mailbox) -> None:
    take(offices, "Nguyễn Thị Bí Mật,079190000123\nTrần Văn Kín,079190000124\n")
    assert send(offices) == [None]
    assert "Bí Mật" not in mailbox.mails[0][2] and "079190000123" not in mailbox.mails[0][2]


def test_what_cannot_be_sent_is_recorded_without_secrets_and_tried_again(
    offices: Warehouse, monkeypatch: pytest.MonkeyPatch, mailbox: Mailbox
) -> None:
    working = notify.secret(notify.MAIL).reveal()
    monkeypatch.setenv("KHO_SECRET_NOTIFY_MAIL", "mailto://kho:mat-khau@127.0.0.1:1?mode=insecure&from=kho@tinh.vn")
    take(offices, REFUSED)
    [error] = send(offices)
    assert error and "mat-khau" not in error
    assert offices.rows("SELECT sent, error FROM kho.notices") == [(False, error)]
    monkeypatch.setenv("KHO_SECRET_NOTIFY_MAIL", working)
    assert send(offices) == [], "not tried again at once"
    monkeypatch.setattr(notify, "RETRY", -notify.RETRY)
    assert send(offices) == [None] and len(mailbox.mails) == 1
    monkeypatch.setenv("KHO_SECRET_NOTIFY_MAIL", "khong-phai-dia-chi")
    take(offices, REFUSED.replace("A", "B"))
    [error] = send(offices)
    assert error and "NOTIFY_MAIL" in error


def test_without_any_address_nothing_is_tried(offices: Warehouse) -> None:
    take(offices, REFUSED)
    assert send(offices) == [] and offices.rows("SELECT * FROM kho.notices") == []


def test_a_web_hook_is_told_too(offices: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[dict[str, Any]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("KHO_SECRET_NOTIFY_WEBHOOKS_STP", f"json://127.0.0.1:{server.server_port}/moc")
    take(offices, REFUSED)
    assert send(offices) == [None]
    server.shutdown()
    server.server_close()
    assert "bị trả lại" in heard[0]["title"] and TEAM in heard[0]["message"]
