"""What people come to do, done as they do it."""

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import urllib.request
from pathlib import Path

import openpyxl
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from pipelines.contract import load_register
from pipelines.settings import Settings
from pipelines.store import Store
from tests.e2e.conftest import Kho, answer, copy_register, free_port, until

MARKETS, RESTRICTED = "thuong-mai/cho", "ho-tich/khai-sinh"
HEADER = "ma_cho,ten_cho,hang,ma_xa,dia_chi,dien_tich_m2,so_ho_kinh_doanh,don_vi_quan_ly,cho_dau_moi,dat_pccc\n"


def text_of(kho: Kho, path: str) -> str:
    with urllib.request.urlopen(f"{kho.url}{path}", timeout=10) as response:
        return str(response.read().decode())


def download(page: Page, form: str) -> bytes:
    with page.expect_download() as arriving:
        page.locator(f"a[href$='download.{form}']").click()
    return Path(arriving.value.path()).read_bytes()


def test_find_by_an_unaccented_word_read_download_and_open(page: Page) -> None:
    page.goto("/")
    page.get_by_role("searchbox").first.fill("danh sach cho")
    page.get_by_role("button", name="Tìm kiếm").first.click()
    page.locator(".card h3 a").first.click()
    expect(page.locator("h1")).to_have_text("Danh sách chợ")
    expect(page.get_by_text("DỮ LIỆU GIẢ LẬP (SYNTHETIC)")).to_be_visible()
    dictionary = page.locator("#dictionary")
    for words in ("Mã chợ", "Market code", "Hạng chợ", "bắt buộc", "Hạng 1"):
        expect(dictionary).to_contain_text(words)

    book = openpyxl.load_workbook(io.BytesIO(download(page, "xlsx")), read_only=True)
    rows = list(book.worksheets[0].iter_rows(values_only=True))
    assert len(rows) == 1 + 120 and rows[0][0] == "ma_cho"
    codes = [row[rows[0].index("ma_xa")] for row in rows[1:]]
    assert all(isinstance(code, str) and len(code) == 5 for code in codes), "codes stay text"
    assert any("SYNTHETIC" in str(cell.value) for sheet in book.worksheets[1:] for line in sheet.iter_rows() for cell in line)

    content = download(page, "csv")
    assert content.startswith(b"\xef\xbb\xbf"), "without the mark, Excel breaks Vietnamese"
    lines = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
    assert len(lines) == 120 and lines[0]["ten_cho"].startswith("Chợ ")
    assert len(json.loads(download(page, "json"))) == 120
    assert download(page, "parquet")[:4] == b"PAR1"


def test_dates_are_dates_in_excel(page: Page) -> None:
    page.goto("/datasets/giao-duc/truong-hoc")
    book = openpyxl.load_workbook(io.BytesIO(download(page, "xlsx")), read_only=True)
    header, first, *_ = book.worksheets[0].iter_rows(values_only=True)
    row = dict(zip(header, first, strict=True))
    assert isinstance(row["so_phong_hoc"], int | float) and isinstance(row["kinh_do"], float) and isinstance(row["ma_truong"], str)


def test_a_broken_file_is_refused_with_reasons_and_the_last_release_stays(kho: Kho, page: Page) -> None:
    before = text_of(kho, f"/datasets/{MARKETS}/download.csv")
    kho.drop(MARKETS, "cho-thang-7.csv", (HEADER + "C1,Chợ A,Hạng 9,99999,,,abc,UBND xã,có,\n" * 3).encode())
    until(lambda: "cho-thang-7.csv" in text_of(kho, f"/datasets/{MARKETS}"), 60, "the sensor takes the file in and the page tells it")
    page.goto(f"/datasets/{MARKETS}")
    line = page.locator("#ledger tr", has_text="cho-thang-7.csv").first
    expect(line).to_contain_text("Bị từ chối")
    for reason in ("Giá trị không có trong danh mục", "Không phải số nguyên", "quá ngưỡng"):
        expect(line).to_contain_text(reason)
    assert text_of(kho, f"/datasets/{MARKETS}/download.csv") == before
    assert not list((kho.home / "drop" / MARKETS).glob("*.csv")), "what was judged leaves the drop folder"
    assert list((kho.home / "archive").rglob("*.csv")), "and is kept as it came"


