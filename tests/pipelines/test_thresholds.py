"""What refuses a delivery whole and what only flags it; and what `kho check` says of a mistaken threshold."""

import pytest

from pipelines.contract import InvalidRegister, load_register
from tests.warehouse import Warehouse, column, contract

DATASET = "ho-tich/nguong"


def columns(**fields: float) -> list[dict]:
    made = [
        column("ma", primaryKey=True, logicalTypeOptions={"maxLength": 3}),
        column("mst", semantic="mst"),
        column("loai", values=["Xã"]),
        column("ghi_chu", values=["ổn"]),
    ]
    for one in made:
        one["customProperties"] += [{"property": "quarantineThreshold", "value": fields.get(one["name"])}] * (one["name"] in fields)
    return made


def rows(wrong: int, cells: str, total: int = 20) -> str:
    good = "".join(f"{n},1100107301,Xã,ổn\n" for n in range(total - wrong))
    return "ma,mst,loai,ghi_chu\n" + good + "".join(cells.format(n=f"w{n}") + "\n" for n in range(wrong))


@pytest.mark.parametrize(
    ("dataset", "of_columns", "wrong", "cells", "verdict", "rules"),
    [
        (0.5, {}, 10, "{n},,Xóm,ổn", "partial", {"closed_list"}),
        (0.5, {}, 11, "{n},,Xóm,ổn", "refused", {"threshold", "closed_list"}),
        (0.5, {"loai": 0.1}, 2, "{n},,Xóm,ổn", "partial", {"closed_list"}),
        (0.5, {"loai": 0.1}, 3, "{n},,Xóm,ổn", "refused", {"column_threshold", "closed_list"}),
        (0.5, {"loai": 0.1}, 3, "{n},,Xã,hỏng", "partial", {"closed_list"}),
        (0.5, {"mst": 0}, 1, "{n},1100107302,Xã,ổn", "refused", {"column_threshold", "tax_code"}),
        (0.5, {}, 1, "quá dài {n},,Xã,ổn", "partial", {"identifier", "length"}),
        (0, {}, 0, "", "accepted", set()),
        (0, {}, 1, "{n},,Xóm,ổn", "refused", {"threshold", "closed_list"}),
    ],
)
def test_the_share_that_refuses(
    warehouse: Warehouse, dataset: float, of_columns: dict[str, float], wrong: int, cells: str, verdict: str, rules: set[str]
) -> None:
    warehouse.add(contract(DATASET, columns(**of_columns), quarantineThreshold=dataset))
    warehouse.drop(DATASET, "a.csv", rows(wrong, cells))
    outcome = warehouse.take(DATASET)
    assert outcome.verdict == verdict and {r.rule for r in outcome.reasons} == rules
    if verdict == "refused":
        assert "trả lại cả đợt giao" in outcome.reasons[0].vi and "refused" in outcome.reasons[0].en


def test_an_official_identifier_must_be_right_in_every_row(warehouse: Warehouse) -> None:
    types = (warehouse.settings.register / "semantic-types.yaml").read_text(encoding="utf-8")
    (warehouse.settings.register / "semantic-types.yaml").write_text(types.replace("check: mst", "check: mst\n  identifier: true"))
    warehouse.add(contract(DATASET, columns(), quarantineThreshold=0.5))
    warehouse.drop(DATASET, "a.csv", rows(1, "{n},1100107302,Xã,ổn"))
    outcome = warehouse.take(DATASET)
    assert outcome.verdict == "partial" and outcome.rows_accepted == 19
    first = outcome.reasons[0]
    assert (first.rule, first.column, first.count) == ("identifier", "mst", 1) and "100 %" in first.vi


@pytest.mark.parametrize("share", ["nhiều", 2, -0.1, True])
def test_a_share_that_is_none_is_named(warehouse: Warehouse, share: object) -> None:
    warehouse.add(contract(DATASET, columns(loai=share), quarantineThreshold=share))  # type: ignore[arg-type]
    with pytest.raises(InvalidRegister) as mistakes:
        load_register(warehouse.settings.register)
    said = [str(p) for p in mistakes.value.problems]
    assert len(said) == 2 and all("is not a share" in s and "0.1" in s for s in said)
