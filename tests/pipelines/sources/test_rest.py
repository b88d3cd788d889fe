"""Services as agencies run them: real HTTP servers, each with its own way of paging, proving, refusing and failing."""

import json
import logging
import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contract import Contract, load_register
from pipelines.contract.service import service_faults
from pipelines.sources import Fetched, SourceUnavailable, Withheld
from pipelines.sources.rest import client, fetch, probe
from pipelines.sources.rest.answer import Page, Request
from pipelines.sources.rest.options import Paging
from pipelines.sources.rest.paging import first, following
from tests.pipelines.sources.service import Asked, Reply, Service, service
from tests.warehouse import Warehouse, column, contract

DATASET = "ho-tich/dot-giao"
TOKEN = "b1-mat/khau+2023"  # with signs that change their form in an address


def rows_of(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"ma": f"M{n:05}", "so": n, "ngay": f"2023-0{1 + n % 6}-15"} for n in range(start, start + count)]


@dataclass
class Puller:
    """Pulls as ingest does: what came, as rows, is read before the file is gone."""

    contract: Contract
    staging: Path
    text: str = ""
    told: dict[str, str] = field(default_factory=dict)

    def at(self, options: dict[str, Any], kind: str = "api") -> None:
        """Have the contract's source be this one."""
        assert list(service_faults(kind, options)) == []
        object.__setattr__(self.contract, "source", SimpleNamespace(kind=kind, options=options))

    def pull(self, options: dict[str, Any], state: dict[str, Any] | None = None, kind: str = "api") -> Fetched | Withheld | None:
        self.at(options, kind)
        found = None
        for found in fetch(self.contract, state or {}, self.staging):
            if isinstance(found, Fetched):
                self.text = found.file.read_text(encoding="utf-8")
                self.told = {decision.what: decision.value for decision in found.decisions}
        return found

    def rows(self, options: dict[str, Any], state: dict[str, Any] | None = None, kind: str = "api") -> list[dict[str, Any]]:
        found = self.pull(options, state, kind)
        assert isinstance(found, Fetched), found
        assert found.file.suffix == ".json" and not found.file.exists()
        records: list[dict[str, Any]] = json.loads(self.text)
        assert self.text.count("\n") == len(records) + 2  # a record to a line
        return records

    def rules(self, options: dict[str, Any], kind: str = "api") -> list[tuple[str, str]]:
        found = self.pull(options, kind=kind)
        assert isinstance(found, Withheld), found
        assert all(reason.vi and reason.en for reason in found.reasons)
        return [(reason.rule, reason.column) for reason in found.reasons]


