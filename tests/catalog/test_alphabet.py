"""Names in the order in which a Vietnamese reader looks for them."""

import random
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from catalog.alphabet import alphabetically

IN_ORDER = [
    "An toàn thực phẩm", "Ăn uống", "Âm nhạc", "Bảo hiểm xã hội", "Báo chí, truyền thông", "Bưu chính", "Cấp nước", "Chăn nuôi", "Dân cư",
    "Đất đai", "Đối ngoại", "Đường thủy", "Giáo dục",  "Nhà ở", "Ô tô", "Ở trọ", "Tư pháp", "Ứng dụng", "Xổ số",
]  # fmt: skip


def test_letters_come_before_tones_and_words_before_what_follows() -> None:
    assert sorted(random.Random(1).sample(IN_ORDER, k=len(IN_ORDER)), key=alphabetically) == IN_ORDER
    assert sorted(["Má", "Mạ", "Ma", "Mã", "Mà", "Mả"], key=alphabetically) == ["Ma", "Mà", "Mả", "Mã", "Má", "Mạ"]
    assert sorted(["Mà thôi", "Ma túy", "Ma"], key=alphabetically) == ["Ma", "Ma túy", "Mà thôi"]


@given(st.text(max_size=30))
def test_any_text_has_a_place_and_composition_does_not_change_it(text: str) -> None:
    assert alphabetically(unicodedata.normalize("NFD", text)) == alphabetically(unicodedata.normalize("NFC", text))
    assert sorted([text, "Đ", "a"], key=alphabetically)
