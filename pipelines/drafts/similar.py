"""Is it there already? The law forbids collecting again what is already shared (Decree 278/2025: one trusted source per data item)."""

from difflib import SequenceMatcher

from pipelines.contract import Register
from pipelines.gate.headers import fold

TITLE_ALIKE = 0.82
COLUMNS_SHARED = 0.8
"""Share of the columns of the smaller of the two that the other has too: a sample is often an extract of the full table."""
FEW_COLUMNS = 3
"""So few columns are alike by chance."""
SHOWN = 3


def similar_datasets(title: str, columns: set[str], register: Register) -> list[str]:
    """What in the register looks like the same thing, most alike first, as sentences for the steward."""
    found: list[tuple[float, str]] = []
    for other in register.contracts.values():
        alike = SequenceMatcher(None, fold(title), fold(other.title)).ratio()
        names = {c.name for c in other.columns}
        shared = len(columns & names) / min(len(columns), len(names)) if len(columns) > FEW_COLUMNS else 0.0
        if alike >= TITLE_ALIKE or shared >= COLUMNS_SHARED:
            why = "the same columns" if shared >= COLUMNS_SHARED else "nearly the same title"
            found.append(
                (
                    max(alike, shared),
                    f"“{title}” looks like {other.id} ({other.title}): {why}. Do not collect again what is already shared.",
                )
            )
    return [sentence for _, sentence in sorted(found, reverse=True)[:SHOWN]]