@pytest.fixture
def puller(warehouse: Warehouse) -> Puller:
    columns = [
        column("ma", title="Mã", required=True, primaryKey=True),
        column("so", "integer", title="Số", synonyms=["so_luong"]),
        column("ngay", "date", title="Ngày"),
        column("dia_chi_xa", title="Xã"),
    ]
    warehouse.add(contract(DATASET, columns))
    return Puller(load_register(warehouse.settings.register).contracts[DATASET], warehouse.settings.staging)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the client would have slept."""
    slept: list[float] = []
    monkeypatch.setattr(client, "sleep", slept.append)
    return slept


PAGED = {"records": "data", "total": "total"}


def paged(rows: list[dict[str, Any]], size: int = 10) -> Callable[[Asked], Any]:
    """Pages by number."""

    def answer(asked: Asked) -> Any:
        start = (int(asked.query.get("page", 1)) - 1) * size
        return {"total": len(rows), "data": rows[start : start + size]}

    return answer


def by_page(at: Service, **more: Any) -> dict[str, Any]:
    return {"location": f"{at.url}/api/dot-giao", "paging": {"by": "page", "param": "page"}, **PAGED, **more}


# --- paging -----------------------------------------------------------------------------------------------------------


def test_pages_by_number_end_with_the_total(puller: Puller) -> None:
    with service(paged(rows_of(25))) as at:
        assert puller.rows(by_page(at)) == rows_of(25)
        assert at.queries("page") == ["1", "2", "3"]


def test_without_a_total_the_end_is_an_empty_page(puller: Puller) -> None:
    with service(paged(rows_of(20))) as at:
        assert puller.rows({**by_page(at), "total": ""}) == rows_of(20)
        assert at.queries("page") == ["1", "2", "3"]


def test_offsets_count_what_came_not_what_was_asked_for(puller: Puller) -> None:
    def capped(asked: Asked) -> Any:
        start = int(asked.query["offset"])
        return {"total": 9, "data": rows_of(9)[start : start + min(4, int(asked.query["limit"]))]}

    with service(capped) as at:
        options = {"location": at.url, **PAGED, "paging": {"by": "offset", "param": "offset", "size": 100, "sizeParam": "limit"}}
        assert puller.rows(options) == rows_of(9)
        assert at.queries("offset") == ["0", "4", "8"]


def test_a_cursor_leads_on_also_over_an_empty_page(puller: Puller) -> None:
    pages = {None: ("b", rows_of(3)), "b": ("c", []), "c": (None, rows_of(2, 3))}

    def answer(asked: Asked) -> Any:
        follow, rows = pages[asked.query.get("cursor")]
        return {"data": rows, "meta": {"next": follow}}

    with service(answer) as at:
        options = {"location": at.url, "records": "data", "paging": {"by": "cursor", "param": "cursor", "next": "meta.next"}}
        assert puller.rows(options) == rows_of(5)


@pytest.mark.parametrize("where", ["header", "body"])
def test_links_lead_on(puller: Puller, where: str) -> None:
    def answer(asked: Asked) -> Any:
        page = int(asked.query.get("p", 0))
        link = f"/api?p={page + 1}" if page < 2 else None
        if where == "body":
            return {"data": rows_of(2, page * 2), "links": {"next": link}}
        return Reply({"data": rows_of(2, page * 2)}, headers={"Link": f'<{link}>; rel="next", </api>; rel="first"'} if link else {})

    with service(answer) as at:
        paging = {"by": "link"} | ({"next": "links.next"} if where == "body" else {})
        assert puller.rows({"location": f"{at.url}/api", "records": "data", "paging": paging}) == rows_of(6)


def test_a_search_by_post_takes_its_page_in_the_body(puller: Puller) -> None:
    def answer(asked: Asked) -> Any:
        assert asked.method == "POST" and asked.json["tinh"] == "80"
        return {"data": rows_of(2, 2 * asked.json["trang"]), "con": asked.json["trang"] < 1}

    with service(answer) as at:
        paging = {"by": "page", "param": "trang", "first": 0, "more": "con"}
        assert puller.rows({"location": at.url, "records": "data", "body": {"tinh": "80"}, "paging": paging}) == rows_of(4)


@given(
    total=st.integers(0, 60), asked=st.integers(1, 20), cap=st.integers(1, 20), tells=st.booleans(), by=st.sampled_from(["page", "offset"])
)
def test_paging_brings_every_record_once_whatever_the_sizes(total: int, asked: int, cap: int, tells: bool, by: str) -> None:
    size = min(asked, cap)
    paging = Paging(by=by, param="at", size=asked, size_param="size")
    request: Request | None = first(paging, Request("http://x"))
    got: list[int] = []
    pages = 0
    while request:
        at = int(request.params["at"])
        start = (at - 1) * size if by == "page" else at
        rows = list(range(total))[start : start + size]
        got += rows
        pages += 1
        request = following(paging, request, Page(len(rows), b"", frozenset(), total=total if tells else None), pages, len(got))
    assert got == list(range(total))
    assert pages <= math.ceil(total / size) + 1


# --- what comes -------------------------------------------------------------------------------------------------------


def test_numbers_keep_their_digits_and_records_their_line(puller: Puller) -> None:
    body = b'[\r\n {"ma": "A",\n "so": 12345678901234567890.10}, {"ma":"\\u0110\\n", "so": 1.50}\n]'
    with service(lambda asked: Reply(body, headers={"Content-Type": "application/json; charset=utf-8"})) as at:
        puller.rows({"location": at.url})
        assert puller.text == '[\n{"ma":"A","so":12345678901234567890.10},\n{"ma":"\\u0110\\n","so":1.50}\n]\n'


def test_other_encodings_and_packed_answers_are_unpacked(puller: Puller) -> None:
    text = json.dumps([{"ma": "Đường"}], ensure_ascii=False)
    with service(
        lambda asked: Reply(text.encode("utf-16"), headers={"Content-Type": "application/json; charset=UTF-16"}, packed=True)
    ) as at:
        assert puller.rows({"location": at.url}) == [{"ma": "Đường"}]
    with service(lambda asked: b"\xef\xbb\xbf" + text.encode()) as at:
        assert puller.rows({"location": at.url}) == [{"ma": "Đường"}]


RECORDS = st.lists(
    st.fixed_dictionaries(
        {"ma": st.text()},
        optional={
            "so": st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.none(),
            "dia_chi_xa": st.lists(st.text()) | st.text(),
        },
    ),
    min_size=1,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(records=RECORDS, indent=st.none() | st.integers(0, 2), ascii_=st.booleans())
def test_any_records_come_as_they_are(puller: Puller, records: list[dict[str, Any]], indent: int | None, ascii_: bool) -> None:
    body = json.dumps({"data": records}, indent=indent, ensure_ascii=ascii_).encode("utf-8", "surrogatepass")
    with service(lambda asked: body) as at:
        assert puller.rows({"location": at.url, "records": "data"}) == records


def test_json_that_stands_as_text_inside_json(puller: Puller) -> None:
    with service(lambda asked: {"errorCode": 0, "data": json.dumps(rows_of(3))}) as at:
        assert puller.rows({"location": at.url, "records": "data"}) == rows_of(3)
    with service(lambda asked: {"errorCode": 0, "data": ""}) as at:
        assert puller.rules({"location": at.url, "records": "data"}) == [("empty", "")]


def test_a_look_reads_one_page_and_says_what_is_there(puller: Puller) -> None:
    with service(paged(rows_of(25))) as at:
        puller.at(by_page(at))
        assert probe(puller.contract) == "10 records on the first page of 25 in all"
        assert len(at.asked) == 1
    with service(lambda asked: [{"ma": "A", "fax": 1}]) as at:
        puller.at({"location": at.url})
        assert probe(puller.contract).endswith("not in the contract: fax")
        puller.at({"location": at.url, "records": "data"})
        assert "no records at `data`" in probe(puller.contract)
    with pytest.raises(SourceUnavailable, match="tried 1 times"):
        probe(puller.contract)


def test_members_of_an_object_are_columns(puller: Puller) -> None:
    with service(lambda asked: [{"ma": "A", "dia_chi": None}, {"ma": "B", "dia_chi": {"xa": "27694"}}]) as at:
        assert len(puller.rows({"location": at.url})) == 2
    with service(lambda asked: [{"tin": {"ma": "A"}, "xml": "<r><so>1</so></r>"}]) as at:
        assert len(puller.rows({"location": at.url})) == 1
    with service(lambda asked: [{"ma": "A", "dia_chi": {"huyen": "794"}, "xml": "<r><nam>1</nam></r>"}]) as at:
        assert puller.rules({"location": at.url}) == [("unknown_column", "dia_chi_huyen"), ("unknown_column", "xml_nam")]


XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="urn:soap"><s:Body><tong>2</tong><ds ma="0"><r><ma>A&amp;B</ma><so>1</so></r><r><ma>C</ma><x>y</x></r></ds></s:Body></s:Envelope>"""


