"""The contract's `servers` entry of a database: what it may say, and how its mistakes are explained."""

from typing import Any

import pytest

from pipelines.contract import InvalidRegister, load_register
from tests.warehouse import Warehouse, column, contract

ENTRY: dict[str, Any] = {"server": "mot-cua", "type": "postgres", "host": "csdl.invalid", "port": 5432, "database": "d", "schema": "public"}


def loaded(warehouse: Warehouse, entry: dict[str, Any], load_mode: str = "merge", **properties: Any) -> Any:
    document = contract("mot-cua/ho-so", [column("ma", required=True, primaryKey=True), column("ten")], loadMode=load_mode)
    document["servers"] = [entry | {"customProperties": [{"property": k, "value": v} for k, v in properties.items()]}]
    warehouse.add(document)
    return load_register(warehouse.settings.register).contracts["mot-cua/ho-so"].source


def test_fields_and_properties_become_the_source(warehouse: Warehouse) -> None:
    source = loaded(warehouse, ENTRY, user="kho", secret="MOT_CUA", cursor="luc")
    assert (source.kind, source.server) == ("postgres", "mot-cua")
    assert source.options == {
        "host": "csdl.invalid", "port": 5432, "database": "d", "schema": "public", "user": "kho", "secret": "MOT_CUA", "cursor": "luc",
    }  # fmt: skip


def test_the_drop_folder_is_no_source(warehouse: Warehouse) -> None:
    assert loaded(warehouse, {"server": "drop", "type": "local", "path": "drop/*.csv", "format": "csv"}) is None


@pytest.mark.parametrize(
    ("change", "properties", "load_mode", "said"),
    [
        ({"type": "postgre"}, {}, "merge", "did you mean `postgres`?"),
        ({"server": ""}, {}, "merge", "server has no name"),
        ({"datbase": "x"}, {}, "merge", "did you mean `database`?"),
        ({}, {"curser": "luc"}, "merge", "did you mean `cursor`?"),
        ({}, {"cursor": "luc"}, "replace", "a cursor needs loadMode merge"),
        ({}, {}, "append", "a table cannot be appended"),
        ({}, {"window": -1}, "merge", "write `window: 0` or more"),
        ({}, {"columns": {"tn": "x"}}, "merge", "did you mean `ten`?"),
        ({}, {"columns": ["x"]}, "merge", "columns is not a mapping"),
        ({"host": "http://a:b@c"}, {}, "merge", "holds a user and password"),
    ],
)
def test_mistakes_are_named_with_what_to_write(
    warehouse: Warehouse, change: dict[str, Any], properties: dict[str, Any], load_mode: str, said: str
) -> None:
    with pytest.raises(InvalidRegister) as caught:
        loaded(warehouse, ENTRY | change, load_mode, **properties)
    assert said in str(caught.value)


@pytest.mark.parametrize("field", ["host", "port", "database", "schema"])
def test_what_a_database_cannot_be_found_without_is_asked_for(warehouse: Warehouse, field: str) -> None:
    with pytest.raises(InvalidRegister, match=f"{field} is missing"):
        loaded(warehouse, {k: v for k, v in ENTRY.items() if k != field})
