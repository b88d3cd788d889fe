"""Drafts from samples and inventories: what they recognise, what they refuse, and that the gate agrees with them."""

import csv
import io
import json
from pathlib import Path

import pytest
import xlsxwriter
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.contract import Register, load_register
from pipelines.contract.odcs import ContractReader
from pipelines.drafts import draft_from_sample, drafts_from_inventory, try_out, write_draft
from tests.register.test_register import schema_faults
from tests.warehouse import AGENCIES

REGISTER = Path(__file__).parents[2] / "datasets"

HOUSEHOLDS = """\
STT;Mã hộ;Họ và tên;Số CCCD;Ngày sinh;Mã xã;Xếp loại;Điện thoại;Thu nhập;Đã duyệt;Mã bưu chính;Số văn bản
1;007;Nguyễn Văn An;080190000123;01/02/1990;27694;Nghèo;0903123456;1200000;có;00850;12/QĐ-UBND
2;008;Trần Thị Bé;080185000124;15/12/1985;27694;Cận nghèo;0903123457;900000,5;không;00850;13/QĐ-UBND
3;009;Lê Văn Cần;080177000125;03/03/1977;27697;Nghèo;0903123458;1500000.5;có;00851;14/QĐ-UBND
4;010;Lê Văn Dần;080177000126;03/04/1977;27697;Nghèo;0903123459;1500000.5;có;00851;15/QĐ-UBND
5;011;Lê Văn Dần;080177000127;03/05/1977;27697;Cận nghèo;0903123450;1500000.5;có;;16/QĐ-UBND
6;012;Lê Văn Dần;080177000128;03/05/1977;27697;Nghèo;0903123450;1500000.5;có;;16/QĐ-UBND
7;013;Lê Văn Dần;080177000129;03/05/1977;27697;Nghèo;0903123450;1500000.5;có;;16/QĐ-UBND
8;014;Lê Văn Dần;080177000130;03/05/1977;27697;Cận nghèo;0903123450;1500000.5;có;;16/QĐ-UBND
""".replace("900000,5", "900000.5")


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """The real agencies, semantic types and code lists, and one dataset to collide with."""
    root = tmp_path / "datasets"
    for name in ("agencies.yaml", "semantic-types.yaml", "register.yaml", "to-chuc-can-bo/don-vi-hanh-chinh.odcs.yaml",
                 "to-chuc-can-bo/don-vi-hanh-chinh.data.csv", "thuong-mai/cho.odcs.yaml",
                 *(f"code-lists/{file.name}" for file in (REGISTER / "code-lists").iterdir())):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes((REGISTER / name).read_bytes())
    return load_register(root)


def columns_of(text: str) -> dict[str, dict]:
    properties = yaml.safe_load(text)["schema"][0]["properties"]
    return {p["name"]: p | {c["property"]: c["value"] for c in p["customProperties"]} for p in properties}


def test_a_sample_becomes_a_contract_that_the_gate_and_the_standard_accept(register: Register, tmp_path: Path) -> None:
    sample = tmp_path / "ho.csv"
    sample.write_text(HOUSEHOLDS, encoding="utf-8")
    draft = draft_from_sample(sample, register, "giam-ngheo/ho-kho-khan", "SLDTBXH", "Hộ khó khăn")
    columns = columns_of(draft.text)
    assert {n: c.get("semanticType") for n, c in columns.items() if "semanticType" in c} == {
        "ho_va_ten": "ho_ten", "so_cccd": "cccd", "ngay_sinh": "ngay_sinh", "ma_xa": "dvhc_xa", "dien_thoai": "dien_thoai",
        "so_van_ban": "so_van_ban", "ma_buu_chinh": "ma_buu_chinh",
    }  # fmt: skip
    assert {n: c["logicalType"] for n, c in columns.items()} == {
        "stt": "integer", "ma_ho": "string", "ho_va_ten": "string", "so_cccd": "string", "ngay_sinh": "date", "ma_xa": "string",
        "xep_loai": "string", "dien_thoai": "string", "thu_nhap": "number", "da_duyet": "boolean", "ma_buu_chinh": "string",
        "so_van_ban": "string",
    }, "leading zeros make a code; dd/mm/yyyy is a date"  # fmt: skip
    assert [n for n, c in columns.items() if c.get("primaryKey")] == ["ma_ho"], "neither the row counter nor the citizen's number"
    assert columns["xep_loai"]["quality"][0]["arguments"]["validValues"] == ["Cận nghèo", "Nghèo"]
    assert {n for n, c in columns.items() if c["personalData"] == "basic"} == {"ho_va_ten", "so_cccd", "ngay_sinh", "dien_thoai"}
    assert any("so_cccd" in w and "personal" in w for w in draft.warnings)
    path = write_draft(draft, register)
    again = load_register(register.root)
    assert again.drafts == {"giam-ngheo/ho-kho-khan": []} and "giam-ngheo/ho-kho-khan" not in again.contracts
    assert not schema_faults(path)
    trial = try_out(path, sample, register)
    assert trial and (trial.rows_read, trial.rows_accepted) == (8, 8)
    path.write_text(path.read_text(encoding="utf-8").replace("status: draft", "status: active"), encoding="utf-8")
    assert "giam-ngheo/ho-kho-khan" in load_register(register.root).contracts


