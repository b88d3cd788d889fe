"""The one decision, and that no door gives more than it."""

from urllib.parse import urlencode

import pytest

from catalog.access import ANONYMOUS, decide
from pipelines.settings import PROJECT
from tests.catalog.answers import body
from tests.catalog.published import CLOSED, OPEN, SECRET_ILLNESS, SECRET_NAME

LAWFULLY_NAMED = "tu-phap/luat-su"
FORMS = ("csv", "xlsx", "json", "parquet")


def test_open_data_without_personal_columns_is_readable_whole(live):
    contract = live.catalogue.entries["y-te/nha-thuoc"].contract
    assert decide(ANONYMOUS, contract).columns == tuple(c.name for c in contract.columns)


def test_personal_columns_need_a_legal_basis_and_sensitive_ones_are_never_public(live):
    entries = live.catalogue.entries
    assert decide(ANONYMOUS, entries["y-te/nguoi-hanh-nghe"].contract).columns == ("ma", "ten")
    assert decide(ANONYMOUS, entries["tu-phap/luat-su"].contract).columns == ("ma", "ten", "ho_ten")


@pytest.mark.parametrize("id", CLOSED)
def test_everything_else_is_refused_with_a_reason(live, id):
    decision = decide(ANONYMOUS, live.catalogue.entries[id].contract)
    assert not decision.allowed and not decision.columns and decision.reason_vi and decision.reason_en


def doors(id):
    yield f"/datasets/{id}"
    yield f"/datasets/{id}?lang=en"
    yield from (f"/datasets/{id}/download.{form}" for form in FORMS)
    yield from (
        f"/api/v1/datasets/{id}{rest}" for rest in ("", "/schema", "/releases", "/rows", "/rows?fields=ho_ten", "/rows?fields=benh")
    )
    yield f"/api/v1/datasets/{id}/rows?" + urlencode({"benh__gte": "A"})
    yield f"/api/v1/datasets/{id}/rows?sort=-benh"


@pytest.mark.parametrize("id", [*OPEN, *CLOSED, "tu-phap/chua-giao"])
def test_no_door_ever_gives_a_personal_value(client, id):
    for address in [*doors(id), "/", "/search", "/api/v1/datasets"]:
        text = body(client.get(address))
        assert SECRET_ILLNESS not in text, address
        assert id == LAWFULLY_NAMED or SECRET_NAME not in text, address


@pytest.mark.parametrize("query", ["benh=x", "benh__gte=a", "benh__lte=z", "sort=benh", "sort=-ho_ten", "fields=ma,benh", "khong_co=1"])
def test_a_hidden_column_cannot_be_asked_about(client, query):
    response = client.get(f"/api/v1/datasets/y-te/nguoi-hanh-nghe/rows?{query}")
    assert response.status_code == 422
    assert response["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("id", CLOSED)
def test_a_refusal_says_whom_to_ask(client, live, id):
    agency = live.catalogue.entries[id].agency
    for address in (f"/datasets/{id}/download.csv", f"/api/v1/datasets/{id}/rows"):
        response = client.get(address)
        assert response.status_code == 403
        assert agency.email in response.content.decode()
    assert agency.email in client.get(f"/datasets/{id}").content.decode()


def test_only_selection_reads_dataset_tables():
    """No other module of the catalogue may write SQL over a dataset's table."""
    for file in (PROJECT / "catalog").rglob("*.py"):
        if file.name != "selection.py":
            assert "contract.table" not in file.read_text(encoding="utf-8"), file
