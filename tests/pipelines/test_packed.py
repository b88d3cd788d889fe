"""ZIP and gzip deliveries: all their files are one delivery; what is locked, nested or a bomb is refused."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from pipelines.gate.readers import Unreadable
from tests.pipelines.readers import contract, open_file
from tests.warehouse import TEAMS, Warehouse

HEADER = "ma_to,loai,ten,tu_ngay,so_nguoi,ty_le\n"
TEAM = TEAMS["id"]
TEAM_FILE = "ma_to,loai,tu_ngay,den_ngay,so_nguoi,ty_le\nA1,Xã,2023-01-01,2023-02-01,5,12.5\n"


def packed(files: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def workbook(rows: list[list[str]]) -> bytes:
    import xlsxwriter

    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as book:
        sheet = book.add_worksheet()
        for index, row in enumerate(rows):
            sheet.write_row(index, 0, row)
    return out.getvalue()


def test_files_of_a_zip_are_one_delivery_each_once(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "Tháng 1/bao-cao.csv": "Báo cáo tháng 1\n" + HEADER + "A,Xã,,,,\nB,Xã,,,,\n",
        "bao-cao (1).csv": "Báo cáo tháng 1\n" + HEADER + "A,Xã,,,,\nB,Xã,,,,\n",
        "../../etc/thang-hai.csv": HEADER.replace(",", ";") + "C;Xã;;;;\n",
        "huyen.json": '[{"ma_to": "D", "loai": "Xã"}]',
        "bang.xlsx": workbook([["Mã tổ", "Loại"], ["E", "Xã"]]),
        "bang2.xlsx": workbook([["Mã tổ", "Loại"], ["F", "Xã"]]),
        "đọc trước.pdf": "…",
        "__MACOSX/._bao-cao.csv": "x",
    }
    opened = open_file(tmp_path, "gui.zip", packed(files), contract(tmp_path))
    keys = [r.get("ma_to") or r.get("Mã tổ") for r in opened.rows]
    assert sorted(k or "" for k in keys) == ["A", "B", "C", "D", "E", "F"]
    assert len(set(opened.numbers)) == 6, "rows are numbered on from file to file"
    assert opened.decided("duplicate-file") == ["bao-cao (1).csv"]
    assert set(opened.decided("ignored-file")) == {"đọc trước.pdf", "._bao-cao.csv"}
    assert len(opened.decided("file")) == 5
    assert not list(tmp_path.glob("spill/reading-*/../../etc")) and not (tmp_path / "etc").exists()


def test_legacy_text_is_recognised_in_each_file_of_a_zip(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.csv": "ma_to,ten\nA,BÕn Løc\nB,§øc Hßa\nC,T©n Trô\n",
        "b.csv": "ma_to,ten\nD,Thủ Thừa\n",
    }
    opened = open_file(tmp_path, "a.zip", packed(files), contract(tmp_path))
    assert opened.column("ten") == ["Bến Lức", "Đức Hòa", "Tân Trụ", "Thủ Thừa"]
    assert opened.source.raw == {"ten": "ten (nguyên văn)"}


@pytest.mark.parametrize("name", ["a.csv.gz", "a.json.gz", "a.xml.gz", "a.tsv.gz"])
def test_gzip_of_any_form(tmp_path: Path, name: str) -> None:
    content = {
        "csv": HEADER + "A,Xã,,,,\n",
        "tsv": (HEADER + "A,Xã,,,,\n").replace(",", "\t"),
        "json": '[{"ma_to": "A"}]',
        "xml": "<r><to><ma_to>A</ma_to></to></r>",
    }[name.split(".")[1]]
    assert open_file(tmp_path, name, gzip.compress(content.encode()), contract(tmp_path)).column("ma_to") == ["A"]


def locked() -> bytes:
    content = bytearray(packed({"a.csv": HEADER}))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + at] |= 1
    return bytes(content)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.zip", locked(), "password"),
        ("a.zip", packed({"b.zip": packed({"a.csv": HEADER})}), "inside a packed file"),
        ("a.zip", packed({"a.tar": "x"}), "inside a packed file"),
        ("a.csv.gz.gz", b"\x1f\x8b", "inside a packed file"),
        ("a.zip", packed({"a.pdf": "x"}), "no data file"),
        ("a.zip", packed({}), "no data file"),
        ("a.zip", packed({"a.csv": ""}), "a.csv: The file is empty"),
        ("a.zip", packed({"a.csv": HEADER + "A,Xã,,,,\n"})[:-40], "damaged"),
        ("a.zip", b"PK\x03\x04nothing", "damaged"),
        ("a.csv.gz", gzip.compress((HEADER * 900).encode())[:-30], "damaged"),
        ("a.csv.gz", b"plain text", "damaged"),
        ("a.gz", gzip.compress(b"x"), "named|name it"),
        ("a.zip", packed({"a.csv": b"0" * 100_000_000}), "unpacks to far more"),
        ("a.csv.gz", gzip.compress(b"0" * 100_000_000), "unpacks to far more"),
        ("a.zip", packed({f"{i}.csv": "x" for i in range(1_001)}), "more than 1000 files"),
    ],
)
def test_what_cannot_or_must_not_be_unpacked_is_refused_with_the_reason(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    with pytest.raises(Unreadable, match=said):
        open_file(tmp_path, name, content, contract(tmp_path))
    assert not list((tmp_path / "spill").glob("reading-*")), "nothing is left behind"


def test_the_limit_of_unpacking_is_a_setting(tmp_path: Path) -> None:
    content = packed({"a.csv": HEADER + "A,Xã,,,,\n" * 1_000})
    with pytest.raises(Unreadable, match="limit"):
        open_file(tmp_path, "a.zip", content, contract(tmp_path), unpacked_limit=1_000)


def test_what_was_unpacked_goes_with_the_source(tmp_path: Path) -> None:
    opened = open_file(tmp_path, "a.zip", packed({"a.csv": HEADER + "A,Xã,,,,\n"}), contract(tmp_path))
    assert len(list((tmp_path / "spill").glob("reading-*"))) == 1
    del opened
    assert not list((tmp_path / "spill").glob("reading-*"))


def test_a_packed_delivery_goes_the_whole_way_and_is_archived_as_it_came(warehouse: Warehouse) -> None:
    content = gzip.compress(TEAM_FILE.encode())
    warehouse.drop(TEAM, "to.csv.gz", content)
    outcome = warehouse.take(TEAM)
    assert (outcome.verdict, outcome.rows_total) == ("accepted", 1)
    assert (warehouse.settings.archive / outcome.sha256[:2] / f"{outcome.sha256}.csv.gz").read_bytes() == content
    warehouse.drop(TEAM, "to (1).csv.gz", content)
    assert warehouse.take(TEAM).verdict == "duplicate"
    warehouse.drop(TEAM, "to.zip", packed({"a.csv": TEAM_FILE, "b.csv": TEAM_FILE.replace("A1", "B1")}))
    assert warehouse.take(TEAM).rows_total == 2
