"""How a delimited file is laid out, decided with the contract in hand.

A sniffer without a contract has only regularity to go by, and a title block, a stray quote or a comma in an address
upsets it. Here the header is the row that names the contract's columns, the delimiter the one under which it does, and
the cells below must look like the contract's types. What the contract pins is not decided.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipelines.contract import Column, Contract
from pipelines.contract.model import Reading
from pipelines.gate.headers import fold, known_names
from pipelines.gate.readers.legacy import evidence, unicode_of
from pipelines.gate.readers.records import Dialect, Record, records
from pipelines.gate.readers.source import Decision, Unreadable

DELIMITERS = (",", ";", "\t", "|", ", ", "\t\t", "||", "::", ":", "^", "~", "¦", "§", "\x1f", "\x01", "\\t", " ")
"""In order of preference where all else is equal."""
WITHIN_NAMES = (" ", ":")
"""Delimiters that also stand inside names: they must name half of the columns at least."""
QUOTES = ('"', "'")
SAMPLE = 300
"""Records by which a dialect is judged."""
ABOVE = 80
"""Records within which the header is sought."""
MAX_COLUMNS = 2_000
MAX_NAME = 1_000
"""Characters of a header cell; a longer one is no name."""
ORDINALS = {"stt", "tt", "so_tt", "so_thu_tu", "no"}
"""Headers of a column that only counts the rows; ignored where the contract has no such column."""
SHAPES = {
    "integer": re.compile(r"[\s+-]*[\d.,' ]*\d[\d.,' ]*"),
    "number": re.compile(r"[\s+(-]*[\d.,' ]*\d[\d.,' ]*([eE][+-]?\d+)?[\s%)]*"),
    "date": re.compile(r"[\d\s/.:TZ+-]*\d[\d\s/.:TZ+-]*"),
    "timestamp": re.compile(r"[\d\s/.:TZ+-]*\d[\d\s/.:TZ+-]*"),
}
NUMERIC = re.compile(r"[\s+(-]*[\d.,/:%' -]*\d[\d.,/:%' )-]*")


@dataclass(frozen=True)
class Layout:
    """``header`` as the columns will be called; ``places`` the cell of a record that each is; ``fitting`` the contract's column
    of each, where it has one. Data begins on ``data_line``; the header's own lines are ``header_lines`` (none: there is none)."""

    dialect: Dialect
    header: tuple[str, ...]
    places: tuple[int, ...]
    width: int
    fitting: tuple[Column | None, ...]
    header_lines: tuple[int, ...]
    data_line: int
    decisions: tuple[Decision, ...] = ()


def looks(column: Column | None, cell: str) -> bool:
    """Whether a cell has the looks of the column's type: cheap, and right about text in a column of numbers."""
    shape = SHAPES.get(column.type) if column else None
    text = cell.strip()
    return not text or shape is None or bool(shape.fullmatch(text)) or len(text) <= 3


@dataclass(frozen=True)
class _Header:
    """A candidate: its names, the records it spans (by index), the contract's columns it names (by place)."""

    names: list[str]
    first: int
    last: int
    named: dict[int, Column]


@dataclass(frozen=True)
class _Trial:
    dialect: Dialect
    records: list[Record]
    header: _Header | None
    score: tuple[float, ...]
    perfect: bool = False


def layout_of(lines: list[str], contract: Contract | None) -> Layout:
    """The layout of a file that begins with ``lines``. Raises `Unreadable` where no header is found and none is pinned."""
    reading = contract.reading if contract else Reading()
    charset = evidence(lines[:SAMPLE]).verdict(2)
    read: Callable[[str], str] = (lambda text: unicode_of(text, charset)) if charset else lambda text: text
    best = _best(lines, contract, reading, read)
    if max(len(r.cells) for r in best.records) > MAX_COLUMNS:
        raise Unreadable(
            f"Tệp có hơn {MAX_COLUMNS} cột; có lẽ dấu ngắt dòng đã mất",
            f"The file has more than {MAX_COLUMNS} columns; its line breaks may be lost",
        )
    if best.header is None and any(len(cell) > MAX_NAME for r in best.records[:1] for cell in r.cells):
        raise Unreadable(
            f"Dòng đầu dài hơn {MAX_NAME} ký tự mà không có dấu phân cách: đây không phải bảng",
            f"The first line runs over {MAX_NAME} characters without a delimiter: this is no table",
        )
    if contract and reading.by_position:
        return _by_position(best, contract, reading)
    header = best.header or _first_header(best, contract)
    return _laid_out(best, header, contract)


def _best(lines: list[str], contract: Contract | None, reading: Reading, read: Callable[[str], str]) -> "_Trial":
    best: _Trial | None = None
    for dialect in _dialects(lines, reading):
        trial = _trial(dialect, lines, contract, reading, read)
        if best is None or trial.score > best.score:
            best = trial
        if contract and trial.header and trial.perfect and len(trial.header.named) == len(trial.header.names):
            break  # every header named, every row even, every cell of its type: nothing can be better
    assert best is not None  # the comma is always tried
    return best


