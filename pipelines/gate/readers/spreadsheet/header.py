"""Where a sheet's header is, and what its columns are called: decided with the contract's names in hand."""

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count

import polars as pl

from pipelines.contract import Contract
from pipelines.gate.headers import fold, known_names
from pipelines.gate.readers.spreadsheet.sheet import GROUP, KIND, ROW, SHEET, Layout, Sheet, index_of

SEARCHED = 100
"""Rows, not counting blank ones, among which a header may stand."""
DEEPEST = 4
"""Rows that one header may have."""
COUNTERS = {"stt", "tt", "so_tt", "so_thu_tu", "thu_tu", "no"}
"""Headers of a column that only counts the rows."""

Cells = dict[str, str | None]


@dataclass(frozen=True)
class Header:
    """``names``: sheet column → the name it goes by; ``counter``: the STT column, which is not among them.

    ``rows`` are the numbers of the header's rows, ``matched`` the contract's columns that it names.
    """

    rows: tuple[int, ...]
    names: dict[str, str]
    texts: tuple[Cells, ...] = ()
    matched: frozenset[str] = frozenset()
    counter: str | None = None

    @property
    def last_row(self) -> int:
        return self.rows[-1] if self.rows else 0


def find_header(sheet: Sheet, contract: Contract | None) -> Header | None:
    """The header of a sheet; None where there is none.

    With a contract it is the row, or the rows that end there, that name most of the contract's columns. Where none of them is named, and
    without a contract, it is the first row that looks most like a header: full of distinct words. Raises nothing: what does not fit is
    for the judge to say.
    """
    pinned = contract.reading.header_row if contract else None
    start = max(0, (pinned or 0) - SEARCHED)
    top: list[Cells] = sheet.cells.filter(pl.col(ROW) > start).head(SEARCHED).to_dicts()
    ends = [n for n, row in enumerate(top) if pinned is None or pinned == _number(row)]
    best = _best(top, ends, sheet, contract) if contract else None
    if best is None or not best.matched:
        best = _likely_header(top, ends, sheet)
    if contract and contract.reading.by_position and top:
        return _by_position(best or Header((), {}), sheet, contract)
    return best


def _best(top: list[Cells], ends: list[int], sheet: Sheet, contract: Contract) -> Header | None:
    known = known_names(contract)
    required = {column.name for column in contract.columns if column.required}
    best: Header | None = None
    for end in ends:
        used = _used(top[end:])
        for depth in range(1, min(DEEPEST, end + 1) + 1):
            rows = top[end - depth + 1 : end + 1]
            if _number(rows[-1]) - _number(rows[0]) >= depth:
                break  # a blank row ends a header
            header = _read(rows, used, sheet.layout, known)
            if best is None or _rank(header) > _rank(best):
                best = header
        if best and required <= best.matched and len(best.matched) == len(best.names):
            break  # nothing can be better, and rows of data are many
    return best


def _rank(header: Header) -> tuple[int, int, int]:
    return len(header.matched), len(header.names) if header.matched else 0, -len(header.rows)


def _likely_header(top: list[Cells], ends: list[int], sheet: Sheet) -> Header | None:
    likely = _likely([top[n] for n in ends])
    if likely is None:
        return None
    end = start = ends[likely]
    if start > 0 and _spans(top[start - 1], sheet.layout):
        start -= 1
    elif end + 1 < len(top) and _spans(top[end], sheet.layout):
        end += 1
    return _read(top[start : end + 1], _used(top[end:]), sheet.layout, {})


def _used(rows: list[Cells]) -> list[str]:
    """The columns that hold anything in these rows: a title above an empty column does not head it."""
    return [name for name in rows[0] if name != ROW and any(row[name] for row in rows)]


def _read(rows: list[Cells], used: list[str], layout: Layout, known: dict[str, str]) -> Header:
    """The header that these rows make over the columns in use."""
    block = [*(_spread(row, layout, below=rows[-1]) for row in rows[:-1]), rows[-1]]
    stacks = {name: stack for name in used if (stack := [text for row in block if (text := row.get(name))])}
    names: dict[str, str] = {}
    matched: set[str] = set()
    for shape in range(_SHAPES):
        for column, stack in stacks.items():
            called = None if column in names else _called(stack, shape)
            target = known.get(_fold(called)) if called else None
            if called and target and target not in matched:
                names[column] = called
                matched.add(target)
    counter = next((column for column, stack in stacks.items() if column not in names and _fold(stack[-1]) in COUNTERS), None)
    names |= {column: _called(stack, 0) or "" for column, stack in stacks.items() if column not in names and column != counter}
    in_order = {column: names[column] for column in used if column in names}
    return Header(tuple(_number(row) for row in rows), _distinct(in_order), tuple(rows), frozenset(matched), counter)


_fold = lru_cache(4096)(fold)
_SHAPES = 5