def test_a_few_bad_rows_are_held_back_and_the_rest_is_released(kho: Kho, page: Page) -> None:
    good = "".join(f"C{i},Chợ {i},Hạng 3,27694,Ấp 1,500,20,UBND xã,không,có\n" for i in range(40))
    kho.drop(MARKETS, "cho-thang-8.csv", (HEADER + good + "C99,,Hạng 3,27694,,500,20,UBND xã,không,\n").encode())
    until(lambda: "cho-thang-8.csv" in text_of(kho, f"/datasets/{MARKETS}"), 60, "the second file is taken in")
    page.goto(f"/datasets/{MARKETS}")
    line = page.locator("#ledger tr", has_text="cho-thang-8.csv").first
    expect(line).to_contain_text("Bắt buộc nhưng để trống")
    held = page.locator("#ledger table").nth(1).locator("tbody tr").first
    assert [cell.strip() for cell in held.locator("td").all_inner_texts()][:2] == ["42", "ten_cho"], (
        "row number as the sender counts, column"
    )
    assert len(text_of(kho, f"/datasets/{MARKETS}/download.csv").strip().splitlines()) == 1 + 40
    expect(page.get_by_text("DỮ LIỆU GIẢ LẬP (SYNTHETIC)")).to_have_count(0)


def test_one_contract_file_makes_page_search_hit_asset_and_table(kho: Kho, page: Page) -> None:
    assert "cua-hang-xang-dau" not in text_of(kho, "/search?q=xang+dau")
    source = Path(__file__).parents[2] / "datasets/thuong-mai/cua-hang-xang-dau.odcs.yaml"
    (kho.register / "thuong-mai" / source.name).write_bytes(source.read_bytes())
    until(lambda: "cua-hang-xang-dau" in text_of(kho, "/search?q=xang+dau"), 20, "the catalogue finds the new dataset")
    page.goto("/datasets/thuong-mai/cua-hang-xang-dau")
    expect(page.locator("h1")).to_have_text("Cửa hàng bán lẻ xăng dầu")
    query = {"query": '{ assetNodeOrError(assetKey: {path: ["thuong_mai", "cua_hang_xang_dau"]}) { __typename } }'}

    def asset() -> bool:
        request = urllib.request.Request(f"{kho.dagster}/graphql", json.dumps(query).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return bool(json.load(response)["data"]["assetNodeOrError"]["__typename"] == "AssetNode")

    until(asset, 60, "Dagster shows the new asset")
    assert kho.kho("samples", "thuong-mai/cua-hang-xang-dau").returncode == 0
    until(lambda: "cua-hang-xang-dau.synthetic" in text_of(kho, "/datasets/thuong-mai/cua-hang-xang-dau"), 60, "its delivery is taken in")
    counted = kho.kho("sql", "--json", "SELECT count(*) AS n FROM thuong_mai.cua_hang_xang_dau")
    assert json.loads(counted.stdout)[0]["n"] == 330
    assert json.loads(text_of(kho, "/api/v1/datasets/thuong-mai/cua-hang-xang-dau/rows?limit=1"))["total"] == 330


def test_a_restricted_dataset_is_closed_at_every_door_and_says_whom_to_ask(kho: Kho, page: Page) -> None:
    page.goto(f"/datasets/{RESTRICTED}")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("Không xem được dữ liệu")
    expect(preview).to_contain_text("Sở Tư pháp")
    expect(page.locator("a[href*='/download.']")).to_have_count(0)
    for form in ("csv", "xlsx", "json", "parquet"):
        answer = page.request.get(f"/datasets/{RESTRICTED}/download.{form}")
        assert answer.status == 403 and "Sở Tư pháp" in answer.text()
    rows = page.request.get(f"/api/v1/datasets/{RESTRICTED}/rows")
    assert rows.status == 403 and rows.headers["content-type"].startswith("application/problem+json")
    with Store(Settings(kho.register, kho.home)).reader() as store:
        [(name,)] = store.execute("SELECT ho_ten FROM ho_tich.khai_sinh LIMIT 1").fetchall()
    assert name not in page.content()


PAGES = ["/", "/search?q=ho", "/datasets/thuong-mai/cho", "/datasets/ho-tich/khai-sinh", "/datasets/ho-tich/khai-sinh/rejects", "/domains", "/agencies", "/agencies/STP", "/domains/ho-tich",
         "/about", "/khong-co", "/search?q=zzzzqqq"]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_page_fits_a_phone(browser: Browser, kho: Kho, path: str) -> None:
    context = browser.new_context(base_url=kho.url, viewport={"width": 390, "height": 844})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: errors.append(request.url) if not request.url.startswith((kho.url, "data:")) else None)
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not errors, "nothing fails, nothing is fetched from elsewhere"
    context.close()


