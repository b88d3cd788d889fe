"""What values a column may take: `Domain`, a numbered set of values written as SQL over the number.

Nothing here draws at random: `pipelines.samples.table` decides which number a row gets. What is special to a province
(its code in a citizen number, its coordinates, its plates) is taken from the examples in the register's semantic types.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pipelines.contract import Column, Contract, Register
from pipelines.samples import words
from pipelines.sql import literal

FIRST_DAY, LAST_DAY = date(2023, 1, 1), date(2023, 6, 30)
"""The horizon of the samples: periods and dates lie in it unless a contract says otherwise."""

LISTED = 5_000
"""A number range of at most this many values is taken one by one in keys, like a closed list."""
NEARBY = 0.2
"""Sample coordinates lie within this many degrees of the example in the register."""
MST_WEIGHTS = (31, 29, 23, 19, 17, 13, 7, 5, 3)


@dataclass(frozen=True)
class Domain:
    """``size`` values numbered from 0; ``at(k)`` is SQL for value number ``k``, itself SQL for a BIGINT.

    ``listed``: few enough that a key is made of combinations of them. ``running``: rows take them in order, each once.
    ``skewed``: earlier values are commoner. ``variety``: how many of the values occur where they may repeat.
    ``stable``: belongs to the thing a row is about, so that it stays the same from period to period.
    """

    size: int
    at: Callable[[str], str]
    listed: bool = False
    running: bool = False
    skewed: bool = False
    variety: int = 0
    stable: bool = True


def padded(number: str, width: int) -> str:
    return f"printf('%0{width}d', {number})"


def chosen(values: Sequence[str], k: str) -> str:
    """SQL for one of ``values``."""
    return f"([{', '.join(literal(v) for v in values)}])[1 + {k}]"


def of(values: Sequence[Any], sql_type: str = "VARCHAR", *, skewed: bool = False, stable: bool = True) -> Domain:
    """The domain of a list."""
    texts = [str(v).lower() if isinstance(v, bool) else str(v) for v in values]
    at = (lambda k: chosen(texts, k)) if sql_type == "VARCHAR" else (lambda k: f"CAST({chosen(texts, k)} AS {sql_type})")
    return Domain(len(texts), at, listed=True, skewed=skewed, stable=stable)


def phrases(*lists: Sequence[str]) -> Domain:
    """Every combination of one word from each list."""
    size = 1
    for each in lists:
        size *= len(each)

    def at(k: str) -> str:
        parts, step = [], 1
        for each in lists:
            parts.append(chosen(each, f"({k} // {step}) % {len(each)}"))
            step *= len(each)
        return " || ' ' || ".join(parts)

    return Domain(size, at)


def numbered(domain: Domain) -> Domain:
    """The same values, and then each again with a number after it: for keys that need more than there are."""
    return Domain(
        domain.size * 100_000,
        lambda k: (
            f"{domain.at(f'({k} % {domain.size})')} || CASE WHEN {k} < {domain.size} THEN '' ELSE ' ' || ({k} // {domain.size} + 1) END"
        ),
        variety=domain.size,
    )


def numbers(low: Any, high: Any, sql_type: str, whole: bool, digits: int | None = None) -> Domain:
    """An even grid from ``low`` to ``high``, as fine as makes sense for its width."""
    low, high = Decimal(str(low)), Decimal(str(high))
    width = high - low
    if digits is None:
        digits = 0 if whole or width >= 10_000 else 1 if width >= 500 else 2 if width > 1 else 4
    unit = 10**digits
    start, size = -int(-low * unit // 1), int(width * unit) + 1
    at = lambda k: f"CAST(({start} + {k}) / {unit}.0 AS {sql_type})" if unit > 1 else f"CAST({start} + {k} AS {sql_type})"
    return Domain(max(size, 1), at, listed=size <= LISTED and whole, stable=False)


def days(low: date, high: date) -> Domain:
    return Domain(max((high - low).days, 0) + 1, lambda k: f"(DATE '{low}' + CAST({k} AS INTEGER))", listed=True, stable=False)


def moments(low: date, high: date, in_key: bool) -> Domain:
    """Whole hours where the moment is part of a key (measurements), else some second of the working day."""
    span = max((high - low).days, 0) + 1
    if in_key:
        return Domain(span * 24, lambda k: f"(TIMESTAMP '{low}' + to_hours({k}))", listed=True, stable=False)
    work = 10 * 3600
    at = lambda k: f"(TIMESTAMP '{low} 07:00:00' + to_days(CAST({k} // {work} AS INTEGER)) + to_seconds({k} % {work}))"
    return Domain(span * work, at, stable=False)


def matching(pattern: str) -> Domain | None:
    """Texts that match a simple pattern: literals, classes and counts; None for anything cleverer."""
    first = pattern.removeprefix("^").removesuffix("$").split("|")[0]
    if re.search(r"[()]", first):
        return None
    alphabets: list[str] = []
    for group, escaped, plain, least, most in re.findall(r"(?:\[([^\]]+)\]|\\(.)|([^{}]))(?:\{(\d+)(?:,(\d+))?\}|[?*+])?", first):
        if group:
            spelled = re.sub(r"(.)-(.)", lambda m: "".join(map(chr, range(ord(m[1]), ord(m[2]) + 1))), group)
        else:
            spelled = {"d": "0123456789", "w": "abcdefghij"}.get(escaped, escaped) or plain
        alphabets += [spelled] * int(most or least or 1)
    size, pieces = 1, []
    for alphabet in alphabets:
        pieces.append((alphabet, size))
        size *= len(alphabet)
        if size > 10**15:
            return None
    at = lambda k: " || ".join(
        literal(a) if len(a) == 1 else f"substr({literal(a)}, CAST(1 + ({k} // {s}) % {len(a)} AS BIGINT), 1)" for a, s in pieces
    )
    return Domain(size, at, listed=size <= LISTED)


def periods() -> dict[str, list[str]]:
    """The periods of the horizon, by semantic type."""
    year = LAST_DAY.year
    months = [(LAST_DAY.year, m) for m in range(FIRST_DAY.month, LAST_DAY.month + 1)]
    weeks = sorted(
        {(d.year, d.week) for n in range((LAST_DAY - FIRST_DAY).days + 1) if (d := (FIRST_DAY + timedelta(n)).isocalendar()).year == year}
    )
    school = year if LAST_DAY.month > 8 else year - 1
    return {
        "ky_thang": [f"{y}{m:02}" for y, m in months],
        "ky_quy": sorted({f"{y}{(m + 2) // 3}" for y, m in months}),
        "tuan": [f"{y}-W{w:02}" for y, w in weeks],
        "nam": [str(year - n) for n in (2, 1, 0)],
        "nam_hoc": [f"{school - n}-{school - n + 1}" for n in (2, 1, 0)],
    }


def tax_code(example: str) -> Domain:
    """Tax codes with the right check digit: province, six digits that number them, one that makes a check digit exist."""
    head = int(example[0]) * MST_WEIGHTS[0] + int(example[1]) * MST_WEIGHTS[1]

    def at(number: str) -> str:
        k = f"({number} + 1)"
        total = " + ".join([str(head), *(f"({k} // {10 ** (5 - j)}) % 10 * {w}" for j, w in enumerate(MST_WEIGHTS[2:8]))])
        ninth = f"({k} % 10 + CASE WHEN ({total} + {k} % 10 * 3) % 11 = 0 THEN 1 ELSE 0 END) % 10"
        return f"'{example[:2]}' || {padded(k, 6)} || ({ninth}) || (10 - ({total} + ({ninth}) * 3) % 11)"

    return Domain(10**6 - 1, at)


def geometry(example: str, title: str) -> Domain:
    """Small shapes near the example's coordinates: lines, polygons or points as the dataset's title suggests."""
    try:
        longitude, latitude = json.loads(example)["coordinates"]
    except (ValueError, KeyError, TypeError):
        longitude, latitude = 106.0, 16.0
    steps = int(2 * NEARBY * 10_000)
    folded = title.lower()

    def at(k: str) -> str:
        def point(east: float, north: float) -> str:
            x = f"{longitude - NEARBY + east} + ({k} % {steps}) / 10000.0"
            y = f"{latitude - NEARBY + north} + ({k} // {steps} % {steps}) / 10000.0"
            return f"printf('[%.5f, %.5f]', CAST({x} AS DOUBLE), CAST({y} AS DOUBLE))"

        if any(word in folded for word in words.LINE):
            path = " || ', ' || ".join(point(0.004 * n, 0.003 * n + 0.001 * (n % 2)) for n in range(4))
            return f"""'{{"type": "LineString", "coordinates": [' || {path} || ']}}'"""
        if any(word in folded for word in words.AREA):
            corners = ((0, 0), (0.006, 0.001), (0.007, 0.005), (0.001, 0.006), (0, 0))
            ring = " || ', ' || ".join(point(*corner) for corner in corners)
            return f"""'{{"type": "Polygon", "coordinates": [[' || {ring} || ']]}}'"""
        return f"""'{{"type": "Point", "coordinates": ' || {point(0, 0)} || '}}'"""

    return Domain(steps * steps, at)


class Values:
    """Finds the domain of a column; knows the register only for its code lists and examples."""

    def __init__(self, register: Register) -> None:
        self.place = register.place
        self.periods = periods()

    def domain(self, contract: Contract, column: Column) -> Domain:
        """By the contract's own word (`sample`), else closed list, semantic type, type and range, pattern, free text."""
        kind, _, rest = (column.sample or "").partition(":")
        if kind == "code":
            return Domain(10**9, lambda k: f"{literal(rest)} || '-' || {padded(f'{k} + 1', 6)}", running=True)
        if kind == "number":
            low, high = rest.split("..")
            return numbers(low, high, column.sql_type, column.type == "integer")
        if kind == "date":
            first, last = map(date.fromisoformat, rest.split(".."))
            return moments(first, last, bool(column.key)) if column.type == "timestamp" else days(first, last)
        if kind == "words":
            found = [w.strip().strip("'\"") for w in rest.strip().strip("[]").split(",")]
            return of([w for w in found if w], column.sql_type)
        if kind in NAMED:
            return NAMED[kind]()
        if column.values:
            even = column.semantic is not None or bool(column.key)
            return of(column.values, column.sql_type, skewed=not even and len(column.values) <= 8)
        if column.semantic in self.periods:
            return self._period(column)
        return self._semantic(contract, column) or self._plain(column)

    def _period(self, column: Column) -> Domain:
        found = self.periods[column.semantic or ""]
        if column.type == "integer":
            low, high = int(column.minimum or 0), int(column.maximum or 9999)
            found = [v for v in found if low <= int(v) <= high] or [str(high)]
        if not column.key and column.semantic in ("nam", "nam_hoc"):
            found = found[-1:]
        return of(found, column.sql_type, stable=False)

    def _semantic(self, contract: Contract, column: Column) -> Domain | None:
        example = column.example or ""
        if column.semantic == "hinh_hoc":
            return geometry(example, contract.title)
        if column.semantic in ("kinh_do", "vi_do") and example:
            low, high = (Decimal(example) - Decimal(str(NEARBY)), Decimal(example) + Decimal(str(NEARBY)))
            sides = ("west", "east") if column.semantic == "kinh_do" else ("south", "north")
            bounds = [(column.minimum, column.maximum), tuple(self.place.get(side) for side in sides)]
            low = max(low, *(Decimal(str(least)) for least, _ in bounds if least is not None))
            high = min(high, *(Decimal(str(most)) for _, most in bounds if most is not None))
            if low < high:
                return lasting(numbers(low, high, column.sql_type, whole=False, digits=5))
        if column.semantic in ("dia_chi", "dia_chi_ca_nhan"):
            # The commune is added where the row is put together, so that it agrees with the row's commune code.
            street = lambda k: f"'Số ' || ({k} % 300 + 1) || ' ' || {chosen(words.STREET, f'({k} // 300) % {len(words.STREET)}')}"
            return Domain(300 * len(words.STREET), street)
        if column.semantic == "ngay_sinh":
            return lasting(days(*_clip(date(1940, 1, 1), date(2004, 12, 31), column)))
        maker = SEMANTIC.get(column.semantic or "")
        return maker(example) if maker else None

    def _plain(self, column: Column) -> Domain:
        if column.type == "boolean":
            return of([True, False], "BOOLEAN", skewed=True, stable=False)
        if column.type in ("date", "timestamp"):
            first, last = _span(column)
            return moments(first, last, bool(column.key)) if column.type == "timestamp" else days(first, last)
        if column.type in ("integer", "number"):
            low = column.minimum if column.minimum is not None else 0
            high = column.maximum if column.maximum is not None else float(low) + 1000
            return numbers(low, high, column.sql_type, column.type == "integer")
        if column.pattern and (found := matching(column.pattern)):
            return found
        title = column.title[: max((column.max_length or 200) - 8, 1)]
        return Domain(10**6, lambda k: f"{literal(title)} || ' ' || ({k} + 1)", variety=200)