def test_xml_stays_xml(puller: Puller) -> None:
    with service(lambda asked: Reply(XML, headers={"Content-Type": "text/xml"})) as at:
        options = {"location": at.url, "format": "xml", "records": "Body.ds.r", "total": "Body.tong", "ignore": ["x"]}
        options |= {"success": {"field": "Body.ds.@ma", "values": ["0"]}}
        found = puller.pull(options)
        assert isinstance(found, Fetched) and found.file.suffix == ".xml"
        assert "<ma>A&amp;B</ma>" in puller.text and puller.text.count("<r ") + puller.text.count("<r>") == 2 and "<x>" not in puller.text
        assert puller.rules({**options, "records": "Body.dsach.r"}) == [("no_records", "")]
        assert puller.rules({**options, "ignore": []}) == [("unknown_column", "x")]


def test_xml_inside_json(puller: Puller) -> None:
    def answer(asked: Asked) -> Any:
        text = "<ds><r><ma>A</ma></r><r><ma>B</ma></r></ds>" if asked.query["trang"] == "1" else ""
        return {"errorCode": "0", "maDonVi": "H39", "data": text or None}

    with service(answer) as at:
        options = {"location": at.url, "format": "xml-in-json", "records": "data", "elements": "r"}
        found = puller.pull({**options, "paging": {"by": "page", "param": "trang"}})
        assert isinstance(found, Fetched) and "<ma>B</ma>" in puller.text


def test_entities_of_an_xml_answer_are_not_resolved(puller: Puller, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mật", encoding="utf-8")
    body = f'<!DOCTYPE r [<!ENTITY e SYSTEM "file://{tmp_path}/secret">]><r><a><ma>&e;</ma></a></r>'
    with service(lambda asked: body.encode()) as at:
        puller.pull({"location": at.url, "format": "xml"})
        assert "mật" not in puller.text


def test_the_service_s_own_word_for_success(puller: Puller, pauses: list[float]) -> None:
    codes = iter(["500", "0", "101"])

    def answer(asked: Asked) -> Any:
        return {"errorCode": next(codes), "errorMessage": f"không rõ {TOKEN}", "data": rows_of(1)}

    with service(answer) as at:
        success = {"field": "errorCode", "values": ["0"], "retry": ["500"], "message": "errorMessage"}
        options = {"location": at.url, "records": "data", "success": success}
        assert puller.rows(options) == rows_of(1)
        assert len(pauses) == 1
        assert puller.rules(options) == [("service_error", "")]


# --- what is withheld -------------------------------------------------------------------------------------------------


def test_drift_is_found_on_the_first_page(puller: Puller) -> None:
    with service(paged([{"ma": "A", "nguoi_nop": "x", "ngya": "2023-01-01"}] * 100, size=1)) as at:
        found = puller.pull(by_page(at))
        assert isinstance(found, Withheld) and [(r.rule, r.column) for r in found.reasons] == [
            ("unknown_column", "nguoi_nop"),
            ("unknown_column", "ngya"),
        ]
        assert "ngay?" in found.reasons[1].en
        assert len(at.asked) == 1
        assert [
            row["ma"] for row in puller.rows({**by_page(at), "ignore": ["nguoi_nop", "ngya"], "paging": {"by": "none"}, "total": ""})
        ] == ["A"]
    with service(lambda asked: [{"so_luong": 1}]) as at:
        assert puller.rules({"location": at.url}) == [("missing_column", "ma")]


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        (b'[{"ma": "A"}, {"ma"', "unreadable"),
        (b"\xff\xfe\x00", "unreadable"),
        (b"[1, 2]", "no_records"),
        (b'{"du_lieu": [{"ma": "A"}]}', "no_records"),
        (b"[]", "empty"),
        (b"null", "empty"),
    ],
)
def test_what_is_no_list_of_records(puller: Puller, body: bytes, rule: str) -> None:
    with service(lambda asked: body) as at:
        records = "data" if body.startswith(b"{") else ""
        found = puller.pull({"location": at.url, "records": records})
        assert isinstance(found, Withheld) and found.reasons[0].rule == rule
        assert rule != "no_records" or not records or "du_lieu" in found.reasons[0].en