def _dialects(lines: list[str], reading: Reading) -> Iterator[Dialect]:
    sample = "\n".join(lines[:SAMPLE])
    quotes = (reading.quote,) if reading.quote else QUOTES
    for delimiter in (reading.delimiter,) if reading.delimiter else DELIMITERS:
        if delimiter not in sample and delimiter != "," and not reading.delimiter:
            continue
        for quote in quotes:
            if quote not in sample and quote != quotes[0]:
                continue
            yield Dialect(delimiter, quote, quote)
            if "\\" + quote in sample:
                yield Dialect(delimiter, quote, "\\")


def _trial(dialect: Dialect, lines: list[str], contract: Contract | None, reading: Reading, read: Callable[[str], str]) -> _Trial:
    found: list[Record] = []
    for record in records(((line, False) for line in lines), dialect):
        found.append(record)
        if len(found) == SAMPLE:
            break
    header = _named_header(found, contract, reading, read) if contract else None
    if header and dialect.delimiter in WITHIN_NAMES and not reading.delimiter and 2 * len(header.named) < len(header.names):
        header = None
    filled = [r for r in found if r.text.strip()]
    width = len(header.names) if header else _usual_width(filled)
    below = [r for r in (found[header.last + 1 :] if header else filled) if r.text.strip()]
    even = sum(_width(r) <= width <= len(r.cells) for r in below) / len(below) if below else 0.0
    neat = _neat(below, header, dialect)
    preferred = -DELIMITERS.index(dialect.delimiter) / 20 if dialect.delimiter in DELIMITERS else 0.0
    score: tuple[float, ...]
    if header:
        score = (1, len(header.named), even + neat + len(header.named) / len(header.names), preferred)
    elif contract:
        score = (0, (width > 1) + even + neat - abs(width - len(contract.columns)) / 20 + preferred)
    else:
        score = (0, width > 1, round(even * neat, 1), width * even, preferred)
    return _Trial(dialect, found, header, score, perfect=even == neat == 1)


def _width(record: Record) -> int:
    """Cells up to the last that is not empty."""
    cells = record.cells
    size = len(cells)
    while size and not cells[size - 1].strip():
        size -= 1
    return size


def _usual_width(found: list[Record]) -> int:
    counts = Counter(len(r.cells) for r in found)
    return max(counts, key=lambda w: (counts[w] * (w > 1), w)) if counts else 1


def _neat(below: list[Record], header: _Header | None, dialect: Dialect) -> float:
    """Share of cells that look as they should: of the column's type, and no quote left around them."""
    good = total = 0
    for record in below:
        for place, cell in enumerate(record.cells):
            text = cell.strip()
            if not text:
                continue
            total += 1
            quoted = text[0] in "\"'" and text[-1] == text[0] and len(text) > 1
            escaped = dialect.quote and "\\" + dialect.quote in text
            good += not quoted and not escaped and (header is None or looks(header.named.get(place), text))
    return good / total if total else 0.0


def _named_header(found: list[Record], contract: Contract, reading: Reading, read: Callable[[str], str]) -> _Header | None:
    """The row (or two or three rows one over the other) that names most columns of the contract; the pinned one, if any."""
    names = known_names(contract)
    best: _Header | None = None
    for index, record in enumerate(found[:ABOVE]):
        if reading.header_row and not record.line <= reading.header_row < record.next_line:
            continue
        for depth in (1, 2, 3):
            if depth > index + 1:
                break
            cells = _stacked([found[i].cells for i in range(index - depth + 1, index + 1)])
            header = _named(cells, index - depth + 1, index, contract, names, read)
            pinned = reading.header_row is not None and depth == 1
            if pinned or (header.named and (best is None or len(header.named) > len(best.named))):
                best = header
        if best and len(best.named) == len(contract.columns):
            break
    return best


def _stacked(rows: list[list[str]]) -> list[list[str]]:
    """Per place, the cells one over the other; an upper cell that spans several is told once, at its left."""
    if len(rows) == 1:
        return [[cell] for cell in rows[0]]
    filled = []
    for row in rows[:-1]:
        carried, over = "", []
        for cell in row:
            carried = cell.strip() or carried
            over.append(carried)
        filled.append(over)
    width = max(map(len, rows))
    at = lambda row, place: row[place].strip() if place < len(row) else ""
    return [
        [*(t for row in filled if (t := at(row, place))), *([at(rows[-1], place)] if at(rows[-1], place) else [])] for place in range(width)
    ]


def _named(
    stacks: list[list[str]], first: int, last: int, contract: Contract, names: dict[str, str], read: Callable[[str], str]
) -> _Header:
    called: list[str] = []
    named: dict[int, Column] = {}
    taken: set[str] = set()
    for place, stack in enumerate(stacks):
        parts = list(dict.fromkeys(part.strip() for part in stack if part.strip()))
        options = list(dict.fromkeys([" ".join(parts), *(parts[-1:]), *(parts[:1])])) or [""]
        fits = next((o for o in options if names.get(fold(read(o))) not in (None, *taken)), None)
        called.append(fits if fits is not None else options[0])
        if fits is not None:
            target = names[fold(read(fits))]
            taken.add(target)
            named[place] = contract.by_name[target]
    return _Header(called, first, last, named)


