"""What a source's fields have to do with the contract's columns, known before a single row is loaded."""

from collections.abc import Iterable

from pipelines.contract import Column, Contract
from pipelines.gate.headers import match
from pipelines.outcome import Reason


def column_of(contract: Contract, name: str) -> Column | None:
    """The column that a field becomes."""
    return next((contract.by_name[column] for column in match(contract, [name]).columns), None)


def known_fields(contract: Contract, names: Iterable[str]) -> set[str]:
    """The fields that are a column of the contract, by name, title or synonym."""
    return set(match(contract, list(names)).columns.values())


def unknown_fields(contract: Contract, names: Iterable[str]) -> tuple[Reason, ...]:
    """Fields that are no column of the contract, each with the nearest that is."""
    reasons = []
    for name, near in match(contract, list(names)).unknown:
        hint = (f"; có phải {near}?", f"; is it {near}?") if near else ("", "")
        reasons.append(
            Reason("unknown_column", name, 1, f"Trường «{name}» không có trong hợp đồng dữ liệu{hint[0]}",
                   f"Field “{name}” is not in the contract{hint[1]}")
        )  # fmt: skip
    return tuple(reasons)


def missing_fields(contract: Contract, names: Iterable[str]) -> tuple[Reason, ...]:
    """Required columns of the contract that are no field of the source."""
    return tuple(
        Reason("missing_column", name, 1, f"Nguồn không có cột bắt buộc {name} ({contract.by_name[name].title})",
               f"The source lacks the required column {name} ({contract.by_name[name].title_en})")
        for name in match(contract, list(names)).missing
    )  # fmt: skip