def test_a_total_that_does_not_come_is_withheld(puller: Puller) -> None:
    def answer(asked: Asked) -> Any:
        return {"total": 30, "data": rows_of(10) if asked.query["page"] == "1" else []}

    with service(answer) as at:
        assert puller.rules(by_page(at)) == [("total", "")]


def test_a_service_that_pages_in_a_circle_is_left(puller: Puller) -> None:
    with service(lambda asked: {"data": rows_of(2)}) as at:
        assert puller.rules({**by_page(at), "total": ""}) == [("repeats", "")]
        assert len(at.asked) == 2
    with service(lambda asked: {"data": rows_of(1, len(asked.query)), "next": "a"}) as at:
        options = {"location": at.url, "records": "data", "paging": {"by": "cursor", "param": "c", "next": "next"}}
        assert puller.rules(options) == [("repeats", "")]


@pytest.mark.parametrize(
    ("limit", "rule"), [({"maxPages": 2}, "too_many_pages"), ({"maxBytes": 200}, "too_large"), ({"maxPageBytes": 100}, "too_large")]
)
def test_a_pull_has_bounds(puller: Puller, limit: dict[str, int], rule: str) -> None:
    with service(paged(rows_of(100))) as at:
        assert puller.rules(by_page(at, **limit)) == [(rule, "")]


def test_a_packed_answer_is_bounded_as_it_unpacks(puller: Puller) -> None:
    with service(lambda asked: Reply(b" " * 10_000_000, packed=True)) as at:
        assert puller.rules({"location": at.url, "maxPageBytes": 1_000_000}) == [("too_large", "")]


# --- what is tried again, and what is not -----------------------------------------------------------------------------


def failing(times: int, reply: Reply) -> Callable[[Asked], Any]:
    left = [times]

    def answer(asked: Asked) -> Any:
        if left[0]:
            left[0] -= 1
            return reply
        return rows_of(3)

    return answer


@pytest.mark.parametrize(
    ("reply", "slept"),
    [
        (Reply(status=503), [0.5, 1]),
        (Reply(status=429, headers={"Retry-After": "7"}), [7, 7]),
        (Reply(b'[{"ma": "A"}]', cut_after=4), [0.5, 1]),
        (Reply(b"<!DOCTYPE html><p>B\xe1\xba\xa3o tr\xc3\xac", headers={"Content-Type": "text/html"}), [0.5, 1]),
    ],
)
def test_trouble_of_the_moment_is_waited_out(puller: Puller, pauses: list[float], reply: Reply, slept: list[float]) -> None:
    with service(failing(2, reply)) as at:
        assert puller.rows({"location": at.url}) == rows_of(3)
        assert pauses == slept


def test_an_answer_that_cannot_be_read_is_asked_for_once_more(puller: Puller) -> None:
    with service(failing(1, Reply(b'[{"ma": "A"}, {"m'))) as at:
        assert puller.rows({"location": at.url}) == rows_of(3)
    with service(failing(9, Reply(b'[{"ma": "A"}, {"m'))) as at:
        assert puller.rules({"location": at.url}) == [("unreadable", "")]
        assert len(at.asked) == 2


def test_no_content_is_an_empty_page_and_nothing_at_all_is_trouble(puller: Puller, pauses: list[float]) -> None:
    with service(lambda asked: rows_of(2) if asked.query["page"] == "1" else Reply(status=204)) as at:
        assert puller.rows({"location": at.url, "paging": {"by": "page", "param": "page"}}) == rows_of(2)
    with service(lambda asked: b"") as at, pytest.raises(SourceUnavailable, match="answers with nothing"):
        puller.pull({"location": at.url})


