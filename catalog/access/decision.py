"""The one permission decision. Every door asks it and passes on only the columns it names."""

from dataclasses import dataclass

from pipelines.contract import Column, Contract


@dataclass(frozen=True)
class Visitor:
    """Who asks. Until accounts exist everybody is anonymous."""

    name: str = "anonymous"


ANONYMOUS = Visitor()


@dataclass(frozen=True)
class Decision:
    """Whether the rows may be read, and which columns of them; else why not, in both languages."""

    allowed: bool
    columns: tuple[str, ...] = ()
    reason_vi: str = ""
    reason_en: str = ""

    def reason(self, language: str) -> str:
        return self.reason_en if language == "en" else self.reason_vi


class Refused(Exception):
    """A door was asked for what the decision does not give."""

    def __init__(self, contract: Contract, decision: Decision) -> None:
        self.contract, self.decision = contract, decision
        super().__init__(decision.reason_en)


def decide(visitor: Visitor, contract: Contract) -> Decision:
    """What ``visitor`` may read of a dataset. Denies by default, per dataset and per column."""
    if contract.status not in ("active", "deprecated"):
        return _refusal("Bộ dữ liệu chưa có hiệu lực hoặc đã ngừng cung cấp.", "The dataset is not in force or no longer provided.")
    if contract.access == "shared":
        return _refusal(
            "Dữ liệu chia sẻ giữa các cơ quan nhà nước, không công bố rộng rãi.",
            "Data shared between government agencies; not published.",
        )
    if contract.access != "open":
        return _refusal(
            "Dữ liệu hạn chế: chỉ cấp cho đúng người, đúng mục đích.", "Restricted data: granted to named users for a stated purpose."
        )
    columns = tuple(c.name for c in contract.columns if _public(c, contract))
    if not columns:
        return _refusal("Mọi cột đều là dữ liệu cá nhân.", "Every column holds personal data.")
    return Decision(True, columns)


def _public(column: Column, contract: Contract) -> bool:
    """Sensitive personal data is never published; basic only where the contract names the law that says so."""
    return column.personal == "none" or (column.personal == "basic" and bool(contract.legal_basis))


def _refusal(vi: str, en: str) -> Decision:
    return Decision(False, (), vi, en)
