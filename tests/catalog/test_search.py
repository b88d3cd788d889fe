"""Searches that people make, over the register that the project ships."""

import pytest

from catalog.publish import index_of
from pipelines.contract import load_register
from pipelines.settings import settings


@pytest.fixture(scope="module")
def index():
    return index_of(load_register(settings().register))


FIRST = [
    ("bo du lieu", {"kho-dung-chung/danh-muc-bo-du-lieu"}),
    ("Bộ dữ liệu", {"kho-dung-chung/danh-muc-bo-du-lieu"}),
    ("duong bo", {"ha-tang-giao-thong/mang-luoi-duong-bo", "ha-tang-giao-thong/cau-duong-bo"}),
    ("hoà giải", {"pho-bien-phap-luat/to-hoa-giai-co-so"}),
    ("hòa giải", {"pho-bien-phap-luat/to-hoa-giai-co-so"}),
    ("public services", {"mot-cua/dich-vu-cong-truc-tuyen"}),
    ("xe buyt", {"van-tai/mang-luoi-xe-buyt"}),
    ("xe buyr", {"van-tai/mang-luoi-xe-buyt"}),
    ("mang luoi duong vo", {"ha-tang-giao-thong/mang-luoi-duong-bo"}),
    ("mot-cua/ho-so", {"mot-cua/ho-so"}),
    ("mot_cua.ho_so", {"mot-cua/ho-so"}),
    ("HTX", {"dang-ky-kinh-doanh/hop-tac-xa"}),
    ("khai sinh", {"ho-tich/khai-sinh"}),
    ("giấy phép xây dựng", {"xay-dung/giay-phep-xay-dung"}),
    ("giay phep xay dunh", {"xay-dung/giay-phep-xay-dung"}),
]


@pytest.mark.parametrize(("text", "wanted"), FIRST)
def test_right_dataset_comes_first(index, text, wanted):
    assert index.search(text)[0] in wanted


@pytest.mark.parametrize(
    ("text", "domain"),
    [("dang ky kinh doanh", "dang-ky-kinh-doanh"), ("dang ky kinh doan", "dang-ky-kinh-doanh"), ("1022", "tong-dai-1022")],
)
def test_right_domain_comes_first(index, text, domain):
    assert index.search(text)[0].startswith(f"{domain}/")


@pytest.mark.parametrize("text", ["xyzzyqwk", "", "   ", "?!", "asdkjh qwe", "a" * 5000, "\x00", '(*) :^"'])
def test_nonsense_finds_nothing(index, text):
    assert index.search(text) == []


def test_every_dataset_is_found_first_by_its_id_and_title(index):
    register = load_register(settings().register)
    for contract in register.contracts.values():
        assert index.search(contract.id)[0] == contract.id
        found = index.scores(contract.title)
        best = max(found.values())
        assert contract.id in [id for id, score in found.items() if score > best * 0.6], contract.title
