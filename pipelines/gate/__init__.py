"""The gate: reads a delivery, types it, tests every row against the contract, splits it. Nothing is dropped silently."""

from pipelines.gate.judge import Judgement, judge
from pipelines.gate.readers import Unreadable

__all__ = ["Judgement", "Unreadable", "judge"]
