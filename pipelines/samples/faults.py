"""The faults planted in sample deliveries: each a copy of a sound row with one thing wrong that the gate must find."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.contract import Contract
from pipelines.sql import literal, quote

SHARE = 0.05
"""At most this share of the rows; less where the contract refuses a delivery sooner."""
ONE_IN = 5
"""About every fifth delivery has faults."""


@dataclass(frozen=True)
class Fault:
    """Row ``row`` again, with ``value`` (SQL) in ``column``; no column: just again, so that its key repeats."""

    row: int
    column: str = ""
    value: str = ""
    untyped: bool = False


def plant(contract: Contract, rows: int, chance: int) -> list[Fault]:
    """Two to four faults, or none; ``chance`` is a large number that decides which, the sound rows are numbered from 0 to ``rows - 1``."""
    most = int(min(SHARE, contract.threshold / 2) * rows)
    kinds = list(_possible(contract))
    if contract.delivery not in ("csv", "xlsx") or chance % ONE_IN or most < 2:
        return []
    start = chance // ONE_IN
    return [Fault((start // 7 + n * 37) % rows, *kinds[(start + n) % len(kinds)]) for n in range(min(2 + start % 3, most, len(kinds)))]


def _possible(contract: Contract) -> Iterator[tuple[str, str, bool]]:
    """(column, wrong value, whether it is not of the column's type), one for each kind of fault the contract allows."""
    free = [c for c in contract.columns if not c.key]
    yield "", "", False
    for column in free:
        if column.values and column.semantic is None and column.type == "string":
            yield column.name, literal("Chưa xác định"), False
            break
    for column in free:
        if column.type == "date":
            yield column.name, literal("31/02/2023"), True
            break
    for column in free:
        if column.required:
            yield column.name, "NULL", False
            break
    for column in contract.columns:
        if column.semantic == "dvhc_xa":
            # The letter O for the digit 0: what fingers and scanners do.
            yield column.name, f"left({quote(column.name)}, 4) || 'O'", False
            break
