"""Units of money in a file's title (`ĐVT: triệu đồng`) against the unit that the contract states."""

from decimal import Decimal

from pipelines.contract import Column
from pipelines.gate.headers import fold

MONEY = {"dong": 1, "vnd": 1, "nghin": 10**3, "ngan": 10**3, "trieu": 10**6, "ty": 10**9, "ti": 10**9}
SHORT = {
    "d": "dong",
    "trd": "trieu_dong",
    "tr_d": "trieu_dong",
    "tr_dong": "trieu_dong",
    "tyd": "ty_dong",
    "ty_d": "ty_dong",
    "1000d": "nghin_dong",
    "1_000d": "nghin_dong",
    "1000_dong": "nghin_dong",
    "1_000_dong": "nghin_dong",
}


def worth(unit: str | None) -> int | None:
    """What one of ``unit`` is in đồng: `triệu đồng` → 1 000 000; None when it is no unit of money."""
    words = SHORT.get(fold(unit or ""), fold(unit or "")).split("_")
    if not words or words[-1] not in ("dong", "vnd"):
        return None
    known = [MONEY[word] for word in words if word in MONEY]
    if len(known) != len(words):
        return None
    total = 1
    for size in known:  # nghìn tỷ đồng
        total *= size
    return total


def factor(stated: str | None, column: Column) -> Decimal | int:
    """By what a figure under a title that states ``stated`` is multiplied to be in the contract's unit; 1 where either is no money."""
    file, contract = worth(stated), worth(column.unit)
    if column.type not in ("integer", "number") or file is None or contract is None or file == contract:
        return 1
    return Decimal(file) / Decimal(contract)


def scaled(value: str, times: Decimal | int, column: Column) -> str:
    """SQL: ``value`` times ``times``. A whole number that this would break is NULL: nothing is rounded away."""
    product = f"({value}) * {times}"
    if column.type == "integer":
        return f"CASE WHEN {product} = round({product}) THEN CAST({product} AS BIGINT) END"
    return f"CAST({product} AS {column.sql_type})"
