"""Which records of a delimited file are rows of its table, and what the others are: nothing is dropped without a name."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from pipelines.contract import Contract
from pipelines.gate.headers import fold
from pipelines.gate.readers.dialect import NUMERIC, SHAPES, Layout, looks
from pipelines.gate.readers.records import Dialect, Record, split
from pipelines.gate.readers.source import Total

TOTAL = re.compile(
    r"(tổng\s*cộng|tổng\s*số|tổng(?!\s*(công ty|cục|hợp|kho|lãnh|đài|đội|thống|bí|giám|thầu))|cộng|tong cong|total|grand total)\b[\s:.(\d)]*",
    re.I,
)
GRAND = re.compile(r"tổng|tong cong|grand|total", re.I)
GROUP = re.compile(r"([IVXLC]+|[A-ZĐ]|\d+)\s*[.)/:-]\s*\S.*|[IVXLC]+")
COMMENT = ("#", "//", "--", "%%")
TOTALLING = frozenset("tTcCgG")
"""First letters of the words for totals."""
TELLING = TOTALLING | frozenset(" \t\u00a0\ufeff#/-%") | {""}
"""How the first cells begin of a record that may be no row."""
OTHER_DELIMITERS = (",", ";", "\t", "|")
SHOWN = 10_000
"""Characters kept of a line that is left out."""
MAX_HELD = 200
"""Short lines kept back until it is known whether they stand at the end (notes) or among the rows (faults)."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: its cells in the header's order, what is wrong with its form, and the group that it stands in."""

    line: int
    cells: list[str]
    fault: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A record that is no row. ``kind``: title, header, comment, blank, total, group, note, table (rows of another table)."""

    line: int
    kind: str
    text: str

    @property
    def shown(self) -> str:
        """The text in a form that SQL can carry: NUL as its visible sign, and not endless."""
        return self.text[:SHOWN].replace("\x00", "␀")


@dataclass
class Sorting:
    """What was met while sorting, known once all records are read."""

    totals: list[Total] = field(default_factory=list)
    mended: dict[str, int] = field(default_factory=dict)
    """What was put right in how many rows: other delimiters, NUL characters."""
    unnamed_filled: set[int] = field(default_factory=set)


def sort(
    found: Iterable[Record], layout: Layout, contract: Contract | None, sorting: Sorting, trims: bool = False
) -> Iterator[Row | LeftOut]:
    """The records in order as rows and what is left out.

    ``trims``: whoever wrote the file leaves out empty cells at the end of a row, so a short row is whole.
    """
    sorter = _Sorter(layout, contract, sorting, trims)
    for record in found:
        yield from sorter.take(record)
    yield from sorter.end()


class _Sorter:
    def __init__(self, layout: Layout, contract: Contract | None, sorting: Sorting, trims: bool) -> None:
        self.layout, self.sorting, self.trims = layout, sorting, trims
        self.contract = contract
        self.header = [fold(h) for h in layout.header]
        self.first_name = self.header[0]
        self.groups = contract.reading.group_column if contract else None
        self.others = [Dialect(d, layout.dialect.quote) for d in OTHER_DELIMITERS if d != layout.dialect.delimiter]
        self.identity = layout.places == tuple(range(layout.width))
        self.telling = TELLING | {
            sign for cell in layout.header[:1] for sign in (cell[:1].lower(), cell[:1].upper(), fold(cell)[:1], fold(cell)[:1].upper())
        }
        self.held: list[Record] = []
        self.elsewhere = self.after_blank = False
        self.rows = 0
        self.group: str | None = None
        self.covered_from = self.first_row = 0
        self.last_row = 0

    def take(self, record: Record) -> Iterator[Row | LeftOut]:
        if self.rows and self._is_ordinary(record):
            self.covered_from = self.covered_from or record.line
            self.rows, self.last_row = self.rows + 1, record.line
            cells = record.cells
            yield Row(record.line, cells if self.identity else [cells[p] for p in self.layout.places], None, self.group)
            return
        text = record.text.strip()
        if record.line < self.layout.data_line:
            yield LeftOut(record.line, self._above(record, text), record.text)
            return
        if not any(cell.strip(" \t\u00a0\ufeff\x00\x1a") for cell in record.cells):
            self.after_blank = True
            yield LeftOut(record.line, "blank", "")
            return
        after_blank, self.after_blank = self.after_blank, False
        record = self._without_nul(record)
        if self._is_header(record):
            self.elsewhere = False
            yield from self._release("note")
            yield LeftOut(record.line, "header", record.text)
        elif self.elsewhere or (after_blank and self._starts_another(record)):
            self.elsewhere = True
            yield from self._release("note")
            yield LeftOut(record.line, "table", record.text)
        elif not self.rows and self._is_numbering(record):
            yield LeftOut(record.line, "header", record.text)
        elif (label := self._total_label(record)) is not None:
            yield from self._release("short")
            self._total(record, label)
            yield LeftOut(record.line, "total", record.text)
        else:
            yield from self._row(record, text)

    def _is_ordinary(self, record: Record) -> bool:
        """Nothing about the record asks for a second look: most of even a dirty file is such, and time goes by records."""
        cells = record.cells
        return (
            len(cells) == self.layout.width > 1
            and not (self.held or self.elsewhere or self.after_blank or record.cut)
            and cells[0][:1] not in self.telling
            and cells[1][:1] not in TELLING
            and (len(cells) < 3 or cells[2][:1] not in TOTALLING)
            and (len(cells) < 4 or cells[3][:1] not in TOTALLING)
            and record.next_line == record.line + 1
            and "\x00" not in record.text
        )

    def end(self) -> Iterator[Row | LeftOut]:
        yield from self._release("note")

    def _above(self, record: Record, text: str) -> str:
        if not text.strip(" ,;\t|"):
            return "blank"
        if record.line in self.layout.header_lines:
            return "header"
        return "comment" if text.startswith(COMMENT) else "title"

    def _without_nul(self, record: Record) -> Record:
        if "\x00" not in record.text and not any("\x00" in cell for cell in record.cells):
            return record
        cells = [cell.rstrip("\x00 ") for cell in record.cells]
        if not any("\x00" in cell for cell in cells):
            self.sorting.mended["nul"] = self.sorting.mended.get("nul", 0) + 1
        return Record(record.line, cells, record.text, record.cut, record.next_line)

    def _is_header(self, record: Record) -> bool:
        cells = [record.cells[p] for p in self.layout.places if p < len(record.cells)]
        return len(cells) == len(self.header) and fold(cells[0]) == self.first_name and [fold(c) for c in cells] == self.header

    def _is_numbering(self, record: Record) -> bool:
        """`(1) (2) (3)` under the header; without brackets only where it cannot be a row."""
        cells = [c.strip() for c in record.cells if c.strip()]
        if len(cells) < 3:
            return False
        if all(re.fullmatch(r"\(\d+\)|\([A-Za-z]\)", c) for c in cells):
            return True
        numbers = [str(i) for i in range(1, len(cells) + 1)]
        typed = [c for c in self.layout.fitting if c is not None and c.type in ("date", "timestamp", "boolean")]
        return cells == numbers and bool(typed) and len(cells) == len(self.layout.header)

    def _starts_another(self, record: Record) -> bool:
        """Whether a record below a blank line begins another table: names only, and not where ours would have them."""
        cells = record.cells
        named = [c.strip() for c in cells if c.strip()]
        if len(named) < 2 or any(NUMERIC.fullmatch(c) for c in named):
            return False
        if len(cells) != self.layout.width:
            return True
        typed = [(c, cells[p]) for c, p in zip(self.layout.fitting, self.layout.places, strict=True) if c is not None and c.type in SHAPES]
        return bool(typed) and not any(looks(c, cell) and cell.strip() for c, cell in typed)

    def _total_label(self, record: Record) -> int | None:
        """The place of the words `Tổng cộng` among the first cells, where the row cannot be one of the table's own."""
        for place, cell in enumerate(record.cells[:4]):
            if not cell.strip() or not TOTAL.match(label := unicodedata.normalize("NFC", cell.strip())):
                continue
            exact = TOTAL.fullmatch(label) is not None
            for column, at in zip(self.layout.fitting, self.layout.places, strict=True):
                if column is None:
                    continue
                given = record.cells[at].strip() if at < len(record.cells) else ""
                if (column.required or column.key) and not given:
                    return place
                if at == place and (column.type != "string" or column.values or (exact and (column.pattern or column.key))):
                    return place
            if exact and (self.contract is None or place not in self.layout.places):
                return place
            return None
        return None

    def _total(self, record: Record, label: int) -> None:
        grand = bool(GRAND.match(unicodedata.normalize("NFC", record.cells[label].strip())))
        first = self.first_row if grand else self.covered_from or self.first_row
        for name, place, column in zip(self.layout.header, self.layout.places, self.layout.fitting, strict=True):
            cell = record.cells[place].strip() if place < len(record.cells) else ""
            if place > label and cell and NUMERIC.fullmatch(cell) and (column is None or column.type in ("integer", "number")) and first:
                self.sorting.totals.append(Total(record.line, name, cell, first, self.last_row))
        self.covered_from = 0

    def _row(self, record: Record, text: str) -> Iterator[Row | LeftOut]:
        width, cells = self.layout.width, record.cells
        if len(cells) != width and (other := self._by_other_delimiter(record)):
            cells = other
            self.sorting.mended["delimiter"] = self.sorting.mended.get("delimiter", 0) + 1
        filled = [c.strip() for c in cells if c.strip()]
        if len(filled) == 1 and width >= 3 and self._is_group(cells, filled[0]):
            yield from self._release("short")
            self.group = filled[0]
            yield LeftOut(record.line, "group", record.text)
            return
        if text.startswith(COMMENT) and len(cells) != width:
            yield LeftOut(record.line, "comment", record.text)
            return
        if len(filled) == 1 and width >= 3 and len(self.held) < MAX_HELD:
            self.held.append(record)
            return
        yield from self._release("short")
        yield self._made(record, cells)

    def _is_group(self, cells: list[str], only: str) -> bool:
        return bool(GROUP.fullmatch(only)) if not self.groups else bool(cells[0].strip() or GROUP.fullmatch(only))

    def _made(self, record: Record, cells: list[str]) -> Row:
        width, fault = self.layout.width, None
        extra = cells[width:]
        if any(cell.strip() for cell in extra):
            fault = "long"
            cells = [*cells[: width - 1], self.layout.dialect.delimiter.join(cells[width - 1 :])]
        elif len(cells) < width and not self.trims:
            fault = "short"
        if record.cut:
            fault, cells = "huge", [cell[:1_000] for cell in cells]
        if any("\x00" in cell for cell in cells):
            fault, cells = "nul", [cell.replace("\x00", "") for cell in cells]
        made = [cells[p] if p < len(cells) else "" for p in self.layout.places]
        if not self.rows:
            self.first_row = record.line
        self.covered_from = self.covered_from or record.line
        self.rows, self.last_row = self.rows + 1, record.line
        return Row(record.line, made, fault, self.group)

    def _by_other_delimiter(self, record: Record) -> list[str] | None:
        """A row written with another delimiter than the header's: it must then have just the table's cells, each of its type."""
        for dialect in self.others:
            if dialect.delimiter in record.text:
                cells, is_open = split(record.text, dialect)
                if len(cells) == self.layout.width and not is_open and self._all_look(cells):
                    return cells
        return None

    def _all_look(self, cells: list[str]) -> bool:
        return all(looks(column, cells[place]) for column, place in zip(self.layout.fitting, self.layout.places, strict=True))

    def _release(self, kind: str) -> Iterator[Row | LeftOut]:
        """Lines with one cell that were kept back: notes at the end of the table, broken rows among its rows."""
        for held in self.held:
            yield LeftOut(held.line, "note", held.text) if kind == "note" else self._made(held, held.cells)
        self.held = []