@pytest.mark.parametrize("drips", [False, True])
def test_a_service_that_stalls_is_given_up(puller: Puller, drips: bool) -> None:
    slow = Reply(b"[" + b" " * 1000, stalls=True, drips=drips)
    with service(lambda asked: slow) as at, pytest.raises(SourceUnavailable, match="answers too slowly"):
        puller.pull({"location": at.url, "timeout": 0.05, "retries": 0})


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(puller: Puller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    with service(lambda asked: rows_of(1), certificate=authority.issue_cert("127.0.0.1")) as at:
        with pytest.raises(SourceUnavailable, match="certificate is not trusted"):
            puller.pull({"location": at.url, "retries": 0})
        assert at.asked == []
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "authority.pem"))
        assert puller.rows({"location": at.url}) == rows_of(1)


def test_a_pause_is_also_asked_for_by_date_but_not_without_end(puller: Puller, pauses: list[float]) -> None:
    with service(failing(1, Reply(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}))) as at:
        assert puller.rows({"location": at.url}) == rows_of(3)
        assert pauses == [0]
    with service(failing(1, Reply(status=429, headers={"Retry-After": "3600"}))) as at:
        with pytest.raises(SourceUnavailable, match="3600 s"):
            puller.pull({"location": at.url, "maxWait": 60})
        assert len(at.asked) == 1


def test_tries_end(puller: Puller, pauses: list[float]) -> None:
    with service(lambda asked: Reply(status=502)) as at:
        with pytest.raises(SourceUnavailable, match="answers 502; tried 3 times"):
            puller.pull({"location": at.url, "retries": 2})
        assert len(at.asked) == 3
    with pytest.raises(SourceUnavailable, match="cannot be reached"):
        puller.pull({"location": at.url, "retries": 0})


def test_what_the_service_rejects_is_not_tried_again(puller: Puller) -> None:
    with service(lambda asked: Reply({"message": "thiếu tham số tinh"}, status=400)) as at:
        with pytest.raises(SourceUnavailable, match=r"answers 400.*thiếu tham số"):
            puller.pull({"location": at.url})
        assert len(at.asked) == 1


def test_requests_keep_to_the_rate(puller: Puller, pauses: list[float]) -> None:
    with service(paged(rows_of(30))) as at:
        puller.rows(by_page(at, requestsPerMinute=60))
        assert len(pauses) == 2 and all(0.5 < pause <= 1 for pause in pauses)


