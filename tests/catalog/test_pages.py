"""Pages: there, in both languages, saying what the store says."""

import re

import pytest

from catalog.pages.words import WORDS
from pipelines.settings import PROJECT
from tests.catalog.published import CONTRACTS

PAGES = ["/", "/search", "/search?q=luat", "/agencies", "/agencies/STP", "/domains", "/domains/y-te", "/late", "/about", "/api/v1/docs"]
TEMPLATES = PROJECT / "catalog/pages/templates"


@pytest.mark.parametrize("address", [*PAGES, *(f"/datasets/{c['id']}" for c in CONTRACTS)])
@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_page_is_there_and_depends_on_nothing_outside(client, address, language):
    response = client.get(address, {"lang": language} if "?" not in address else None)
    text = response.content.decode()
    assert response.status_code == 200
    assert text.count("<h1>") == 1 and '<main id="main"' in text and 'class="skip"' in text
    assert not re.search(r'(?:src|href)="(?:https?:)?//(?!testserver)', text)
    assert "<script" not in text and " style=" not in text
    assert "default-src 'self'" in response["Content-Security-Policy"]
    assert response["X-Content-Type-Options"] == "nosniff"


def test_the_language_is_remembered(client):
    assert '<html lang="vi">' in client.get("/").content.decode()
    assert '<html lang="en">' in client.get("/?lang=en").content.decode()
    assert '<html lang="en">' in client.get("/about").content.decode()


def test_synthetic_data_say_so(client):
    assert "DỮ LIỆU GIẢ LẬP (SYNTHETIC)" in client.get("/datasets/y-te/nha-thuoc").content.decode()
    assert "DỮ LIỆU GIẢ LẬP (SYNTHETIC)" not in client.get("/datasets/tu-phap/luat-su").content.decode()


def test_the_dataset_page_says_how_each_file_was_read(client):
    text = client.get("/datasets/y-te/nha-thuoc?lang=en").content.decode()
    assert "How the file was read" in text and "header_row" in text and "4–5" in text and "4 rows of the file are no data" in text


def test_the_dataset_page_says_what_happened(client):
    text = client.get("/datasets/y-te/nguoi-hanh-nghe").content.decode()
    for part in ("Có hàng bị giữ lại", "sai mẫu", "2 lần", "giá trị hỏng", "không công bố", "SELECT ma, ten FROM y_te.nguoi_hanh_nghe"):
        assert part in text
    assert "Không đạt: 3 vi phạm" in client.get("/datasets/tu-phap/tong-hop").content.decode()
    assert "Quá hạn" in client.get("/datasets/tu-phap/an-phi").content.decode()
    assert "Chưa có dữ liệu" in client.get("/datasets/tu-phap/chua-giao").content.decode()


def test_lineage_is_shown_both_ways(client):
    assert 'href="/datasets/y-te/nha-thuoc"' in client.get("/datasets/tu-phap/tong-hop").content.decode()
    assert 'href="/datasets/tu-phap/tong-hop"' in client.get("/datasets/y-te/nha-thuoc").content.decode()


def test_facets_count_and_narrow(client):
    text = client.get("/search?access=shared").content.decode()
    assert "1 bộ dữ liệu" in text and "Án phí" in text and "Luật sư" not in text
    assert "Đợt giao bị từ chối" not in text
    assert "Chưa có dữ liệu" in client.get("/search?quality=no-data").content.decode()


def test_nonsense_finds_nothing_and_says_so(client):
    assert "Không tìm thấy" in client.get("/search?q=xyzzyqwk").content.decode()


@pytest.mark.parametrize(
    "query", ["page=0", "page=9999999999", "page=x", "page=²", "access=%3Cscript%3E", "sort=x", "q=%00", "quality=zzz"]
)
def test_a_strange_address_is_no_error(client, query):
    response = client.get(f"/search?{query}")
    assert response.status_code == 200
    assert "<script" not in response.content.decode()


@pytest.mark.parametrize("address", ["/nothing", "/datasets/a/b", "/agencies/X", "/domains/x", "/datasets/a/b/download.csv"])
def test_what_is_not_there_is_404(client, address):
    response = client.get(address)
    assert response.status_code == 404 and "Không tìm thấy" in response.content.decode()


def test_health(client):
    assert client.get("/healthz").json()["datasets"] == len(CONTRACTS)


def test_every_word_of_a_template_is_known():
    for file in TEMPLATES.glob("*.html"):
        for key in re.findall(r"""{% t ["']([a-z_.0-9]+[a-z_0-9])["']""", file.read_text(encoding="utf-8")):
            assert key in WORDS, (file.name, key)


def test_every_word_is_in_both_languages_with_the_same_gaps():
    for key, (vi, en) in WORDS.items():
        assert vi and en, key
        assert set(re.findall(r"{(\w+)}", vi)) == set(re.findall(r"{(\w+)}", en)), key