def _called(stack: list[str], shape: int) -> str | None:
    """Ways to name a column whose header texts stand above each other, the most telling first."""
    levels = [re.sub(r"\s+", " ", text).strip() for text in stack]
    levels = [text for n, text in enumerate(levels) if n == 0 or text != levels[n - 1]]
    if shape == 0:
        return " / ".join(levels)
    if len(levels) == 1:
        # “Doanh thu (*)”, “Mã số thuế [2]”: the marks of footnotes are no part of a name.
        bare = re.sub(r"\s*[(\[]\s*(?:\*+|\d{1,2}|[ivx]+)\s*[)\]]\s*$", "", levels[0])
        return bare if shape == 1 and bare != levels[0] else None
    return (None, " / ".join(levels[-2:]), levels[-1], f"{levels[-1]} {levels[-2]}", f"{levels[0]} / {levels[-1]}")[shape]


def _spread(row: Cells, layout: Layout, below: Cells) -> Cells:
    """An upper row of a header, with each text over all the columns that it heads.

    Merged ranges say so exactly; where a file has none (some formats do not tell, and many a heading is drawn over several columns
    without merging), an empty cell belongs to the text on its left if the header goes on below it.
    """
    number = _number(row)
    merged = [(first, last) for first_row, first, last_row, last in layout.merged if first_row <= number <= last_row]
    spread = dict(row)
    left: tuple[int, str | None] = (-1, None)
    for name in row:
        if name == ROW:
            continue
        column = index_of(name)
        if row[name]:
            left = column, row[name]
        elif own := next(((first, last) for first, last in merged if first <= column <= last), None):
            spread[name] = left[1] if left[0] == own[0] else None
        elif below.get(name):
            spread[name] = left[1]
    return spread


def _number(row: Cells) -> int:
    """The row's number in the sheet."""
    return int(row[ROW] or 0)


def _spans(row: Cells, layout: Layout) -> bool:
    """Whether a row heads groups of columns: a merged range across that is not the whole width, as a title's is."""
    number = _number(row)
    width = sum(1 for name in row if name != ROW)
    return any(r1 == r2 == number and 0 < c2 - c1 < width - 1 for r1, c1, r2, c2 in layout.merged)


def _likely(top: list[Cells]) -> int | None:
    """The first row with most distinct words among those at least half as full as the fullest; None where there are no words."""
    fullness = [sum(1 for name, text in row.items() if name != ROW and text) for row in top]
    best, most = None, 0
    for n, row in enumerate(top):
        words = {text for name, text in row.items() if name != ROW and text and _is_word(text)}
        if 2 * fullness[n] >= max(fullness) and len(words) == fullness[n] and len(words) > most:
            best, most = n, len(words)
    return best


def _is_word(text: str) -> bool:
    return any(letter.isalpha() for letter in text)


def _distinct(names: dict[str, str]) -> dict[str, str]:
    """The second `Ghi chú` becomes `Ghi chú (2)`: a name repeated is a fault to be reported, not to be hidden. Case makes no difference to SQL."""
    taken = {ROW, KIND, GROUP, SHEET}
    given = {}
    for column, name in names.items():
        again = (f"{name} ({n})" for n in count(2))
        given[column] = name if name.lower() not in taken else next(other for other in again if other.lower() not in taken)
        taken.add(given[column].lower())
    return given


def _by_position(header: Header, sheet: Sheet, contract: Contract) -> Header:
    """The contract's columns in its order, whatever the header says; a column beyond them keeps its own name."""
    taken_elsewhere = (contract.reading.sheet_column, contract.reading.group_column)
    order = [column.name for column in contract.columns if column.name not in taken_elsewhere]
    columns = [name for name in sheet.columns if name != header.counter]
    names = dict(zip(columns, order, strict=False)) | {
        column: header.names[column] for column in columns[len(order) :] if column in header.names
    }
    return replace(header, names=names, matched=frozenset(order[: len(columns)]))


_UNIT = re.compile(
    r"(?:(?:đvt|dvt|đơn vị tính|don vi tinh)\s*[:.]?|đơn vị\s*:(?=\s*(?:1[.,\s]?000|nghìn|ngàn|triệu|tỷ|tỉ|đồng|usd|%|người|hộ|ha|tấn|cái|lượt)))"
    r"\s*([^;)\]\n|]{1,40})",
    re.IGNORECASE,
)


def stated_unit(sheet: Sheet, header: Header) -> str | None:
    """The unit that the rows above the header state for the figures below: `(ĐVT: triệu đồng)` → `triệu đồng`."""
    for row in sheet.cells.filter(sheet.cells[ROW] <= header.last_row).to_dicts():
        text = unicodedata.normalize("NFC", " ".join(str(text) for name, text in row.items() if name != ROW and text))
        if (row[ROW] not in header.rows[-1:]) and (found := _UNIT.search(text)):
            return found[1].strip(" .,:")
    return None
