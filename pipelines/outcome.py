"""What became of a delivery: the value that ingest returns, the ledger keeps and Dagster shows."""

from dataclasses import dataclass, field
from typing import Literal

Verdict = Literal["accepted", "partial", "refused", "duplicate", "unchanged"]


@dataclass(frozen=True)
class Reason:
    """Why rows were held back, or the whole delivery refused: one rule on one column and how often."""

    rule: str
    column: str
    count: int
    vi: str
    en: str


@dataclass(frozen=True)
class CheckResult:
    """One check of the contract against the store after a load; ``violations`` 0 is a pass."""

    name: str
    violations: int
    vi: str
    en: str

    @property
    def passed(self) -> bool:
        return self.violations == 0


@dataclass(frozen=True)
class Outcome:
    """One delivery's fate. ``unchanged`` means there was no new delivery; it is not written to the ledger.

    ``standing`` is the verdict on the newest delivery that was judged: the outcome's own, or for `unchanged` and
    `duplicate` an earlier one; None when nothing was ever delivered.
    """

    dataset: str
    verdict: Verdict
    file_name: str = ""
    sha256: str = ""
    delivery_id: str = ""
    rows_read: int = 0
    rows_accepted: int = 0
    rows_quarantined: int = 0
    rows_total: int = 0
    release: int | None = None
    synthetic: bool = False
    standing: Verdict | None = None
    reasons: tuple[Reason, ...] = ()
    checks: tuple[CheckResult, ...] = field(default_factory=tuple)
    corrects: str = ""
    """For a fix sheet: the delivery whose rows it corrects."""
    rows_left_out: int = 0
    """Rows of the file that are not data: titles, totals, notes. Accepted + quarantined + left out = rows of the file."""

    @property
    def good(self) -> bool:
        """Nothing for a person to repair."""
        return self.standing in ("accepted", None) and all(c.passed for c in self.checks)
