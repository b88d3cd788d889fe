"""Text of the fonts before Unicode: recognised by its spelling, never where text is right already."""

import json
import unicodedata
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from benchmarks.polluted import cp1258, tcvn3, vni
from pipelines.gate.readers.legacy import evidence, unicode_of
from pipelines.gate.readers.syllables import is_syllable, words
from pipelines.settings import PROJECT
from tests.pipelines.readers import NAMES, contract, open_file

HEADER = "Mã tổ,Loại,Tên tổ,Từ ngày,Số người,Tỷ lệ\n"
ROWS = "A,Xã,Tổ dân phố Bến Lức,2023-01-01,5,1.5\nB,Phường,Tổ nhân dân tự quản,01/03/2023,7,2\nC,Thị trấn,Đức Hòa,,,\n"


@cache
def vocabulary() -> list[str]:
    """Every word beyond ASCII that the register is written with, abbreviations aside."""
    found = {
        word
        for file in (PROJECT / "datasets").glob("*/*.yaml")
        for word in words(unicodedata.normalize("NFC", file.read_text(encoding="utf-8")))
        if not word.isascii() and not word.isupper()
    }
    return sorted(word for word in found if is_syllable(word))


def test_the_words_of_the_register_are_syllables() -> None:
    assert len(vocabulary()) > 2_000
    assert not any(map(is_syllable, ["Señor", "über", "café", "kất", "ngề", "cế", "chắp9", "Hélène", "ắắ", "tồc"]))


@pytest.mark.parametrize(("charset", "encode"), [("tcvn3", tcvn3), ("vni", vni)])
def test_every_word_comes_back(charset: str, encode: object) -> None:
    lower = [w.lower() for w in vocabulary()]
    assert [unicode_of(encode(w), charset) for w in lower] == lower  # type: ignore[operator]


@given(st.lists(st.sampled_from(vocabulary()), min_size=1, max_size=30))
def test_proper_vietnamese_is_left_alone(chosen: list[str]) -> None:
    assert evidence(chosen).verdict(1) is None
    assert evidence([" ".join(chosen).upper()]).verdict(1) is None
    assert evidence([unicodedata.normalize("NFD", " ".join(chosen))]).verdict(1) is None


@given(st.lists(st.sampled_from(vocabulary()), min_size=12, max_size=40, unique_by=str.lower), st.sampled_from([tcvn3, vni]))
def test_a_column_of_legacy_words_is_recognised_as_what_it_is(chosen: list[str], encode: object) -> None:
    found = evidence([encode(w) for w in chosen])  # type: ignore[operator]
    assume(2 * found.before <= found.words)  # words that are spelt right in both alphabets decide nothing
    assert found.verdict(3) == encode.__name__  # type: ignore[attr-defined]


@given(st.lists(st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12), max_size=20))
def test_noise_is_never_taken_for_half_of_vietnamese(chosen: list[str]) -> None:
    """Whatever is converted, reads as Vietnamese afterwards."""
    found = evidence(chosen)
    charset = found.verdict(3)
    assert charset is None or found.after[charset] >= 0.7 * found.words


@pytest.mark.parametrize(
    "foreign",
    [
        "Señor Muñoz, niño, mañana, corazón, última, información",
        "über, Köln, straße, Müller, schön, größe, Gebühr",
        "Hélène, café, garçon, élève, forêt, Noël, où, déjà",
        "São Paulo, coração, informações, não, você, avô",
        "50 m², 20 °C, ±5 %, § 3, 10 µg, ½, «trích», 5×6",
    ],
)
def test_other_languages_and_signs_are_left_alone(foreign: str) -> None:
    assert evidence(foreign.split(", ")).verdict(3) is None
    assert evidence([foreign]).verdict(1) is None


def test_capitals_are_restored_from_the_letters_that_have_case() -> None:
    for meant in ("TOÀN TỈNH", "UỶ BAN NHÂN DÂN TỈNH", "Hà Nội", "Tổng cộng", "TP Hồ Chí Minh"):
        assert unicode_of(tcvn3(meant), "tcvn3") == meant


@pytest.mark.parametrize(("charset", "encode"), [("tcvn3", tcvn3), ("vni", vni)])
def test_columns_and_header_are_converted_and_the_text_as_delivered_is_kept(tmp_path: Path, charset: str, encode: object) -> None:
    page = encode(HEADER + ROWS)  # type: ignore[operator]
    for name, content in (("u.csv", page.encode()), ("b.csv", page.encode("latin-1")), ("w.csv", page.encode("utf-16"))):
        opened = open_file(tmp_path, name, content, contract(tmp_path))
        assert opened.source.header == HEADER.strip().split(","), name
        assert opened.column("Tên tổ") == ["Tổ dân phố Bến Lức", "Tổ nhân dân tự quản", "Đức Hòa"]
        assert opened.column("Loại") == ["Xã", "Phường", "Thị trấn"]
        assert set(opened.decided("legacy-text")) == {f"{encode(h)}: {charset}" for h in ("Loại", "Tên tổ")}  # type: ignore[operator]
        assert set(opened.source.raw) == {"Loại", "Tên tổ"}


def test_only_the_legacy_column_of_a_file_is_converted(tmp_path: Path) -> None:
    rows = [(f"K{i}", "Phường", tcvn3(name)) for i, name in enumerate(["Bến Lức", "Đức Hòa", "Tân Trụ", "Cần Giuộc"])]
    page = "ma_to,loai,ten\n" + "".join(",".join(row) + "\n" for row in rows) + "K9,Xã,Thủ Thừa\n"
    opened = open_file(tmp_path, "a.csv", page, contract(tmp_path))
    assert opened.column("ten") == ["Bến Lức", "Đức Hòa", "Tân Trụ", "Cần Giuộc", "Thủ Thừa"]
    assert opened.column("loai") == ["Phường"] * 4 + ["Xã"] and opened.source.raw.keys() == {"ten"}


def test_json_rows_are_converted_too(tmp_path: Path) -> None:
    rows = [{"ma_to": str(i), "ten": vni(name)} for i, name in enumerate(["Bến Lức", "Đức Hòa", "Tân Trụ"])]
    assert open_file(tmp_path, "a.json", json.dumps(rows), contract(tmp_path)).column("ten") == ["Bến Lức", "Đức Hòa", "Tân Trụ"]


def test_windows_1258_is_told_from_fonts(tmp_path: Path) -> None:
    opened = open_file(tmp_path, "a.csv", cp1258(HEADER + ROWS), contract(tmp_path))
    assert opened.decided("encoding") == ["cp1258"]
    assert [unicodedata.normalize("NFC", t or "") for t in opened.column("Tên tổ")][2] == "Đức Hòa" and not opened.source.raw


def test_a_pinned_alphabet_converts_what_the_sample_would_not_prove(tmp_path: Path) -> None:
    opened = open_file(tmp_path, "a.csv", "ma_to,ten\nA,N÷\nB,Nam\n", contract(tmp_path, encoding="tcvn3"))
    assert opened.column("ten") == ["Nữ", "Nam"] and opened.source.header == [*NAMES[:1], "ten"]


@given(name=st.text(alphabet="ạđô§Å¹\"'(); ", min_size=1, max_size=10))
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_header_is_carried(tmp_path: Path, name: str) -> None:
    opened = open_file(tmp_path, "a.json", json.dumps([{"ma_to": "A", name: "Xã"}, {"ma_to": "B"}]), contract(tmp_path))
    assert len(opened.source.header) == 2 and opened.column("ma_to") == ["A", "B"]
