"""The time to which a row belongs, in the form in which its column says it."""

from collections.abc import Callable
from datetime import date

from pipelines.contract.model import Column

PERIODS: dict[str, Callable[[date], str | int]] = {
    "ky_thang": lambda day: f"{day:%Y%m}",
    "ky_quy": lambda day: f"{day.year}{(day.month + 2) // 3}",
    "nam": lambda day: day.year,
    "tuan": lambda day: "{}-W{:02}".format(*day.isocalendar()),
    # The school year turns in September.
    "nam_hoc": lambda day: "{}-{}".format(*((day.year, day.year + 1) if day.month >= 9 else (day.year - 1, day.year))),
}
"""Semantic type of a period column → the period that holds a day; periods compare in the order of time."""


def period_of(columns: tuple[Column, ...] | list[Column]) -> str | None:
    """The column that dates a row where the contract names none: a period in the key, else a date in the key."""
    keyed = sorted((c for c in columns if c.key), key=lambda c: c.key)
    of_type = (c.name for c in keyed if c.semantic in PERIODS)
    return next(of_type, None) or next((c.name for c in keyed if c.type in ("date", "timestamp")), None)


def holds(column: Column, day: date) -> str | int:
    """The value of a period or date column for the period in which ``day`` lies."""
    return PERIODS[column.semantic](day) if column.semantic in PERIODS else day.isoformat()
