"""Who may read what: one decision for every door."""

from catalog.access.decision import ANONYMOUS, Decision, Refused, Visitor, decide

__all__ = ["ANONYMOUS", "Decision", "Refused", "Visitor", "decide"]
