"""Contract → the expectations on one dataset. Every dataset has those that its contract allows; defaults need no entry."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pipelines.contract import Contract
from pipelines.profile import is_category, is_measure

Kind = Literal["volume", "freshness", "drift", "references", "rowCount", "neverFalls"]
Unit = Literal["share", "change", "days", "deviations", "psi", "rows", "falls"]

TABLE = ""
"""The subject of a measure that is of the whole dataset, not of one column."""


@dataclass(frozen=True)
class Expectation:
    """Every value of ``measure`` lies between ``low`` and ``high``, both inclusive; None is no bound."""

    name: str
    kind: Kind
    measure: str
    low: float | None
    high: float | None
    unit: Unit
    vi: str
    en: str
    blocking: bool = False


def expectations_of(contract: Contract) -> tuple[Expectation, ...]:
    """What is expected of the dataset's newest release, in a fixed order. Names are unique within a dataset."""
    return tuple(_expectations(contract))


def _expectations(contract: Contract) -> Iterator[Expectation]:
    limits = contract.expectations
    blocking = lambda kind: kind in limits.blocking
    if limits.drop is not None or limits.growth is not None:
        low = None if limits.drop is None else -limits.drop
        yield Expectation(
            "volume", "volume", "volume", low, limits.growth, "change",
            f"Số hàng so với các phiên bản trước: {_band_vi(limits.drop, limits.growth)}",
            f"Rows against earlier releases: {_band_en(limits.drop, limits.growth)}",
            blocking("volume"),
        )  # fmt: skip
    if contract.load_mode in ("append", "merge"):
        yield Expectation(
            "no_loss", "volume", "rows_lost", None, 0, "rows",
            "Hàng đã nhận không mất đi: mỗi đợt giao chỉ thêm hoặc cập nhật",
            "Rows once taken in stay: a delivery only adds or updates",
            blocking("volume"),
        )  # fmt: skip
    if contract.promised_within is not None and contract.status != "retired":
        days = contract.promised_within.days
        yield Expectation(
            "freshness", "freshness", "days_late", None, 0, "days",
            f"Đợt giao mới đến trong {days} ngày kể từ đợt trước (một chu kỳ và số ngày ân hạn)",
            f"A new delivery comes within {days} days of the last one (a cycle and its grace)",
            blocking("freshness"),
        )  # fmt: skip
    yield from _drift(contract)
    if any(c.references for c in contract.columns) and limits.unmatched is not None:
        allowed = limits.unmatched
        yield Expectation(
            "references", "references", "unmatched", None, allowed, "share",
            "Mọi mã tham chiếu đều có trong bộ dữ liệu đích" if not allowed else f"Không quá {allowed:.0%} mã tham chiếu thiếu ở bộ đích",
            "Every reference is found in the dataset it names" if not allowed else f"At most {allowed:.0%} of references name nothing",
            blocking("references"),
        )  # fmt: skip
    for rows in limits.rows:
        yield Expectation(rows.name, "rowCount", "rows", rows.low, rows.high, "rows", rows.vi, rows.en, blocking(rows.name))
    for figure in limits.never_falls:
        yield Expectation(figure.name, "neverFalls", f"falls:{figure.name}", None, 0, "falls", figure.vi, figure.en, blocking(figure.name))


def _drift(contract: Contract) -> Iterator[Expectation]:
    limits = contract.expectations
    blocking = "drift" in limits.blocking
    columns = [c for c in contract.columns if c.name not in limits.drift_except]
    if limits.null_share is not None and any(not c.required for c in columns):
        yield Expectation(
            "null_share", "drift", "null_share", -limits.null_share, limits.null_share, "change",
            f"Tỷ lệ ô trống của mỗi cột thay đổi không quá {limits.null_share:.0%}",
            f"Each column's share of missing values moves by at most {limits.null_share:.0%}",
            blocking,
        )  # fmt: skip
    if limits.distinct_share is not None and any(not c.key and not is_category(c) for c in columns):
        yield Expectation(
            "distinct_share", "drift", "distinct_share", -limits.distinct_share, limits.distinct_share, "change",
            f"Tỷ lệ giá trị khác nhau của mỗi cột thay đổi không quá {limits.distinct_share:.0%}",
            f"Each column's share of different values moves by at most {limits.distinct_share:.0%}",
            blocking,
        )  # fmt: skip
    if limits.mean is not None and any(is_measure(c) and c.personal == "none" for c in columns):
        yield Expectation(
            "mean", "drift", "mean", -limits.mean, limits.mean, "deviations",
            f"Trung bình của mỗi cột số lệch không quá {limits.mean:g} độ lệch chuẩn",
            f"Each number's mean moves by at most {limits.mean:g} standard deviation(s)",
            blocking,
        )  # fmt: skip
    if limits.psi is not None and any(is_category(c) and c.personal == "none" for c in columns):
        yield Expectation(
            "psi", "drift", "psi", None, limits.psi, "psi",
            f"Cơ cấu giá trị của mỗi danh mục giữ ổn định (PSI không quá {limits.psi:g})",
            f"The mix of each closed list stays stable (PSI at most {limits.psi:g})",
            blocking,
        )  # fmt: skip


def _band_vi(drop: float | None, growth: float | None) -> str:
    return ", ".join(f"không {word} quá {share:.0%}" for word, share in (("giảm", drop), ("tăng", growth)) if share is not None)


def _band_en(drop: float | None, growth: float | None) -> str:
    return ", ".join(f"at most {share:.0%} {word}" for word, share in (("fewer", drop), ("more", growth)) if share is not None)
