"""The page of rows held back: everybody sees what is wrong, nobody sees what is not his, the owner gets and sends the sheet."""

import io
import re
from collections.abc import Iterator

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, override_settings

from catalog.live import Live
from pipelines.intake import Intake
from tests.catalog.answers import body
from tests.catalog.published import SECRET_ILLNESS, SECRET_NAME
from tests.warehouse import Warehouse

TEAM = "ho-tich/to-cong-tac"
PAGE = f"/datasets/{TEAM}/rejects"
PERSONAL = "/datasets/y-te/nguoi-hanh-nghe/rejects"
CLOSED = "/datasets/y-te/ho-so/rejects"
TOKENS = {"ma-cua-syt": "SYT", "ma-cua-stp": "STP"}


@pytest.fixture
def held(live: Live, warehouse: Warehouse) -> Iterator[Warehouse]:
    """A public dataset with two rows held, served."""
    warehouse.drop(TEAM, "thang-6.csv", "ma_to,loai,so_nguoi\nA,Xã,5\nB,<b>Xóm</b>,5\nC,Xã,năm\nD,Xã,1\n")
    warehouse.take(TEAM)
    with override_settings(KHO_LIVE=Live(warehouse.settings.register, warehouse.intake().store), KHO_DROP=warehouse.settings.drop,
                           KHO_AGENCY_OF_TOKEN=TOKENS.get):  # fmt: skip
        yield warehouse


def test_the_page_says_what_is_wrong_in_both_languages(held: Warehouse) -> None:
    page = body(Client().get(PAGE))
    for part in (
        "2 hàng đang chờ sửa, trong 4 hàng đã giao",
        "thang-6.csv",
        "không có trong danh mục",
        "not in the list",
        "Sai định dạng",
        "&lt;b&gt;Xóm&lt;/b&gt;",
    ):
        assert part in page, part
    assert "<meter" in page and "style=" not in page
    english = body(Client().get(f"{PAGE}?lang=en"))
    assert "2 rows wait to be mended, of 4 delivered" in english and "Wrong format" in english
    assert f'href="{PAGE}"' in body(Client().get(f"/datasets/{TEAM}"))


def test_the_sheet_of_public_data_is_for_everybody_and_goes_all_the_way(held: Warehouse) -> None:
    page = body(Client().get(PAGE))
    [address] = re.findall(rf'href="({PAGE}/fix-sheet\.xlsx\?delivery=[0-9a-f-]+)"', page)
    answer = Client().get(address)
    book = openpyxl.load_workbook(io.BytesIO(b"".join(answer.streaming_content)))
    assert [row[3].value for row in book.worksheets[0].iter_rows(min_row=3)] == ["B", "C"]
    book.worksheets[0]["E3"], book.worksheets[0]["H4"] = "Xã", "5"
    book.save(mended := io.BytesIO())
    sent = Client().post(f"{PAGE}/submit", {"token": "ma-cua-stp", "sheet": SimpleUploadedFile("sửa.xlsx", mended.getvalue())})
    assert sent.status_code == 302 and "Đã nhận tệp" in body(Client().get(sent["Location"]))
    assert [f.name for f in (held.settings.drop / TEAM).iterdir()] == ["sửa.xlsx"]
    intake: Intake = held.intake()
    [outcome] = intake.take(TEAM, "test")
    intake.store.close()
    assert (outcome.verdict, outcome.rows_total) == ("accepted", 4)


def test_a_sheet_is_taken_from_the_owner_alone(held: Warehouse) -> None:
    sheet = lambda name="a.xlsx": SimpleUploadedFile(name, b"PK")
    for token in ("", "sai", "ma-cua-syt"):
        assert Client().post(f"{PAGE}/submit", {"token": token, "sheet": sheet()}).status_code == 403
    assert Client().post(f"{PAGE}/submit", {"token": "ma-cua-stp"}).status_code == 400
    assert Client().post(f"{PAGE}/submit", {"token": "ma-cua-stp", "sheet": sheet("a.exe")}).status_code == 400
    assert Client().get(f"{PAGE}/submit").status_code == 405
    big = Client().post(f"{PAGE}/submit", b"", content_type="multipart/form-data; boundary=x", headers={"Content-Length": "99999999"})
    assert big.status_code == 413
    assert not (held.settings.drop / TEAM).exists() or not list((held.settings.drop / TEAM).iterdir())
    hidden = Client().post(f"{PAGE}/submit", {"token": "ma-cua-stp", "sheet": sheet("../../.ẩn\u202egnp.xlsx")})
    assert hidden.status_code == 302
    [file] = (held.settings.drop / TEAM).iterdir()
    assert file.name.endswith(".xlsx") and not file.name.startswith(".") and "\u202e" not in file.name
    with override_settings(KHO_AGENCY_OF_TOKEN=None):
        assert Client().post(f"{PAGE}/submit", {"token": "ma-cua-stp", "sheet": sheet()}).status_code == 403
        assert "<form" not in body(Client().get(PAGE))


@pytest.mark.parametrize("page", [PERSONAL, CLOSED])
def test_no_value_that_is_not_public_leaves_without_the_owners_token(client: Client, page: str) -> None:
    with override_settings(KHO_AGENCY_OF_TOKEN=TOKENS.get):
        shown = body(client.get(page))
        assert "hàng đang chờ sửa" in shown and SECRET_NAME not in shown and SECRET_ILLNESS not in shown
        sheet = f"{page}/fix-sheet.xlsx"
        for answer in (client.get(sheet), client.post(sheet, {"token": "ma-cua-stp"}), client.post(sheet, {"token": ""})):
            assert answer.status_code == 403 and SECRET_NAME not in body(answer)
        own = client.post(sheet, {"token": "ma-cua-syt"})
        assert own.status_code == 200 and SECRET_NAME in body(own)
    assert client.post(sheet, {"token": "ma-cua-syt"}).status_code == 403, "where no tokens are known nobody is let in"


def test_a_dataset_with_nothing_held_says_so(client: Client) -> None:
    assert "Không có hàng nào đang chờ sửa" in body(client.get("/datasets/y-te/nha-thuoc/rejects"))
    assert client.get("/datasets/y-te/nha-thuoc/rejects/fix-sheet.xlsx").status_code == 404
    assert client.get("/datasets/y-te/khong-co/rejects").status_code == 404
