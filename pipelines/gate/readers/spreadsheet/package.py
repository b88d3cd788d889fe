"""What calamine does not tell of a workbook's package: size before unpacking, hidden rows and columns, merged cells, unsaved formulas.

The package of XLSX is read as a stream of bytes with regular expressions: parsing the 100 MB of XML that 200 000 rows make would
cost more than reading the cells, and of all that XML only a few rare elements matter here.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator
from errno import EINVAL
from pathlib import Path, PurePosixPath
from types import TracebackType

from lxml import etree

from pipelines.gate.readers.source import Unreadable
from pipelines.gate.readers.spreadsheet.sheet import Layout, index_of

MAX_UNPACKED = 2 << 30
"""Bytes that a workbook may unpack to: a full sheet of a million rows and twenty columns takes about one GB."""
MAX_RATIO = 200
"""Times a part may be larger unpacked than packed, where it is large at all. Real sheets stay under 30."""
LARGE = 64 << 20
MAX_CELLS = 32_000_000
"""Cells of the rectangle around a sheet's values, which are held in memory at about 50 bytes each."""
MAX_COLUMNS = 2_000
MAX_SHEETS = 500
CHUNK = 1 << 20

_FORMULA = re.compile(
    rb"<(?:\w+:)?c\b([^>]*[^/])>\s*<(?:\w+:)?f\b(?:[^>]*/>|[^>]*>[^<]*</(?:\w+:)?f>)\s*"
    rb"(<(?:\w+:)?v\s*/>|<(?:\w+:)?v[^>]*>\s*</(?:\w+:)?v>)?\s*</(?:\w+:)?c>"
)
_PLACE = re.compile(rb'\br="([A-Z]{1,3})(\d{1,7})"')
_STYLED = re.compile(rb'<(?:\w+:)?c\b(?=[^>]*\bs="(\d+)")[^>]*[^/]>')
_FAR = re.compile(rb'\br="([A-Z]{2,3})\d{1,7}"[^>]*[^/]>(?!\s*</)')
_HIDDEN_ROW = re.compile(rb'<(?:\w+:)?row\b(?=[^>]*\bhidden="(?:1|true)")[^>]*\br="(\d{1,7})"')
_HIDDEN_COLUMNS = re.compile(rb'<(?:\w+:)?col\b(?=[^>]*\bhidden="(?:1|true)")[^>]*>')
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*\bref="([A-Z]{1,3})(\d{1,7}):([A-Z]{1,3})(\d{1,7})"')
_VALUE = (b"<v>", b"<is>", b":v>", b":is>")

_REPEATED_CELL = re.compile(rb'<table:table-cell\b(?=[^>]*\btable:number-columns-repeated="(\d+)")[^>]*(?:\boffice:value|[^/]>\s*<text:)')
_UNSAVED_ODS = re.compile(rb"<table:table-cell\b(?=[^>]*\btable:formula=)(?![^>]*\boffice:value-type=)[^>]*>")
_REPEATED_ROW = re.compile(rb'<table:table-row\b[^>]*\btable:number-rows-repeated="(\d+)"[^>]*>(?:(?!</table:table-row>).)*?<text:', re.S)


def too_big(why_vi: str, why_en: str) -> Unreadable:
    return Unreadable(
        f"Sổ tính quá lớn ({why_vi}); hãy xóa phần thừa, hoặc gửi bảng dưới dạng CSV hay Parquet",
        f"The workbook is too big ({why_en}); delete what is not needed, or send the table as CSV or Parquet",
    )


def _damaged() -> Unreadable:
    return Unreadable(
        "Sổ tính bị hỏng (gói nén không đọc được, có thể do tải lên dở dang)",
        "The workbook is damaged (its package cannot be read, perhaps the upload was cut off)",
    )


DAMAGE = (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError)
"""What `zipfile` raises for a package that is broken, encrypted, or packed in a way that no spreadsheet is."""


