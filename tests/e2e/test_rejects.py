"""A clerk's round trip: an ugly file, its fix sheet, the sheet mended and sent back, every row in the store."""

import io
import json
from pathlib import Path
from typing import Any

import openpyxl
from playwright.sync_api import Page, expect

from tests.e2e.conftest import Kho, until

MARKETS = "thuong-mai/cho"
PATIENCE = 120
"""Seconds in which a running warehouse has taken a file in, on a busy machine."""
HEADER = "ma_cho,ten_cho,hang,ma_xa,dia_chi,dien_tich_m2,so_ho_kinh_doanh,don_vi_quan_ly,cho_dau_moi,dat_pccc\n"
BAD = {
    "0{n}1": (",Hạng 3,27694,,500,20,UBND xã,không,có", {"ten_cho": "Chợ Mới"}),
    "0{n}2": ("Chợ Hai,Hạng ba,27694,,500,20,UBND xã,không,có", {"hang": "Hạng 3"}),
    "0{n}3": ("Chợ Ba,Hạng 3,27694,,năm trăm,20,UBND xã,không,có", {"dien_tich_m2": "500"}),
}
"""Code → what is wrong, and what a clerk would write."""


def ugly(batch: int) -> bytes:
    good = "".join(f"{batch}{n:03},Chợ {n},Hạng 3,27694,=1+1,500,20,UBND xã,không,có\n" for n in range(40))
    bad = "".join(f"{code.format(n=batch)},{rest}\n" for code, (rest, _) in BAD.items())
    return (HEADER + good + bad).encode()


def mended(content: bytes, batch: int) -> bytes:
    """What the clerk does in Excel: look for the row, type the value, save."""
    book = openpyxl.load_workbook(io.BytesIO(content))
    sheet = book.worksheets[0]
    at = {cell.value: cell.column for cell in sheet[1]}
    repairs = {code.format(n=batch): values for code, (_, values) in BAD.items()}
    rows = [r for r in range(3, sheet.max_row + 1) if sheet.cell(r, at["ma_cho"]).value in repairs]
    assert len(rows) == len(repairs), "codes kept their zeros"
    for row in rows:
        for name, value in repairs[sheet.cell(row, at["ma_cho"]).value].items():
            assert sheet.cell(row, at[name]).comment, "the wrong cell says why"
            sheet.cell(row, at[name]).value = value
    book.save(saved := io.BytesIO())
    return saved.getvalue()


def ask(kho: Kho, query: str) -> list[dict[str, Any]]:
    return list(json.loads(kho.kho("sql", "--json", query).stdout))


def test_in_a_browser(kho: Kho, page: Page) -> None:
    kho.drop(MARKETS, "cho-thang-9.csv", ugly(1))
    until(lambda: page.goto(f"/datasets/{MARKETS}/rejects") and "cho-thang-9.csv" in page.content(), PATIENCE, "the page tells it")
    page.goto(f"/datasets/{MARKETS}")
    page.get_by_role("link", name="Xem hàng bị giữ lại").click()
    expect(page.locator("main")).to_contain_text("3 hàng đang chờ sửa, trong 43 hàng đã giao")
    for words in ("Bắt buộc nhưng để trống", "Required, but empty", "không có trong danh mục", "năm trăm"):
        expect(page.locator("main")).to_contain_text(words)
    with page.expect_download() as arriving:
        page.get_by_role("link", name="Tải tệp sửa lỗi").click()
    sheet = Path(arriving.value.path()).read_bytes()
    kho.drop(MARKETS, "sua-loi.xlsx", mended(sheet, 1))
    until(
        lambda: page.goto(f"/datasets/{MARKETS}/rejects") and "Không có hàng nào đang chờ sửa" in page.content(), PATIENCE, "nothing waits"
    )
    page.goto(f"/datasets/{MARKETS}")
    expect(page.locator("#ledger tr", has_text="sua-loi.xlsx").first).to_contain_text("Đạt")
    assert ask(kho, "SELECT count(*) AS n, count(*) FILTER (ma_cho LIKE '01_') AS mended FROM thuong_mai.cho") == [{"n": 43, "mended": 3}]


def test_by_command(kho: Kho, tmp_path: Path) -> None:
    kho.drop(MARKETS, "cho-thang-10.csv", ugly(2))
    until(lambda: "cho-thang-10.csv" in kho.kho("rejects", MARKETS).stdout, PATIENCE, "the file is taken in")
    sheet, listed = tmp_path / "sua.xlsx", tmp_path / "loi.csv"
    written = kho.kho("rejects", MARKETS, "--xlsx", str(sheet), "--csv", str(listed))
    assert written.returncode == 0 and "3 of 3 rows" in written.stderr, written.stderr
    assert len(listed.read_text(encoding="utf-8-sig").splitlines()) >= 4
    sheet.write_bytes(mended(sheet.read_bytes(), 2))
    assert kho.kho("rejects", MARKETS, "--submit", str(sheet)).returncode == 0
    until(lambda: ask(kho, "SELECT count(*) AS n FROM thuong_mai.cho") == [{"n": 43}], PATIENCE, "every row is in")
    assert "No rows" in kho.kho("rejects", MARKETS).stderr
    # What the store gives out opens as text, not as a formula, and comes back as it was.
    given = kho.kho("sql", "--csv", "SELECT DISTINCT dia_chi FROM thuong_mai.cho WHERE dia_chi IS NOT NULL").stdout
    assert given == '"dia_chi"\n"\'=1+1"\n'
