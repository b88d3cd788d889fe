"""Every row rule of the register that ships gives one verdict in both engines."""

import random
from datetime import date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import duckdb
import polars as pl
import pytest

from pipelines.contract import Column, Contract, Register, load_register
from pipelines.gate.row_schema import POLARS_TYPES, row_rules, row_schema
from pipelines.settings import PROJECT
from pipelines.sql import quote

ROWS = 400


@pytest.fixture(scope="module")
def register() -> Register:
    return load_register(PROJECT / "datasets")


def value(column: Column, chance: random.Random) -> Any:
    """Mostly what the contract allows; small numbers and near days, so that comparisons go both ways."""
    if chance.random() < 0.15:
        return None
    if column.type == "boolean":
        return chance.random() < 0.5
    if column.type == "date":
        return date(2023, 1, 1) + timedelta(chance.choice((0, 1, 20, 400, 7000, 10000)) + chance.randrange(40))
    if column.type == "timestamp":
        return datetime.fromisoformat("2023-01-01") + timedelta(hours=chance.randrange(2000))
    if column.type == "integer":
        return int(column.minimum or 0) + chance.choice((0, 1, 2, 5, 30, 700))
    if column.type == "number":
        return float(column.minimum or 0) + chance.choice((0.0, 0.5, 1.0, 3.25, 60.0, 100.0))
    return chance.choice(column.values) if column.values else chance.choice(("080190000123", "0123", "UBND-794", "27694_1_2", "x"))


def verdicts(contract: Contract) -> list[tuple[str, list[bool], list[bool]]]:
    """Per rule: its name, and for each made-up row whether it holds, by DuckDB and by pandera's polars check."""
    chance = random.Random(contract.id)
    rows = [{c.name: value(c, chance) for c in contract.columns} for _ in range(ROWS)]
    frame = pl.DataFrame(rows, schema={c.name: POLARS_TYPES[c.type] for c in contract.columns})
    found = []
    with duckdb.connect() as connection:
        connection.register("made", frame.to_arrow())
        for rule, check in zip(row_rules(contract), row_schema(contract).checks, strict=True):
            names = ", ".join(quote(c.name) for c in contract.columns)
            scan = connection.execute(f"SELECT coalesce({rule.expression}, true) FROM (SELECT {names} FROM made)").fetchall()
            theirs = check._check_fn(SimpleNamespace(lazyframe=frame.lazy())).collect().to_series().to_list()
            found.append((rule.name, [bool(v) for (v,) in scan], theirs))
    return found


def test_both_engines_agree_on_every_rule(register: Register) -> None:
    disagree, judged = [], 0
    for contract in register.contracts.values():
        for name, ours, theirs in verdicts(contract):
            judged += 1
            if ours != theirs:
                first = next(i for i, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
                disagree.append(f"{contract.id} {name}: row {first}: {ours[first]} and {theirs[first]}")
    assert judged > 800
    assert not disagree, disagree