class Package:
    """An opened zip package, refused when it would unpack to more than a warehouse can hold."""

    def __init__(self, file: Path) -> None:
        try:
            self.zip = zipfile.ZipFile(file)
        except DAMAGE as error:
            raise _damaged() from error
        self.names = set(self.zip.namelist())
        parts = self.zip.infolist()
        if sum(part.file_size for part in parts) > MAX_UNPACKED:
            raise too_big("giải nén ra hơn 2 GB", "more than 2 GB unpacked")
        if any(part.file_size > LARGE and part.file_size > MAX_RATIO * max(part.compress_size, 1) for part in parts):
            raise too_big("nén bất thường, giống «bom nén»", "compressed beyond reason, like a zip bomb")

    def __enter__(self) -> "Package":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Whatever a package does wrong while it is read is its damage, and the sender's to know."""
        self.zip.close()
        if isinstance(error, DAMAGE) or (isinstance(error, OSError) and error.errno == EINVAL):
            raise _damaged() from error

    @property
    def kind(self) -> str | None:
        """`xlsx`, `xlsb`, `ods`, or what else it is, as far as can be told."""
        if "xl/workbook.bin" in self.names:
            return "xlsb"
        if any(name.startswith("xl/") for name in self.names):
            return "xlsx"
        if "mimetype" in self.names:
            with self.zip.open("mimetype") as part:
                return "ods" if b"spreadsheet" in part.read(200) else "odf"
        for folder, kind in (("word/", "docx"), ("ppt/", "pptx"), ("Index/", "numbers")):
            if any(name.startswith(folder) for name in self.names):
                return kind
        return None

    @property
    def pivoted(self) -> bool:
        return any(name.startswith("xl/pivotTables/") for name in self.names)

    def chunks(self, name: str, end: bytes) -> Iterator[bytes]:
        """A part in pieces that each end with the element ``end`` closed (the last with whatever is left)."""
        rest = b""
        with self.zip.open(name) as part:
            while block := part.read(CHUNK):
                rest += block
                cut = rest.rfind(end)
                if cut >= 0:
                    cut += len(end)
                    yield rest[:cut]
                    rest = rest[cut:]
                elif len(rest) > LARGE:
                    raise too_big("một hàng quá dài", "one row without end")
        yield rest

    def sheet_parts(self) -> dict[str, str]:
        """Sheet name → part of an XLSX package."""
        try:
            book = self._tree("xl/workbook.xml")
            links = {str(link.get("Id")): str(link.get("Target", "")) for link in self._tree("xl/_rels/workbook.xml.rels")}
        except KeyError:
            return {}
        parts = {}
        for sheet in book.iter("{*}sheet"):
            identity = next((str(value) for key, value in sheet.attrib.items() if str(key).endswith("}id")), "")
            target = links.get(identity, "")
            path = target.lstrip("/") if target.startswith("/") else str(PurePosixPath("xl") / target)
            if path in self.names:
                parts[str(sheet.get("name"))] = path
        return parts

    def worksheets(self) -> set[str]:
        """All the sheets' parts of an XLSX package, whether the workbook lists them or not."""
        return {name for name in self.names if name.startswith("xl/worksheets/") and name.endswith(".xml")}

    def percent_styles(self) -> set[bytes]:
        """The cell styles of an XLSX package that show a number as a percentage."""
        try:
            styles = self._tree("xl/styles.xml")
        except KeyError:
            return set()
        formats = {f.get("numFmtId") for f in styles.iter("{*}numFmt") if "%" in (f.get("formatCode") or "")} | {"9", "10"}
        cells = next(styles.iter("{*}cellXfs"), None)
        return {str(i).encode() for i, style in enumerate(cells if cells is not None else []) if style.get("numFmtId") in formats}

    def _tree(self, name: str) -> etree._Element:
        if self.zip.getinfo(name).file_size > LARGE:
            raise too_big(name, name)
        parser = etree.XMLParser(resolve_entities=False, no_network=True)
        return etree.fromstring(self.zip.read(name), parser)

    def layout(self, part: str, percent_styles: set[bytes]) -> Layout:
        """The layout of one sheet of an XLSX package; refuses a sheet whose rectangle would not fit in memory."""
        hidden_rows: list[int] = []
        hidden_columns: list[int] = []
        merged: list[tuple[int, int, int, int]] = []
        unsaved: list[tuple[int, int]] = []
        percent: list[tuple[int, int]] = []
        last_row = last_column = 0
        for chunk in self.chunks(part, b"row>"):
            if b"hidden" in chunk:
                hidden_rows += [int(row) for row in _HIDDEN_ROW.findall(chunk)]
                hidden_columns += [c for tag in _HIDDEN_COLUMNS.findall(chunk) for c in _span(tag)]
            if b"<f" in chunk or b":f" in chunk:
                unsaved += [place for tag, _ in filter(_never_saved, _FORMULA.findall(chunk)) if (place := _place(tag))]
            if b"mergeCell" in chunk:
                merged += [(int(r1), index_of(c1.decode()), int(r2), index_of(c2.decode())) for c1, r1, c2, r2 in _MERGED.findall(chunk)]
            if percent_styles:
                percent += [place for m in _STYLED.finditer(chunk) if m[1] in percent_styles and (place := _place(m[0]))]
            last_row = max(last_row, _last_filled_row(chunk))
            last_column = max([last_column, *(index_of(c.decode()) + 1 for c in set(_FAR.findall(chunk)))])
        if last_column > MAX_COLUMNS:
            raise too_big(f"{last_column} cột", f"{last_column} columns")
        if last_row * max(last_column, 26) > MAX_CELLS:
            raise too_big(f"{last_row} hàng × {last_column} cột", f"{last_row} rows × {last_column} columns")
        return Layout(frozenset(hidden_rows), frozenset(hidden_columns), tuple(merged), tuple(unsaved), frozenset(percent))

    def guard_ods(self) -> None:
        """Refuse an OpenDocument whose repeated cells would unfold to more than fits in memory, or whose formulas have no result."""
        cells = unsaved = 0
        for chunk in self.chunks("content.xml", b"</table:table-row>"):
            columns = max((int(n) for n in _REPEATED_CELL.findall(chunk)), default=1)
            rows = max((int(n) for n in _REPEATED_ROW.findall(chunk)), default=1)
            cells += rows * columns
            unsaved += len(_UNSAVED_ODS.findall(chunk))
            if columns > MAX_COLUMNS or cells > MAX_CELLS:
                raise too_big("ô lặp lại quá nhiều", "too many repeated cells")
        if unsaved:
            raise Unreadable(
                f"{unsaved} ô công thức chưa có kết quả; hãy mở tệp bằng LibreOffice hay Excel, bấm Lưu rồi gửi lại",
                f"{unsaved} formulas have no saved result; open the file in LibreOffice or Excel, save it and send it again",
            )


def _span(tag: bytes) -> range:
    low, high = re.search(rb'\bmin="(\d+)"', tag), re.search(rb'\bmax="(\d+)"', tag)
    return range(int(low[1]) - 1, min(int(high[1]), 16_384)) if low and high else range(0)


def _place(tag: bytes) -> tuple[int, int] | None:
    found = _PLACE.search(tag)
    return (int(found[2]), index_of(found[1].decode())) if found else None


def _never_saved(formula: tuple[bytes, bytes]) -> bool:
    """A formula without a value; one whose saved result is the empty text is not one."""
    tag, value = formula
    return not (value and b't="str"' in tag)


def _last_filled_row(chunk: bytes) -> int:
    """The row of the last cell that has a value: rows that are merely formatted reach down to the last of a sheet."""
    end = max(chunk.rfind(mark) for mark in _VALUE)
    if end < 0:
        return 0
    start = chunk.rfind(b' r="', 0, end)
    place = _PLACE.match(chunk, start + 1) if start >= 0 else None
    return int(place[2]) if place else 0