def lasting(domain: Domain) -> Domain:
    """The same domain as a trait of the thing, unlisted."""
    return replace(domain, stable=True, listed=False)


def _bounds(column: Column) -> tuple[date | None, date | None]:
    low, high = (date.fromisoformat(str(b)[:10]) if b is not None else None for b in (column.minimum, column.maximum))
    return low, high


def _clip(low: date, high: date, column: Column) -> tuple[date, date]:
    """The part of ``low``–``high`` that the contract allows, or what it allows if there is no such part."""
    least, most = _bounds(column)
    clipped = max(low, least or low), min(high, most or high)
    if clipped[0] <= clipped[1]:
        return clipped
    return (least or most or low), (most or least or high)


def _span(column: Column) -> tuple[date, date]:
    """The horizon, opened to the contract's lower bound and closed by its upper one."""
    least, most = _bounds(column)
    low = least or (FIRST_DAY if not most or most >= FIRST_DAY else most - timedelta(365))
    high = LAST_DAY if low <= LAST_DAY else low + timedelta(365)
    return low, min(high, most or high)


NAMED: dict[str, Callable[[], Domain]] = {
    "person": lambda: phrases(words.FAMILY, words.MIDDLE, words.GIVEN),
    "company": lambda: phrases(words.COMPANY, words.BRAND, words.BRAND_END),
    "place": lambda: phrases(words.PLACE, words.BRAND, words.BRAND_END),
}

