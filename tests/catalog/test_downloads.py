"""Files: right, complete, named, and harmless in a spreadsheet."""

import csv
import io
import json

import duckdb
import openpyxl
import pyarrow.parquet as pq
import pytest

from tests.catalog.answers import content
from tests.catalog.published import PERSONAL_ROWS, PLAIN_ROWS

ADDRESS = "/datasets/y-te/nha-thuoc/download."


def rows_of(response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content(response).decode("utf-8-sig"))))


def test_csv_has_a_byte_order_mark_and_every_row(client):
    response = client.get(ADDRESS + "csv")
    raw = content(response)
    assert raw.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))
    assert rows[0] == ["ma", "ten", "so_luong", "dien_tich", "ngay"]
    assert len(rows) == len(PLAIN_ROWS) + 1


def test_formulas_are_disarmed_and_numbers_and_phones_are_not(client):
    names = [row[1] for row in rows_of(client.get(ADDRESS + "csv"))[1:]]
    assert names == ["'=1+1", "-5", '\'@cmd, "x"', "+84 272 382"]


def test_a_spreadsheet_holds_text_and_not_formulas(client):
    book = openpyxl.load_workbook(io.BytesIO(content(client.get(ADDRESS + "xlsx"))))
    sheet = book.worksheets[0]
    assert sheet.max_row == len(PLAIN_ROWS) + 1
    assert sheet["B2"].value == "=1+1" and sheet["B2"].data_type == "s"
    assert sheet["C2"].value == 3
    assert "SYNTHETIC" in str([c.value for row in book.worksheets[2].iter_rows() for c in row])


def test_json_and_parquet_hold_the_same_rows(client):
    objects = json.loads(content(client.get(ADDRESS + "json")))
    table = pq.read_table(io.BytesIO(content(client.get(ADDRESS + "parquet"))))
    assert [o["ma"] for o in objects] == table.column("ma").to_pylist() == ["A1", "A2", "A3", "A4"]
    assert objects[0] == {"ma": "A1", "ten": "=1+1", "so_luong": 3, "dien_tich": 1.5, "ngay": "2023-01-31"}


@pytest.mark.parametrize("form", ["csv", "xlsx", "json", "parquet"])
def test_the_name_says_release_and_synthetic(client, form):
    assert f"y-te_nha-thuoc_v1_synthetic.{form}" in client.get(ADDRESS + form)["Content-Disposition"]
    assert "synthetic" not in client.get(f"/datasets/tu-phap/luat-su/download.{form}")["Content-Disposition"]


def test_personal_columns_are_left_out(client):
    rows = rows_of(client.get("/datasets/y-te/nguoi-hanh-nghe/download.csv"))
    assert rows[0] == ["ma", "ten"] and len(rows) == len(PERSONAL_ROWS) + 1


def test_a_dataset_without_data_has_no_file(client):
    assert client.get("/datasets/tu-phap/chua-giao/download.csv").status_code == 404


def test_too_many_rows_for_a_worksheet_are_refused_with_advice(client, monkeypatch):
    monkeypatch.setattr("catalog.doors.downloads.XLSX_MAX_ROWS", 3)
    response = client.get(ADDRESS + "xlsx")
    assert response.status_code == 422 and "Parquet" in response.content.decode()


def test_parquet_is_readable_by_duckdb(client, tmp_path):
    file = tmp_path / "x.parquet"
    file.write_bytes(content(client.get(ADDRESS + "parquet")))
    assert duckdb.sql(f"SELECT sum(so_luong) FROM '{file}'").fetchall() == [(21,)]