def _first_header(trial: _Trial, contract: Contract | None) -> _Header:
    """Where no row names a column: the first row of the usual width, if it can be one at all."""
    filled = [(i, r) for i, r in enumerate(trial.records) if r.text.strip()]
    if not filled:
        raise Unreadable("Tệp không có hàng nào", "The file holds no rows")
    width = _usual_width([r for _, r in filled])
    index, record = next((i, r) for i, r in filled if len(r.cells) == width)
    if contract and any(NUMERIC.fullmatch(cell.strip()) for cell in record.cells if cell.strip()):
        raise Unreadable(
            "Không tìm thấy dòng tiêu đề: không hàng nào ở đầu tệp mang tên các cột của hợp đồng. "
            "Hãy thêm dòng tiêu đề, hoặc ghi byPosition trong hợp đồng nếu thứ tự cột luôn cố định",
            "No header row: none of the first rows carries the names of the contract's columns. "
            "Add one, or write byPosition in the contract if the order of columns never changes",
        )
    return _Header([c.strip() for c in record.cells], index, index, {})


def _by_position(trial: _Trial, contract: Contract, reading: Reading) -> Layout:
    """Columns in the contract's order; a row that names them, or whose cells are not of their types, is a header."""
    columns = contract.columns
    first, last = (trial.header.first, trial.header.last) if trial.header and trial.header.named else (0, -1)
    for index, record in enumerate(trial.records):
        pinned = reading.header_row is not None and record.line <= reading.header_row
        typed = any(c.type in SHAPES and SHAPES[c.type].fullmatch(cell.strip()) for c, cell in zip(columns, record.cells, strict=False))
        wide = len(record.cells) >= len(columns)
        if index > last and not pinned and wide and (typed or not any(c.type in SHAPES for c in columns)):
            break
        if index > last and wide:
            first = last = index
    else:
        raise Unreadable(f"Không hàng nào có đủ {len(columns)} cột của hợp đồng", f"No row has the {len(columns)} columns of the contract")
    return Layout(
        trial.dialect,
        tuple(c.name for c in columns),
        tuple(range(len(columns))),
        len(columns),
        columns,
        tuple(r.line for r in trial.records[first : last + 1]),
        record.line,
        (*_decided(trial), Decision("header", "byPosition", "pinned")),
    )


def _laid_out(trial: _Trial, header: _Header, contract: Contract | None) -> Layout:
    names = list(header.names)
    below = trial.records[header.last + 1 :]
    while len(names) > 1 and not names[-1].strip() and all(_width(r) < len(names) for r in below):
        names.pop()
    unique: dict[str, int] = {}
    places, called, fitting, ignored = [], [], [], []
    for place, name in enumerate(names):
        if contract and place not in header.named and fold(name) in ORDINALS:
            ignored.append(name)
            continue
        name = name.replace("\x00", "").strip() or f"(cột {place + 1})"
        unique[name.lower()] = unique.get(name.lower(), 0) + 1
        called.append(name if unique[name.lower()] == 1 else f"{name} ({unique[name.lower()]})")
        places.append(place)
        fitting.append(header.named.get(place))
    spanned = trial.records[header.first : header.last + 1]
    decisions = [*_decided(trial)]
    if contract and (spanned[0].line > 1 or len(spanned) > 1):
        lines = "–".join(dict.fromkeys(str(r.line) for r in (spanned[0], spanned[-1])))
        decisions.append(
            Decision("header", f"dòng {lines}", f"{len(header.named)}/{len(contract.columns)} cột được gọi tên · columns named")
        )
    decisions += [Decision("ignored-column", name, "chỉ đánh số hàng · only counts the rows") for name in ignored]
    return Layout(
        trial.dialect,
        tuple(called),
        tuple(places),
        len(names),
        tuple(fitting),
        tuple(r.line for r in spanned),
        spanned[-1].next_line,
        tuple(decisions),
    )


def _decided(trial: _Trial) -> Iterator[Decision]:
    usual = Dialect(",")
    shown = {"\t": "tab", " ": "space", "\t\t": "tab tab", "\x1f": "U+001F", "\x01": "U+0001"}
    named = f"{len(trial.header.named)} cột được gọi tên · columns named" if trial.header else ""
    if trial.dialect.delimiter != usual.delimiter:
        yield Decision("delimiter", shown.get(trial.dialect.delimiter, trial.dialect.delimiter), named)
    if trial.dialect.quote != usual.quote:
        yield Decision("quote", trial.dialect.quote, named)
    if trial.dialect.escape == "\\":
        yield Decision("escape", "\\", named)