def test_semantic_types_are_known_by_content_under_any_name(register: Register, tmp_path: Path) -> None:
    sample = tmp_path / "x.json"
    sample.write_text(
        json.dumps([{"cot_a": f"08019000{i:04}", "cot_b": "27694", "cot_c": f"a{i}@b.vn", "ma_xa": "xã Bình Tâm"} for i in range(30)])
    )
    columns = columns_of(draft_from_sample(sample, register, "x/y").text)
    assert [c.get("semanticType") for c in columns.values()] == ["cccd", "dvhc_xa", "email", None], "a name alone proves nothing"


def test_what_exists_is_refused_and_what_looks_alike_is_told(register: Register, tmp_path: Path) -> None:
    sample = tmp_path / "cho.csv"
    sample.write_text("ma_cho,ten_cho,hang,ma_xa,dia_chi,dien_tich_m2,so_ho_kinh_doanh\nA,B,Hạng 1,27694,C,1,2\n", encoding="utf-8")
    assert "exists already" in (draft_from_sample(sample, register, "thuong-mai/cho").refusal or "")
    assert "no dataset id" in (draft_from_sample(sample, register, "Chợ").refusal or "")
    assert "no agency" in (draft_from_sample(sample, register, "a/b", "STB").refusal or "")
    [warning] = draft_from_sample(sample, register, "thuong-mai/diem-ban").warnings[-1:]
    assert "thuong-mai/cho" in warning and "same columns" in warning
    [warning] = draft_from_sample(sample, register, "a/b", title="Danh sach cho").warnings[-1:]
    assert "thuong-mai/cho" in warning
    first = draft_from_sample(sample, register)
    assert first.id == "chua-phan-loai/cho"
    write_draft(first, register)
    assert "exists already" in (draft_from_sample(sample, register).refusal or ""), "a draft is never overwritten"


@pytest.mark.parametrize(
    ("name", "content"), [("a.csv", b""), ("a.xlsx", b"no zip"), ("a.pdf", b"%PDF"), ("a.json", b"[1, 2"), ("a.xml", b"<a>")]
)
def test_a_sample_that_cannot_be_read_is_refused_with_the_reason(register: Register, tmp_path: Path, name: str, content: bytes) -> None:
    sample = tmp_path / name
    sample.write_bytes(content)
    assert str(sample) in (draft_from_sample(sample, register, "a/b").refusal or "")


def test_columns_without_a_key_get_a_pair_or_a_warning(register: Register, tmp_path: Path) -> None:
    sample = tmp_path / "x.csv"
    sample.write_text("ky,ma,so_luong\n202301,A,1\n202301,B,1\n202302,A,1\n202302,B,1\n")
    columns = columns_of(draft_from_sample(sample, register, "a/b").text)
    assert {n for n, c in columns.items() if c.get("primaryKey")} == {"ky", "ma"} and columns["ky"]["semanticType"] == "ky_thang"
    sample.write_text("ma,n\nA,1\nA,1\n")
    assert any("only a guess" in w for w in draft_from_sample(sample, register, "a/b").warnings)


VALUES = st.one_of(
    st.integers(-(10**12), 10**12).map(str), st.dates().map(lambda d: d.strftime("%d/%m/%Y")), st.sampled_from(["có", "không", "x", "007", "1e5"]),
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12),
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.lists(
        st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=10), min_size=1, max_size=4, unique=True
    ),
    rows=st.lists(st.lists(VALUES, min_size=4, max_size=4), min_size=1, max_size=8),
)
def test_any_sample_gives_a_sound_draft_or_a_reason(register: Register, tmp_path: Path, header: list[str], rows: list[list[str]]) -> None:
    sample = tmp_path / "bat-ky.csv"
    with sample.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *(row[: len(header)] for row in rows)])
    draft = draft_from_sample(sample, register, "a/b", "STP")
    assert bool(draft.text) != bool(draft.refusal)
    if draft.refusal:
        return
    path = register.root / "a/b.odcs.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(draft.text, encoding="utf-8")
    assert not ContractReader(path, register.root, register.binder, register.agencies).problems
    assert not schema_faults(path)