def test_the_english_switch_stays_switched(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/datasets/thuong-mai/cho")
    page.get_by_role("link", name="English").or_(page.get_by_role("button", name="English")).first.click()
    expect(page.locator("h1")).to_have_text("Traditional markets")
    page.goto("/search?q=markets")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator(".card h3 a").first).to_have_text("Traditional markets")


def test_a_run_killed_half_way_completes_on_the_next_and_takes_nothing_twice(tmp_path: Path) -> None:
    register = tmp_path / "datasets"
    domains = ("cap-huyen", "thong-ke", "thuong-mai")
    whole = load_register(Path(__file__).parents[2] / "datasets")
    chosen = [c for c in whole.contracts if c.startswith(domains)]
    copy_register(register, chosen)
    kho = Kho(tmp_path / "var", register, "", "")
    assert kho.kho("samples").returncode == 0
    store = Store(Settings(register, kho.home))
    run = subprocess.Popen(
        kho.command("run"), env=kho.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    until(lambda: store.snapshot() > 6, 60, "a few datasets are in")
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    with store.reader() as connection:
        half = connection.execute("SELECT count(*) FROM kho.ledger").fetchone()
    assert half and 0 < half[0] < len(chosen), "the run was not killed half-way; the test shows nothing"
    assert kho.kho("run").returncode in (0, 1)
    states = sqlite3.connect(kho.home / "dagster/runs.db").execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()
    assert dict(states) == {"FAILURE": 1, "SUCCESS": 1}, "Dagster, too, knows that the first run is over"
    with store.reader() as connection:
        ledger = connection.execute(
            # Killed between the commit and the clearing of the drop folder, the next run finds the file taken in and says so: no release.
            """
            SELECT dataset, count(*), count(DISTINCT sha256), max(release), any_value(rows_total)
            FROM kho.ledger WHERE outcome <> 'duplicate' GROUP BY dataset
            """
        ).fetchall()
        assert {row[0] for row in ledger} == set(chosen)
        for dataset, deliveries, distinct, release, rows in ledger:
            assert (deliveries, distinct, release) == (1, 1, 1), f"{dataset} was taken in twice"
            counted = connection.execute(f"SELECT count(*) FROM {whole.contracts[dataset].sql_name}").fetchone()
            assert counted == (rows,), dataset


def test_killing_kho_up_leaves_nothing_running(tmp_path: Path) -> None:
    copy_register(tmp_path / "datasets", ["to-chuc-can-bo/don-vi-hanh-chinh"])
    port, dagster_port = free_port(), free_port()
    kho = Kho(tmp_path / "var", tmp_path / "datasets", f"http://127.0.0.1:{port}", f"http://127.0.0.1:{dagster_port}")
    words = ("up", "--port", str(port), "--dagster-port", str(dagster_port))
    up = subprocess.Popen(kho.command(*words), env=kho.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: answer(f"{kho.url}/healthz") and answer(f"{kho.dagster}/server_info"), 90, "`kho up` is up")
    second = kho.kho(*words)
    assert second.returncode == 2 and "in use" in second.stderr
    elsewhere = kho.kho("up", "--port", str(free_port()), "--dagster-port", str(free_port()))
    assert elsewhere.returncode == 2 and "runs already" in elsewhere.stderr
    up.kill()
    up.wait(30)
    until(lambda: not answer(f"{kho.url}/healthz") and not answer(kho.dagster), 30, "everything is down")
    assert kho.kho("run").returncode == 0