DAYS = (LAST_DAY - FIRST_DAY).days + 1
SEMANTIC: dict[str, Callable[[str], Domain]] = {
    "mst": lambda example: tax_code(example or "0100000000"),
    "ho_ten": lambda _: NAMED["person"](),
    "gioi_tinh": lambda _: of(("Nam", "Nữ")),
    # Province of birth, century and sex, year, then the six digits that make it one person's.
    "cccd": lambda example: Domain(
        10**6, lambda k: f"'{example[:3] or '001'}' || ({k} * 7 // 10 % 2) || {padded(f'50 + {k} * 13 // 10 % 50', 2)} || {padded(k, 6)}"
    ),
    "dien_thoai": lambda _: Domain(
        len(words.MOBILE) * 10**7,
        lambda k: f"{chosen(words.MOBILE, f'{k} % {len(words.MOBILE)}')} || {padded(f'{k} // {len(words.MOBILE)}', 7)}",
    ),
    "dien_thoai_co_quan": lambda example: Domain(10**6, lambda k: f"'{example[:5] or '02400'}' || {padded(k, 6)}"),
    "email": lambda _: Domain(10**6, lambda k: f"{chosen(words.ASCII_GIVEN, f'{k} % {len(words.ASCII_GIVEN)}')} || {k} || '@example.vn'"),
    "email_co_quan": lambda _: Domain(10**6, lambda k: f"'vanthu' || {k} || '@example.vn'", variety=500),
    "url": lambda _: Domain(10**6, lambda k: f"'https://www' || {k} || '.example.vn'"),
    "bien_so_xe": lambda example: Domain(
        2_000_000,
        lambda k: (
            f"'{example[:2] or '29'}' || {chosen(tuple('ABCDFGHKLMNPSTUVXYZE'), f'{k} // 100000')} || '-' || {padded(f'{k} % 100000', 5)}"
        ),
    ),
    "bhxh": lambda example: Domain(10**8, lambda k: f"'{example[:2] or '01'}' || {padded(k, 8)}"),
    "the_bhyt": lambda example: Domain(
        10**10, lambda k: f"{chosen(words.INSURED, f'{k} % {len(words.INSURED)}')} || '{example[3:5] or '01'}' || {padded(k, 10)}"
    ),
    "so_ho_chieu": lambda _: Domain(10**7, lambda k: f"'C' || {padded(k, 7)}"),
    "tai_khoan_ngan_hang": lambda example: Domain(10**9, lambda k: f"'{example[:4] or '1000'}' || {padded(k, 9)}"),
    "dan_toc": lambda _: of(words.ETHNIC, skewed=True),
    "ton_giao": lambda _: of(words.RELIGION, skewed=True),
    "suc_khoe": lambda _: of(words.HEALTH, skewed=True),
    "icd10": lambda _: of(words.DISEASE),
    "vsic": lambda _: of(words.INDUSTRY),
    "quoc_gia": lambda _: of(words.COUNTRY, skewed=True),
    "ma_hs": lambda _: of(words.GOODS),
    "ma_dinh_danh": lambda example: Domain(
        10_000,
        lambda k: f"'000.' || {padded(f'{k} // 100', 2)} || '.' || {padded(f'{k} % 100', 2)} || '.{example.rpartition('.')[2] or 'H00'}'",
    ),
    "so_van_ban": lambda _: Domain(
        10**7,
        lambda k: f"({k} // {len(words.DOCUMENT)} + 1) || '/' || {chosen(words.DOCUMENT, f'{k} % {len(words.DOCUMENT)}')}",
        variety=4000,
    ),
    "ma_tthc": lambda _: Domain(200_000, lambda k: f"(1 + {k} % 2) || '.' || {padded(f'{k} // 2 + 1', 6)}", variety=400),
    # Agency, day of receipt (`related` makes it the row's), number.
    "ma_ho_so": lambda example: Domain(
        10**8 - 1,
        lambda k: (
            f"'{example.split('-')[0] or 'H00.01'}-' || strftime({days(FIRST_DAY, LAST_DAY).at(f'{k} % {DAYS}')}, '%y%m%d') || '-' || {padded(f'{k} + 1', 4)}"
        ),
        running=True,
    ),
}
