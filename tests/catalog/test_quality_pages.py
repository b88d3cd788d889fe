"""What the catalogue says of expectations, and the Data Docs it serves with the permission of the rows."""

from datetime import UTC, datetime

import pytest
from django.test import Client, override_settings

from catalog.live import Live
from pipelines.contract import load_register
from pipelines.quality import ADVICE, ExpectationResult, Finding
from pipelines.quality.result import write_results
from pipelines.settings import Settings
from pipelines.store import Store
from tests.catalog.published import PERSONAL_ROWS, PLAIN_ROWS, SECRET_NAME, deliver, write_register


def result(dataset: str, name: str, passed: bool | None, page: str, *findings: Finding, unmeasured: tuple = ()) -> ExpectationResult:
    kind = {"volume": "volume", "references": "references"}.get(name, "drift")
    return ExpectationResult(dataset, 1, name, kind, passed, False, findings, unmeasured, f"{name} là thế", f"{name} is so", page)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def warehouse(live, tmp_path_factory):
    """A warehouse of this module's own; ``live`` has configured Django."""
    root = tmp_path_factory.mktemp("quality")
    kho = Settings(root / "datasets", root / "home")
    write_register(kho.register)
    store = Store(kho)
    store.prepare(load_register(kho.register))
    for dataset, rows in (("y-te/nguoi-hanh-nghe", PERSONAL_ROWS), ("tu-phap/an-phi", PLAIN_ROWS), ("tu-phap/luat-su", PERSONAL_ROWS)):
        deliver(store, dataset, rows)
    return kho, store


@pytest.fixture(scope="module")
def checked(warehouse):
    """One run that failed on an open dataset with hidden columns, and one on a closed dataset."""
    kho, store = warehouse
    page = lambda dataset: f"validations/{dataset}/lan-1/20260101T000000.000000Z/m.html"
    results = []
    for dataset in ("y-te/nguoi-hanh-nghe", "tu-phap/an-phi"):
        drift = (Finding("ten", 0.41, "change"), Finding("ho_ten", 0.77, "change"))
        results += [
            result(dataset, "volume", False, page(dataset), Finding("", -0.62, "change")),
            result(dataset, "null_share", False, page(dataset), *drift),
            result(dataset, "psi", None, page(dataset)),
            result(dataset, "references", True, page(dataset), unmeasured=("ten",)),
        ]
        file = kho.quality / "docs" / page(dataset)
        file.parent.mkdir(parents=True)
        file.write_text("<!DOCTYPE html><p>Kết quả</p>", encoding="utf-8")
    (kho.quality / "docs" / "index.html").write_text("<!DOCTYPE html><p>Mục lục</p>", encoding="utf-8")
    with store.transaction("quality", {}) as connection:
        write_results(connection, results, "lan-1", datetime.now(UTC).replace(tzinfo=None))
    (kho.quality / "docs" / "static").mkdir()
    (kho.home / "web-secret").write_text("khóa", encoding="utf-8")
    return page


@pytest.fixture
def client(warehouse, checked):
    kho, store = warehouse
    with override_settings(KHO_LIVE=Live(kho.register, store), KHO_DATA_DOCS=kho.quality / "docs"):
        yield Client()


def test_the_page_says_what_failed_what_it_means_and_what_to_do(client, checked):
    text = client.get("/datasets/y-te/nguoi-hanh-nghe").content.decode()
    for part in ("volume là thế", "-62.0%", "<code>ten</code>: +41.0%", "Chưa đánh giá được: ten", "Chưa có gì để so sánh"):
        assert part in text
    for kind in ("volume", "drift"):
        assert ADVICE[kind][0] in text
    assert f'href="/quality/{checked("y-te/nguoi-hanh-nghe")}"' in text
    english = client.get("/datasets/y-te/nguoi-hanh-nghe?lang=en").content.decode()
    assert "volume is so" in english and ADVICE["volume"][1] in english


def test_figures_of_columns_that_are_not_published_stay_out(client, checked):
    text = client.get("/datasets/y-te/nguoi-hanh-nghe").content.decode()
    assert "+77.0%" not in text and SECRET_NAME not in text
    closed = client.get("/datasets/tu-phap/an-phi").content.decode()
    assert "volume là thế" in closed and "+41.0%" not in closed and "/quality/" not in closed


def test_a_failed_expectation_is_seen_in_lists(client, checked):
    assert "Người hành nghề" in client.get("/search?quality=failed-checks").content.decode()


def test_a_dataset_that_was_never_checked_says_what_will_be(client, checked):
    text = client.get("/datasets/tu-phap/luat-su").content.decode()
    assert "Chưa kiểm tra lần nào" in text and "Số hàng so với các phiên bản trước" in text


def test_data_docs_are_served_with_the_permission_of_the_rows(client, checked):
    response = client.get("/quality/" + checked("y-te/nguoi-hanh-nghe"))
    assert response.status_code == 200 and "Kết quả" in b"".join(response.streaming_content).decode()
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert client.get("/quality/" + checked("tu-phap/an-phi")).status_code == 403
    assert "Mục lục" in b"".join(client.get("/quality/").streaming_content).decode()


@pytest.mark.parametrize(
    "address",
    [
        "/quality/validations/tu-phap/khong-co/x.html",
        "/quality/validations/../../../web-secret",
        "/quality/static/../../../web-secret",
        "/quality/static/%2e%2e/%2e%2e/%2e%2e/web-secret",
        "/quality/static/../validations/tu-phap/an-phi/lan-1/20260101T000000.000000Z/m.html",
        "/quality/validations/y-te/nguoi-hanh-nghe/../../tu-phap/an-phi/lan-1/20260101T000000.000000Z/m.html",
        "/quality/lock",
        "/quality/static/",
    ],
)
def test_nothing_else_is_served(client, checked, address):
    response = client.get(address)
    assert response.status_code == 404