def workbook(path: Path, rows: list[list]) -> Path:
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for i, row in enumerate(rows):
            sheet.write_row(i, 0, row)
    return path


def test_an_inventory_workbook_becomes_drafts(register: Register, tmp_path: Path) -> None:
    file = workbook(
        tmp_path / "danh-muc.xlsx",
        [
            ["DANH MỤC CƠ SỞ DỮ LIỆU TỈNH LONG AN"],
            [],
            ["STT", "Tên CSDL", "Cơ quan chủ quản", "Lĩnh vực", "Phương thức chia sẻ", "Tần suất", "Mô tả"],
            ["(1)", "(2)", "(3)", "(4)", "(5)", "(6)", "(7)"],
            [1, "Cơ sở dữ liệu hộ tịch điện tử", "Sở Tư pháp", "Hộ tịch", "API", "Hằng ngày", "Khai sinh, khai tử"],
            [2, "Đê bao, bờ bao", "Sở Nông nghiệp và Phát triển nông thôn", "", "Excel", "Hàng năm", ""],
            [3, "Danh sách các chợ", "Sở Gì Đó", "Thương mại", "chưa chia sẻ", "", ""],
            [4, "Đê bao, bờ bao", "SNNPTNT", "", "Excel", "", ""],
            ["", "", "Người lập biểu"],
        ],
    )
    drafts = drafts_from_inventory(file, register)
    assert [d.id for d in drafts] == [
        "ho-tich/co-so-du-lieu-ho-tich-dien-tu", "snnptnt/de-bao-bo-bao", "thuong-mai/danh-sach-cac-cho", "snnptnt/de-bao-bo-bao",
    ]  # fmt: skip
    first = yaml.safe_load(drafts[0].text)
    facts = {p["property"]: p["value"] for p in first["customProperties"]}
    assert (facts["delivery"], facts["cycle"], first["team"]["name"]) == ("rest", "daily", "STP")
    assert first["description"]["purpose"] == "Khai sinh, khai tử"
    assert any("Sở Gì Đó" in w for w in drafts[2].warnings) and any("thuong-mai/cho" in w for w in drafts[2].warnings)
    assert "twice" in (drafts[3].refusal or "")
    for draft in drafts[:3]:
        assert not schema_faults(write_draft(draft, register))
    after = load_register(register.root)
    assert {d: len(p) for d, p in after.drafts.items()} == {
        "ho-tich/co-so-du-lieu-ho-tich-dien-tu": 0, "snnptnt/de-bao-bo-bao": 0, "thuong-mai/danh-sach-cac-cho": 1,
    }  # fmt: skip


def test_the_seed_register_itself_is_such_an_inventory(register: Register, tmp_path: Path) -> None:
    file = tmp_path / "register.csv"
    rows = io.StringIO()
    writer = csv.writer(rows)
    writer.writerow(["id", "title_vi", "agency_code", "update_cycle", "delivery"])
    writer.writerow(["y-te/benh-vien", "Bệnh viện", "SYT", "monthly", "csv"])
    file.write_text(rows.getvalue(), encoding="utf-8")
    [draft] = drafts_from_inventory(file, register)
    assert draft.id == "y-te/benh-vien" and yaml.safe_load(draft.text)["team"]["name"] == "SYT" in AGENCIES


def test_a_workbook_without_names_is_refused(register: Register, tmp_path: Path) -> None:
    [draft] = drafts_from_inventory(workbook(tmp_path / "x.xlsx", [["a", "b"], [1, 2]]), register)
    assert "no column holds the datasets' names" in (draft.refusal or "")


def test_a_broken_draft_stands_in_nobodys_way_and_is_still_explained(register: Register) -> None:
    (register.root / "a").mkdir()
    (register.root / "a/b.odcs.yaml").write_text("status: draft\nid: [\n", encoding="utf-8")
    after = load_register(register.root)
    assert set(after.contracts) == set(register.contracts)
    [problem] = after.drafts["a/b"]
    assert "not valid YAML" in problem.message
