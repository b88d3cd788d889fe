"""JSON, GeoJSON and XML, however their rows are wrapped."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.gate.readers import Unreadable
from tests.pipelines.readers import contract, open_file

ROW = {"ma_to": "007", "loai": "Xã", "so_nguoi": 4, "ty_le": 12345678.25}
POINT = {"type": "Point", "coordinates": [106.4, 10.5]}
FEATURE = {"type": "Feature", "properties": {"ma_to": "A", "ten": "Một"}, "geometry": POINT}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps([ROW, ROW]),
        json.dumps([ROW, ROW], indent=2),
        "\ufeff" + json.dumps([ROW, ROW]),
        json.dumps([ROW, ROW]).encode("utf-16"),
        json.dumps(ROW) + "\n" + json.dumps(ROW) + "\n",
        "\ufeff" + json.dumps(ROW) + "\r\n" + json.dumps(ROW),
        json.dumps({"data": [ROW, ROW]}),
        json.dumps({"success": True, "result": {"fields": [{"id": "ma_to"}], "records": [ROW, ROW], "total": 2}}, indent=1),
        json.dumps({"d": {"results": [ROW, ROW]}}),
    ],
)
def test_rows_are_found_in_any_wrapping(tmp_path: Path, content: str | bytes) -> None:
    for of in (contract(tmp_path), None):
        opened = open_file(tmp_path, "a.json", content, of)
        assert opened.rows == [{"ma_to": "007", "loai": "Xã", "so_nguoi": "4", "ty_le": "12345678.25"}] * 2


def test_one_object_is_one_row(tmp_path: Path) -> None:
    assert open_file(tmp_path, "a.json", json.dumps(ROW), contract(tmp_path)).column("ma_to") == ["007"]


def test_objects_inside_rows_are_flattened_one_level(tmp_path: Path) -> None:
    rows = [
        {"ma_to": "1", "noi_o": {"tinh": "80", "xa": {"ma": "1"}}, "thong_tin": {"loai": "Xã"}, "the": [1, 2]},
        {"ma_to": "2", "noi_o": None},
    ]
    [first, second] = open_file(tmp_path, "a.json", json.dumps(rows), contract(tmp_path)).rows
    assert first == {"ma_to": "1", "noi_o_tinh": "80", "noi_o_xa": '{"ma":"1"}', "loai": "Xã", "the": "[1,2]"}
    assert second == {"ma_to": "2", "noi_o_tinh": None, "noi_o_xa": None, "loai": None, "the": None}


def test_a_key_that_comes_late_is_a_column_all_the_same(tmp_path: Path) -> None:
    rows = [{"ma_to": str(i)} for i in range(5_000)] + [{"ma_to": "cuối", "ten": "x"}]
    assert open_file(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)), contract(tmp_path)).column("ten")[-1] == "x"


def test_keys_that_sql_cannot_tell_apart_or_name_are_kept_apart(tmp_path: Path) -> None:
    opened = open_file(tmp_path, "a.json", json.dumps([{"A": 1, "a": 2, "": 3, 'x"/~': 4}]), None)
    assert [*opened.rows[0].values()] == ["1", "2", "3", "4"]


def test_what_is_no_object_among_the_rows_is_told(tmp_path: Path) -> None:
    opened = open_file(tmp_path, "a.json", json.dumps([ROW, 5, "x", ROW]), contract(tmp_path))
    assert opened.faults == [None, "nested", "nested", None] and opened.numbers == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({"type": "FeatureCollection", "name": "x", "features": [FEATURE, FEATURE]}),
        json.dumps(FEATURE) + "\n" + json.dumps(FEATURE),
        "\n".join(json.dumps({"type": "FeatureCollection", "features": [FEATURE]}) for _ in range(2)),
        json.dumps([FEATURE, FEATURE]),
    ],
)
def test_features_are_rows(tmp_path: Path, content: str) -> None:
    for name in ("a.geojson", "a.json"):
        rows = open_file(tmp_path, name, content, contract(tmp_path)).rows
        assert [{**r, "geometry": json.loads(r["geometry"] or "")} for r in rows] == [{"ma_to": "A", "ten": "Một", "geometry": POINT}] * 2


def test_xml_inside_json_becomes_columns(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"ma_to": "1", "data": "<?xml version='1.0'?><hoSo><loai>Xã</loai><cha><ten>An</ten></cha></hoSo>"},
        {"ma_to": "2", "data": "<hoSo><loai>Phường</loai></hoSo>"},
        {"ma_to": "3", "data": None},
        {"ma_to": "4", "data": "hỏng"},
    ]
    opened = open_file(tmp_path, "a.json", json.dumps(rows), contract(tmp_path))
    assert opened.column("loai") == ["Xã", "Phường", None, None] and opened.column("ten") == ["An", None, None, None]
    assert opened.decided("xml-in-json") == ["data"]


@pytest.mark.parametrize(
    "content",
    [
        "<rows><row><ma_to>1</ma_to><loai>Xã</loai></row><row><ma_to>2</ma_to><loai/></row></rows>",
        "<r><thongTin><ky>1</ky></thongTin><ds><to ma_to='1' loai='Xã'/><to ma_to='2'/></ds></r>",
        "<n:r xmlns:n='urn:x' xmlns='urn:y'><n:to n:id='9'><ma_to>1</ma_to><loai>Xã</loai></n:to><!-- ghi chú --><n:to><ma_to>2</ma_to></n:to></n:r>",
        "<?xml version='1.0' encoding='UTF-16'?><a><b><c><ma_to>1</ma_to><loai>Xã</loai></c><c><ma_to>2</ma_to></c></b></a>".encode(
            "utf-16"
        ),
    ],
)
def test_xml_rows_are_the_elements_that_hold_the_fields(tmp_path: Path, content: str | bytes) -> None:
    opened = open_file(tmp_path, "a.xml", content, contract(tmp_path))
    assert [(r["ma_to"], r.get("loai")) for r in opened.rows] == [("1", "Xã"), ("2", None)]


def test_xml_without_a_contract_takes_what_repeats(tmp_path: Path) -> None:
    opened = open_file(tmp_path, "a.xml", "<r><t><v>1</v></t><ds><to><a>1</a></to><to><a>2</a></to></ds></r>")
    assert opened.column("a") == ["1", "2"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", "{{{"),
        ("a.json", "[1, 2]"),
        ("a.json", '"x"'),
        ("a.json", "[]"),
        ("a.json", '[{"a": 1}'),
        ("a.json", "[" * 100_000),
        ("a.json", '{"a":' * 100_000),
        ("a.json", '[{"a": "' + "[" * 300 + '", "b":' + "[" * 300),
        ("a.json", "[{" + ",".join(f'"k{i}": 1' for i in range(10_000)) + "}]"),
        ("a.geojson", '{"type": "FeatureCollection", "features": []}'),
        ("a.xml", "<a/>"),
        ("a.xml", "<a><b></a>"),
        ("a.xml", "<a>" * 100_000),
        ("a.xml", "không phải XML"),
        ("a.xml", '<!DOCTYPE a [<!ENTITY x "ha"><!ENTITY y "&x;&x;&x;">]><a><b><ma_to>&y;</ma_to></b></a>'),
        ("a.xml", '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b><ma_to>&x;</ma_to></b></a>'),
    ],
)
def test_what_holds_no_rows_or_means_harm_is_refused(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(Unreadable) as refused:
        open_file(tmp_path, name, content, contract(tmp_path))
    assert refused.value.vi and refused.value.en


def test_brackets_in_texts_are_no_nesting(tmp_path: Path) -> None:
    rows = [{"ma_to": str(i), "ten": "[" * 5} for i in range(100)]
    assert len(open_file(tmp_path, "a.json", json.dumps(rows), contract(tmp_path)).rows) == 100
