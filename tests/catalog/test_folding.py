"""Vietnamese words in two strengths."""

import unicodedata

import pytest

from catalog.search.folding import both_ways, exact, folded


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hoà giải", ["hòa", "giải"]),
        ("thuý khoẻ", ["thúy", "khỏe"]),
        ("quý quỳ", ["quý", "quỳ"]),
        ("hoàn toàn", ["hoàn", "toàn"]),
        ("mot-cua/ho_so", ["mot", "cua", "ho", "so"]),
    ],
)
def test_tone_stands_where_current_spelling_puts_it(text, words):
    assert exact(text) == words
    assert exact(unicodedata.normalize("NFD", text)) == words


def test_folding_takes_accents_and_the_bar_of_d():
    assert folded("Đường bộ ĐƯỜNG") == ["duong", "bo", "duong"]


def test_abbreviations_are_known_both_ways():
    assert "ubnd" in both_ways("Ủy ban nhân dân tỉnh")
    assert "ubnd" in both_ways("Uỷ ban nhân dân tỉnh")
    assert {"thu", "tuc", "hanh", "chinh"} <= set(both_ways("Danh mục TTHC"))
    assert both_ways("dn") == []
