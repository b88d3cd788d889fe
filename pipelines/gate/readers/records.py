"""Physical lines of a delimited file → records, in bounded memory, recovering where quotes are broken.

A record is the line that it starts on. Only a quote left open makes it longer, and only when the lines that close it make
a record of the table's width; else the quote was a stray one, and the next line is a record of its own.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

MAX_RECORD = 16 << 20
"""Characters of the longest record; what a line holds beyond is cut off, and the row held back."""
MAX_LINES = 2_000
"""Lines of the longest record."""
CLOSINGS = 3
"""How many lines are tried that may close a quote left open."""
STAND_IN = "\x1f"
"""Stands for a delimiter of several characters while a line is split (the unit separator of ASCII)."""
BREAKS = str.maketrans("\n\r", "\x1e\x1d")
"""Line breaks inside a record, which the csv module would take for its end."""
BREAKS_BACK = str.maketrans("\x1e\x1d", "\n\r")
csv.field_size_limit(MAX_RECORD * 2)


@dataclass(frozen=True)
class Dialect:
    """How cells are told apart. ``quote`` empty: none. ``escape`` is the quote doubled, or a backslash."""

    delimiter: str
    quote: str = '"'
    escape: str = '"'

    @property
    def simple(self) -> bool:
        return len(self.delimiter) == 1


@dataclass(frozen=True, slots=True)
class Record:
    """``line`` is the number of the line it starts on, from 1; ``text`` that line as it is."""

    line: int
    cells: list[str]
    text: str
    cut: bool = False
    next_line: int = 0


def newline_of(head: str) -> str:
    """What ends a line: LF (with or without CR), or CR alone where there is no LF."""
    return "\r" if "\n" not in head and "\r" in head else "\n"


def lines_of(file: Path, newline: str, limit: int = MAX_RECORD) -> Iterator[tuple[str, bool]]:
    """The lines of a UTF-8 file without their ends, and whether they were cut; never more than ``limit`` in memory."""
    with file.open(encoding="utf-8-sig", newline=newline) as stream:
        while line := stream.readline(limit):
            cut = False
            while not line.endswith(newline) and (rest := stream.readline(limit)):
                cut = True
                if rest.endswith(newline):
                    break
            yield line.removesuffix(newline).removesuffix("\r"), cut


def records(lines: Iterable[tuple[str, bool]], dialect: Dialect, width: int | None = None) -> Iterator[Record]:
    """The records of ``lines``. ``width`` is how many cells a record spread over lines must have (any, where None)."""
    ahead = _Ahead(lines, dialect)
    while (taken := ahead.take()) is not None:
        number, text, cut = taken
        cells, is_open = split(text, dialect)
        last = number
        if is_open and not cut and (whole := _closed(number, text, ahead, dialect, width)):
            cells, last = whole
            ahead.drop(last)
        elif is_open:
            cells = _by_place(text, dialect)
        yield Record(number, cells, text, cut, last + 1)


class _Ahead:
    """Lines with those read ahead; each is looked at for quotes once, however many records might reach it."""

    def __init__(self, lines: Iterable[tuple[str, bool]], dialect: Dialect) -> None:
        self.source, self.dialect = iter(lines), dialect
        self.waiting: deque[tuple[str, bool]] = deque()
        self.first, self.size = 1, 0
        self.odd: deque[int] = deque()
        """Numbers of waiting lines that may close a quote: those with an odd number of them."""

    def take(self) -> tuple[int, str, bool] | None:
        if not self.waiting and not self._read():
            return None
        text, cut = self.waiting.popleft()
        self.size -= len(text)
        self.first += 1
        while self.odd and self.odd[0] < self.first:
            self.odd.popleft()
        return self.first - 1, text, cut

    def drop(self, last: int) -> None:
        while self.first <= last:
            self.take()

    def closing(self) -> Iterator[int]:
        """Numbers of the next few lines that may close a quote, within reach."""
        for index in range(CLOSINGS):
            while len(self.odd) <= index:
                if len(self.waiting) >= MAX_LINES or self.size > MAX_RECORD or not self._read():
                    return
            yield self.odd[index]

    def upto(self, last: int) -> list[str]:
        return [text for text, _ in islice(self.waiting, last - self.first + 1)]

    def _read(self) -> bool:
        for text, cut in self.source:
            self.waiting.append((text, cut))
            self.size += len(text)
            if self.dialect.quote in text and self.dialect.quote and _quotes(text, self.dialect) % 2:
                self.odd.append(self.first + len(self.waiting) - 1)
            return True
        return False


def _closed(number: int, text: str, ahead: _Ahead, dialect: Dialect, width: int | None) -> tuple[list[str], int] | None:
    """The record that an open quote makes with the lines after it, and the number of its last line."""
    for last in ahead.closing():
        cells, is_open = split("\n".join([text, *ahead.upto(last)]), dialect)
        if not is_open:
            return (cells, last) if cells and (width is None or len(cells) == width) else None
    return None


def _quotes(text: str, dialect: Dialect) -> int:
    count = text.count(dialect.quote)
    return count - text.count(dialect.escape + dialect.quote) if dialect.escape != dialect.quote else count


def split(text: str, dialect: Dialect) -> tuple[list[str], bool]:
    """The cells of a record, and whether its last quote is still open. Quotes broken inside a line are read by where they stand:
    one opens after a delimiter and closes before one."""
    if not dialect.quote or dialect.quote not in text:
        return text.split(dialect.delimiter) if dialect.escape != "\\" or "\\" not in text else _parse(text, dialect), False
    if dialect.delimiter not in text and not text.lstrip().startswith(dialect.quote):
        return [text], False
    cells = _parse(text, dialect)
    if cells[-1].endswith("\n"):
        return cells, True
    try:
        _parse(text, dialect, strict=True)
    except csv.Error:
        return _by_place(text, dialect) or cells, False
    return cells, False


def _parse(text: str, dialect: Dialect, strict: bool = False) -> list[str]:
    delimiter = dialect.delimiter
    if not dialect.simple:
        text, delimiter = text.replace(delimiter, STAND_IN), STAND_IN
    made = next(
        csv.reader(
            [text.translate(BREAKS) + "\n"],
            delimiter=delimiter,
            quotechar=dialect.quote or None,
            quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
            doublequote=True,
            escapechar="\\" if dialect.escape == "\\" else None,
            skipinitialspace=not delimiter.isspace(),
            strict=strict,
        ),
        [""],
    )
    cells = [cell.translate(BREAKS_BACK) for cell in made] or [""]
    return cells if dialect.simple else [cell.replace(STAND_IN, dialect.delimiter) for cell in cells]


def _by_place(text: str, dialect: Dialect) -> list[str]:
    """Cells told by where quotes stand: one that begins a cell holds it together up to the next that ends one; others are letters."""
    quote, delimiter = dialect.quote, dialect.delimiter
    if not delimiter.isspace():
        text = re.sub(f"{re.escape(quote)} +{re.escape(delimiter)}", lambda _: quote + delimiter, text)
    ends_quoted = text.rstrip(" ").endswith(quote)
    cells: list[str] = []
    at, closes = 0, True
    while True:
        start = at
        while text.startswith(" ", start) and delimiter != " ":
            start += 1
        if text.startswith(quote, start) and closes:
            end = text.find(quote + delimiter, start + 1)
            if end >= 0:
                cells.append(text[start + 1 : end].replace(quote * 2, quote))
                at = end + len(quote + delimiter)
                continue
            closes = False  # nor will a later one find its end
            if ends_quoted and len(text.rstrip(" ")) > start + 1:
                return [*cells, text.rstrip(" ")[start + 1 : -1].replace(quote * 2, quote)]
        end = text.find(delimiter, at)
        if end < 0:
            return [*cells, text[at:]]
        cells.append(text[at:end])
        at = end + len(delimiter)
