"""The promise of a contract's update cycle against the last accepted delivery."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pipelines.contract import Contract

State = Literal["none", "fresh", "late", "unpromised"]


@dataclass(frozen=True)
class Freshness:
    """``none``: no data yet; ``unpromised``: the cycle is irregular, so nothing can be late."""

    state: State
    last: datetime | None = None
    due: datetime | None = None

    @property
    def late(self) -> bool:
        return self.state == "late"


def freshness(contract: Contract, last: datetime | None, now: datetime) -> Freshness:
    """Late from the moment one whole cycle and the days of grace have passed since the last accepted delivery (UTC)."""
    if last is None:
        return Freshness("none")
    if contract.promised_within is None:
        return Freshness("unpromised", last)
    due = last + contract.promised_within
    return Freshness("late" if now > due else "fresh", last, due)
