"""When a delivery has too many faults: what refuses it whole, and what only flags it.

The rule follows công văn 4856/BCA-TTDLQG of 14 September 2026: identifiers must be right in every row – a row whose identifier
is wrong is never loaded, and the delivery is flagged red; of every other field nine values in ten must be right.
"""

from collections.abc import Mapping

from pipelines.contract import Column, Contract
from pipelines.outcome import Reason

SHOWN = 10
"""Columns named in the reasons; the rest is counted by rule anyway."""


def is_identifier(column: Column) -> bool:
    """Whether the column says which thing a row is about: part of the key, or an official identifier."""
    return bool(column.key) or column.identifier


def refusal_reasons(contract: Contract, rows: int, held: int, wrong: Mapping[str, int]) -> list[Reason]:
    """Why the whole delivery is refused; empty when it is not.

    ``rows`` are read, ``held`` of them break a rule; ``wrong`` counts per column the rows in which its value is wrong.
    A column may bring its own share of wrong values (`Column.threshold`); the contract's holds for rows, and for every other column
    through them.
    """
    if rows == 0:
        return []
    reasons = []
    if held > contract.threshold * rows or held >= rows:
        reasons.append(
            Reason(
                "threshold", "", held,
                f"{held} trên {rows} hàng sai ({100 * held / rows:.1f} %), quá ngưỡng {100 * contract.threshold:g} %: trả lại cả đợt giao",
                f"{held} of {rows} rows are wrong ({100 * held / rows:.1f} %), above the threshold of {100 * contract.threshold:g} %: "
                "the whole delivery is refused",
            )
        )  # fmt: skip
    for column in contract.columns:
        bad = wrong.get(column.name, 0)
        if column.threshold is not None and bad > column.threshold * rows:
            reasons.append(
                Reason(
                    "column_threshold", column.name, bad,
                    f"{bad} trên {rows} giá trị của «{column.title}» sai ({100 * bad / rows:.1f} %), quá ngưỡng "
                    f"{100 * column.threshold:g} %: trả lại cả đợt giao",
                    f"{bad} of {rows} values of “{column.title_en}” are wrong ({100 * bad / rows:.1f} %), above the threshold of "
                    f"{100 * column.threshold:g} %: the whole delivery is refused",
                )
            )  # fmt: skip
    return reasons


def identifier_reasons(contract: Contract, wrong: Mapping[str, int]) -> list[Reason]:
    """Identifiers that are not right in every row. Their rows are held back; the rest of the delivery is not refused for them."""
    return [
        Reason(
            "identifier", column.name, wrong[column.name],
            f"Cột định danh «{column.title}» phải đúng 100 %: {wrong[column.name]} hàng sai không được nạp",
            f"The identifier “{column.title_en}” must be right in every row: {wrong[column.name]} wrong rows were not loaded",
        )
        for column in contract.columns
        if is_identifier(column) and wrong.get(column.name)
    ][:SHOWN]  # fmt: skip
