"""The REST API: answers, filters, and errors as problem documents."""

import pytest

BASE = "/api/v1/datasets/y-te/nha-thuoc"


def test_datasets_are_listed_filtered_and_paged(client):
    everything = client.get("/api/v1/datasets?limit=3").json()
    assert everything["total"] == 8 and len(everything["items"]) == 3
    assert [d["id"] for d in client.get("/api/v1/datasets?access=shared").json()["items"]] == ["tu-phap/an-phi"]
    assert client.get("/api/v1/datasets?access=shared&access=restricted").json()["total"] == 2


def test_search(client):
    assert client.get("/api/v1/search?q=nha thuoc").json()["items"][0]["id"] == "y-te/nha-thuoc"
    assert client.get("/api/v1/search?q=xyzzyqwk").json()["total"] == 0


def test_one_dataset(client):
    found = client.get(BASE).json()
    assert found["release"] == 1 and found["synthetic"] and found["readable"] and "csv" in found["links"]
    closed = client.get("/api/v1/datasets/y-te/ho-so").json()
    assert not closed["readable"] and closed["refusal"]["vi"] and "rows" not in closed["links"]
    assert closed["contact"]["email"] == "syt@tinh.gov.vn"


def test_schema_and_releases(client):
    assert [c["name"] for c in client.get(f"{BASE}/schema").json()["columns"]][:2] == ["ma", "ten"]
    assert client.get(f"{BASE}/releases").json()[0]["release"] == 1
    assert len(client.get("/api/v1/agencies").json()) == 2


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("", ["A1", "A2", "A3", "A4"]),
        ("limit=2", ["A1", "A2"]),
        ("limit=2&offset=2", ["A3", "A4"]),
        ("sort=-so_luong", ["A2", "A3", "A1", "A4"]),
        ("so_luong__gte=3&so_luong__lte=7", ["A1", "A3"]),
        ("ma=A1&ma=A4", ["A1", "A4"]),
        ("ngay__gte=2023-02-01", ["A2", "A4"]),
        ("ma=' OR 1=1 --", []),
    ],
)
def test_rows(client, query, ids):
    assert [r["ma"] for r in client.get(f"{BASE}/rows?{query}").json()["rows"]] == ids


def test_pages_join_up(client):
    first = client.get(f"{BASE}/rows?limit=3&sort=ten").json()
    assert first["total"] == 4
    second = client.get(first["next"]).json()
    assert len(second["rows"]) == 1 and second["next"] is None


def test_fields(client):
    assert client.get(f"{BASE}/rows?fields=so_luong,ma&limit=1").json()["rows"] == [{"so_luong": 3, "ma": "A1"}]


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/api/v1/nothing", 404),
        ("/api/nothing", 404),
        ("/api/v1/datasets/a/b", 404),
        ("/api/v1/datasets/a/b/rows", 404),
        ("/api/v1/datasets/tu-phap/chua-giao/rows", 404),
        ("/api/v1/datasets/y-te/ho-so/rows", 403),
        (f"{BASE}/rows?limit=0", 422),
        (f"{BASE}/rows?limit=1001", 422),
        (f"{BASE}/rows?limit=x", 422),
        (f"{BASE}/rows?offset=-1", 422),
        (f"{BASE}/rows?nothing=1", 422),
        (f"{BASE}/rows?so_luong=x", 422),
        (f"{BASE}/rows?ngay__gte=hom-qua", 422),
        (f"{BASE}/rows?sort=ma;drop", 422),
        (f'{BASE}/rows?fields="', 422),
        (f"{BASE}/rows?fields=ma,ma", 422),
        ("/api/v1/search", 422),
    ],
)
def test_every_error_is_a_problem_document(client, address, status):
    response = client.get(address)
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == status and {"type", "title", "detail"} <= set(response.json())


def test_another_method_and_a_fault_are_problem_documents_too(client, monkeypatch):
    wrong = client.post("/api/v1/datasets")
    assert wrong.status_code == 405 and wrong["Content-Type"] == "application/problem+json"
    monkeypatch.setattr("catalog.doors.api.browse", lambda *_: 1 / 0)
    client.raise_request_exception = False
    broken = client.get("/api/v1/datasets")
    assert broken.status_code == 500 and broken["Content-Type"] == "application/problem+json"
    assert "ZeroDivision" not in broken.content.decode()


def test_it_describes_itself(client):
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    assert "/api/v1/datasets/{domain}/{dataset}/rows" in paths
