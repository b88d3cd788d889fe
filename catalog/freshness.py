"""The promise of a contract's update cycle against the last accepted delivery."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from pipelines.contract import Contract
from pipelines.contract.model import CYCLE_LENGTH

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
    length = CYCLE_LENGTH[contract.cycle]
    if last is None:
        return Freshness("none")
    if length is None:
        return Freshness("unpromised", last)
    due = last + length + timedelta(days=contract.grace_days)
    return Freshness("late" if now > due else "fresh", last, due)