def test_another_host_is_not_followed(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHO_SECRET_LGSP", TOKEN)
    auth = {"type": "bearer", "secret": "LGSP"}
    with service(lambda asked: rows_of(1)) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        for reply in (Reply(status=302, headers={"Location": f"{elsewhere}/x"}), Reply(status=307, headers={"Location": f"{other.url}/x"})):
            with service(lambda asked, reply=reply: reply) as at, pytest.raises(SourceUnavailable, match="another host"):  # type: ignore[misc]
                puller.pull({"location": at.url, "auth": auth})
        with (
            service(lambda asked: {"data": rows_of(1), "next": f"{elsewhere}/x"}) as at,
            pytest.raises(SourceUnavailable, match="another host"),
        ):
            puller.pull({"location": at.url, "records": "data", "auth": auth, "paging": {"by": "link", "next": "next"}})
        assert other.asked == []


def test_the_same_host_is(puller: Puller) -> None:
    def answer(asked: Asked) -> Any:
        return rows_of(2) if asked.path == "/moi/" else Reply(status=301, headers={"Location": "/moi/"})

    with service(answer) as at:
        assert puller.rows({"location": f"{at.url}/cu"}) == rows_of(2)
    with service(lambda asked: Reply(status=302, headers={"Location": "/"})) as at, pytest.raises(SourceUnavailable, match="circle"):
        puller.pull({"location": at.url})


# --- proofs and secrets -----------------------------------------------------------------------------------------------


def allows(proved: Callable[[Asked], bool]) -> Callable[[Asked], Any]:
    return lambda asked: rows_of(1) if proved(asked) else Reply({"echo": asked.query, "headers": asked.headers}, status=401)


PROOFS: list[tuple[dict[str, str], Callable[[Asked], bool]]] = [
    ({"type": "bearer", "secret": "LGSP"}, lambda a: a.headers["authorization"] == f"Bearer {TOKEN}"),
    ({"type": "apiKey", "secret": "LGSP", "header": "X-Api-Key"}, lambda a: a.headers["x-api-key"] == TOKEN),
    ({"type": "apiKey", "secret": "LGSP", "param": "key"}, lambda a: a.query.get("key") == TOKEN),
    ({"type": "basic", "secret": "LGSP", "user": "kho"}, lambda a: a.headers["authorization"] == "Basic a2hvOmIxLW1hdC9raGF1KzIwMjM="),
]


@pytest.mark.parametrize(("auth", "proved"), PROOFS)
def test_a_secret_proves_and_never_shows(
    puller: Puller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, auth: dict[str, str], proved: Callable[[Asked], bool]
) -> None:
    caplog.set_level(logging.DEBUG)
    with service(allows(proved)) as at:
        with pytest.raises(SourceUnavailable, match="KHO_SECRET_LGSP"):
            puller.pull({"location": at.url, "auth": auth})
        monkeypatch.setenv("KHO_SECRET_LGSP", TOKEN)
        assert puller.rows({"location": at.url, "auth": auth}) == rows_of(1)
    refused = service(lambda asked: Reply({"echo": asked.query, "headers": asked.headers}, status=403))
    echoing = service(lambda asked: Reply({"echo": asked.query, "headers": asked.headers}, status=400))
    for broken, said in ((refused, "secret LGSP is not accepted"), (echoing, "answers 400")):
        with broken as at, pytest.raises(SourceUnavailable, match=said) as caught:
            puller.pull({"location": at.url, "auth": auth})
        _hidden(str(caught.value), repr(caught.value.__cause__), repr(caught.value.__context__))
    with pytest.raises(SourceUnavailable) as caught:
        puller.pull({"location": at.url, "auth": auth, "retries": 0})
    _hidden(str(caught.value), repr(caught.value.__cause__), repr(caught.value.__context__))
    assert "GET" in caplog.text
    _hidden(caplog.text)


def _hidden(*texts: str) -> None:
    forms = (TOKEN, "b1-mat%2Fkhau%2B2023", "b1-mat/khau%2B2023", "a2hvOmIxLW1hdC9raGF1KzIwMjM=", "YjEtbWF0L2toYXUrMjAyMw==")
    for text in texts:
        assert [form for form in forms if form in text] == []


@pytest.mark.parametrize("echo", [TOKEN, "b1-mat\\/khau+2023", "b1-mat%2fkhau%2b2023", "YjEtbWF0L2toYXUrMjAyMw==", f"{'é' * 150} {TOKEN}"])
def test_a_key_is_hidden_in_whatever_form_it_comes_back(puller: Puller, monkeypatch: pytest.MonkeyPatch, echo: str) -> None:
    monkeypatch.setenv("KHO_SECRET_LGSP", TOKEN)
    with service(lambda asked: Reply(f"sai: {echo} !".encode(), status=400)) as at, pytest.raises(SourceUnavailable, match="•••") as caught:
        puller.pull({"location": at.url, "auth": {"type": "bearer", "secret": "LGSP"}})
    assert echo not in str(caught.value)


def test_a_key_is_sent_once_also_where_the_service_leads_elsewhere_with_it(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHO_SECRET_LGSP", TOKEN)

    def answer(asked: Asked) -> Any:
        if asked.path == "/cu":
            return Reply(status=302, headers={"Location": "/moi?nam=2023&key=b1-mat%2Fkhau%2B2023"})
        return rows_of(1)

    with service(answer) as at:
        assert puller.rows({"location": f"{at.url}/cu", "auth": {"type": "apiKey", "param": "key", "secret": "LGSP"}}) == rows_of(1)
        assert at.asked[1].query == {"nam": "2023", "key": TOKEN}


def test_a_key_that_comes_back_in_a_link_is_not_written_down(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KHO_SECRET_LGSP", TOKEN)

    def answer(asked: Asked) -> Any:
        assert asked.query["key"] == TOKEN
        if asked.query.get("p") == "2":
            _hidden(*(file.read_text(encoding="utf-8") for file in puller.staging.rglob("*") if file.is_file()))
            return Reply(status=500)
        return {"data": rows_of(1), "next": f"/?p=2&key={asked.query['key'].replace('+', '%2B')}"}

    auth = {"type": "apiKey", "secret": "LGSP", "param": "key"}
    with service(answer) as at, pytest.raises(SourceUnavailable):
        puller.pull({"location": at.url, "records": "data", "auth": auth, "paging": {"by": "link", "next": "next"}, "retries": 0})
    assert any(puller.staging.rglob("progress.jsonl"))


@pytest.mark.parametrize("client_auth", ["basic", "body"])
def test_oauth2_client_credentials(
    puller: Puller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, client_auth: str
) -> None:
    monkeypatch.setenv("KHO_SECRET_LGSP", TOKEN)
    caplog.set_level(logging.DEBUG)
    given_out: list[str] = []

    def tokens(asked: Asked) -> Any:
        assert asked.form["grant_type"] == "client_credentials" and asked.form["scope"] == "doc"
        if client_auth == "body":
            assert (asked.form["client_id"], asked.form["client_secret"]) == ("kho", TOKEN)
        else:
            assert asked.headers["authorization"].startswith("Basic ")
        given_out.append(f"the-{len(given_out)}")
        return {"access_token": given_out[-1], "expires_in": 3600}

    def answer(asked: Asked) -> Any:
        # The first token is withdrawn at page 2.
        if asked.query["page"] == "2" and asked.headers["authorization"] == "Bearer the-0":
            return Reply(status=401)
        assert asked.headers["authorization"] == f"Bearer {given_out[-1]}"
        return paged(rows_of(25))(asked)

    with service(tokens) as issuer, service(answer) as at:
        auth = {
            "type": "oauth2",
            "endpoint": f"{issuer.url}/token",
            "clientId": "kho",
            "secret": "LGSP",
            "scope": "doc",
            "clientAuth": client_auth,
        }
        assert puller.rows(by_page(at, auth=auth)) == rows_of(25)
        assert len(given_out) == 2
    with service(lambda asked: Reply({"error": f"bad {TOKEN}"}, status=400)) as issuer, service(answer) as at:
        with pytest.raises(SourceUnavailable, match="its secret is not accepted") as caught:
            puller.pull(by_page(at, auth={**auth, "endpoint": issuer.url}))
        assert at.asked == []
        _hidden(str(caught.value))
    _hidden(caplog.text)
    assert "the-0" not in caplog.text


def test_passwords_of_the_machine_s_user_stay_at_home(puller: Puller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login toi password rieng\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with service(lambda asked: rows_of(1)) as at:
        puller.rows({"location": at.url})
        assert "authorization" not in at.asked[0].headers


def test_a_proxy_of_the_environment_is_used(puller: Puller, monkeypatch: pytest.MonkeyPatch) -> None:
    with service(lambda asked: rows_of(1)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        assert puller.rows({"location": "http://noi-bo.invalid/api"}) == rows_of(1)


# --- what is new ------------------------------------------------------------------------------------------------------


def test_nothing_comes_of_what_did_not_change(puller: Puller) -> None:
    def answer(asked: Asked) -> Any:
        if asked.headers.get("if-none-match") == '"v1"':
            return Reply(status=304)
        return Reply(rows_of(1), headers={"ETag": '"v1"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"})

    with service(answer) as at:
        options = {"location": at.url}
        found = puller.pull(options)
        assert isinstance(found, Fetched)
        assert puller.pull(options, found.state) is None
        assert at.asked[1].headers["if-modified-since"] == "Wed, 21 Oct 2015 07:28:00 GMT"
        # Asked otherwise, the old mark is worth nothing.
        assert isinstance(puller.pull({**options, "params": {"nam": "2023"}}, found.state), Fetched)


def test_one_page_s_etag_does_not_speak_for_the_others(puller: Puller) -> None:
    def answer(asked: Asked) -> Any:
        assert "if-none-match" not in asked.headers
        return Reply(paged(rows_of(15))(asked), headers={"ETag": '"v1"'})

    with service(answer) as at:
        found = puller.pull(by_page(at))
        assert isinstance(found, Fetched)
        assert isinstance(puller.pull(by_page(at), found.state), Fetched)


def test_a_cursor_goes_on_from_the_newest_record_with_an_overlap(puller: Puller) -> None:
    stored = [{"ma": "A", "ngay": "2023-06-01"}, {"ma": "B", "ngay": "2023-06-30"}, {"ma": "C", "ngay": None}]

    def answer(asked: Asked) -> Any:
        since = asked.query.get("tu_ngay", "01/01/2000")
        day, month, year = since.split("/")
        return [row for row in stored if row["ngay"] is None or row["ngay"] >= f"{year}-{month}-{day}"]

    since = {"param": "tu_ngay", "field": "ngay", "overlap": 2, "format": "%d/%m/%Y"}
    with service(answer) as at:
        options = {"location": at.url, "since": since}
        found = puller.pull(options)
        assert isinstance(found, Fetched) and found.state["cursor"] == "2023-06-30" and found.name == "dot_giao.json"
        stored.append({"ma": "D", "ngay": "2023-06-29"})
        later = puller.pull(options, found.state)
        assert isinstance(later, Fetched) and later.name == "dot_giao since 28-06-2023.json"
        assert at.queries("tu_ngay") == [None, "28/06/2023"]
        assert [record["ma"] for record in json.loads(puller.text)] == ["B", "C", "D"]
        stored.clear()
        assert puller.pull(options, found.state) is None


def test_a_cursor_of_numbers_is_compared_by_size(puller: Puller) -> None:
    with service(lambda asked: [{"ma": "A", "so": 9}, {"ma": "B", "so": 10}]) as at:
        found = puller.pull({"location": at.url, "since": {"param": "after", "field": "so", "start": "0"}})
        assert isinstance(found, Fetched) and found.state["cursor"] == "10"
        assert at.queries("after") == ["0"]
    with service(lambda asked: [{"ma": "A", "ngay": "30/06/2023"}]) as at:
        assert puller.rules({"location": at.url, "since": {"param": "after", "field": "ngay"}}) == [("cursor", "ngay")]


def test_made_up_records_are_known_as_such(puller: Puller) -> None:
    with service(lambda asked: Reply(rows_of(1), headers={"X-Kho-Synthetic": "true"})) as at:
        found = puller.pull({"location": at.url})
        assert isinstance(found, Fetched) and found.synthetic


# --- a pull that breaks off -------------------------------------------------------------------------------------------


@dataclass
class Breaking:
    """A paged service that fails at one page until it is mended."""

    total: int
    fails_at: int | None

    def __call__(self, asked: Asked) -> Any:
        if asked.query["page"] == str(self.fails_at):
            return Reply(status=500)
        return paged(rows_of(self.total))(asked)


def test_a_pull_cut_off_goes_on_where_it_was(puller: Puller) -> None:
    breaking = Breaking(45, fails_at=4)
    with service(breaking) as at:
        options = by_page(at, retries=0)
        with pytest.raises(SourceUnavailable):
            puller.pull(options)
        breaking.fails_at = None
        assert puller.rows(options) == rows_of(45)
        assert at.queries("page") == ["1", "2", "3", "4", "4", "5"]
        assert puller.told == {"read": "45 records in 5 pages", "resumed": "after 3 pages"}
        assert list(puller.staging.iterdir()) == []


@pytest.mark.parametrize("damage", ["torn line", "rows beyond", "rows lost", "rows changed", "other options", "old"])
def test_progress_counts_only_where_it_is_sound(puller: Puller, damage: str) -> None:
    breaking = Breaking(25, fails_at=3)
    with service(breaking) as at:
        options = by_page(at, retries=0)
        with pytest.raises(SourceUnavailable):
            puller.pull(options)
        breaking.fails_at = None
        (rows,), (lines,) = puller.staging.rglob("rows.part"), puller.staging.rglob("progress.jsonl")
        content = rows.read_bytes()
        match damage:
            case "torn line":
                lines.write_text(lines.read_text(encoding="utf-8") + '{"asked": "x', encoding="utf-8")
            case "rows beyond":
                rows.write_bytes(content + b'{"ma":')
            case "rows lost":
                rows.write_bytes(content[:-20])
            case "rows changed":
                rows.write_bytes(bytes(len(content)))
            case "other options":
                options["params"] = {"nam": "2023"}
            case "old":
                os.utime(lines, (0, 0))
        assert puller.rows(options) == rows_of(25)
        assert len(at.asked) == 3 + (1 if damage in ("torn line", "rows beyond") else 3)


def test_progress_of_another_state_of_the_source_is_dropped(puller: Puller) -> None:
    breaking = Breaking(25, fails_at=3)
    with service(breaking) as at:
        options = by_page(at, retries=0)
        with pytest.raises(SourceUnavailable):
            puller.pull(options)
        breaking.total, breaking.fails_at = 26, None
        assert puller.rows(options) == rows_of(26)
        assert at.queries("page") == ["1", "2", "3", "3", "1", "2", "3"]


def test_a_cursor_that_went_stale_begins_anew(puller: Puller) -> None:
    fresh = {"a": True}

    def answer(asked: Asked) -> Any:
        cursor = asked.query.get("c")
        if cursor == "old":
            return Reply(status=500 if fresh.pop("a", None) else 410)
        return {"data": rows_of(1, 1 if cursor else 0), "next": None if cursor else "old" if fresh else "new"}

    with service(answer) as at:
        options = {"location": at.url, "records": "data", "paging": {"by": "cursor", "param": "c", "next": "next"}, "retries": 0}
        with pytest.raises(SourceUnavailable):
            puller.pull(options)
        assert puller.rows(options) == rows_of(2)
        assert at.queries("c") == [None, "old", "old", None, "new"]


def test_a_key_that_ran_out_costs_no_progress(puller: Puller) -> None:
    breaking = Breaking(25, fails_at=3)
    with service(lambda asked: Reply(status=401) if (reply := breaking(asked)) == refused else reply) as at:
        refused = Reply(status=500)
        with pytest.raises(SourceUnavailable, match="401"):
            puller.pull(by_page(at))
        with pytest.raises(SourceUnavailable, match="401"):
            puller.pull(by_page(at))
        breaking.fails_at = None
        assert puller.rows(by_page(at)) == rows_of(25)
        assert at.queries("page") == ["1", "2", "3", "3", "3"]


def test_a_source_that_never_holds_still_is_given_up(puller: Puller) -> None:
    count = iter(range(1000))

    with (
        service(lambda asked: {"total": 100 + (n := next(count)), "data": rows_of(1, n)}) as at,
        pytest.raises(SourceUnavailable, match="changes"),
    ):
        puller.pull(by_page(at))


def test_two_runs_do_not_pull_into_one_file(puller: Puller) -> None:
    def answer(asked: Asked) -> Any:
        with pytest.raises(SourceUnavailable, match="another run"):
            puller.pull({"location": "http://127.0.0.1:9"})
        return rows_of(1)

    with service(answer) as at:
        assert puller.rows({"location": at.url}) == rows_of(1)
