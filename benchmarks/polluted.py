"""Delimited files spoilt in the ways that files are, with what they truly hold.

The kinds are those of the Pollock benchmark of data loading (Vitagliano et al., VLDB 2023): encoding, line ends, delimiters,
quotes, escapes, headers, preambles, footnotes, more tables than one, rows with too few or too many fields; with what
Vietnamese agencies add: totals, number rows under the header, headers repeated on every printed page, legacy fonts.
"""

import csv
import io
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

COLUMNS = (
    ("ma_ho_so", "Mã hồ sơ", "string"),
    ("nguoi_nop", "Người nộp", "string"),
    ("ngay_nhan", "Ngày nhận", "date"),
    ("so_ngay", "Số ngày", "integer"),
    ("le_phi", "Lệ phí", "number"),
    ("dia_chi", "Địa chỉ", "string"),
    ("ghi_chu", "Ghi chú", "string"),
)
NAMES = ("Nguyễn Văn An", "Trần Thị Bình", "Lê Hoàng Đức", "Phạm Ngọc Hạnh", "Đỗ Quốc Khánh")
STREETS = ("Số 12, đường Hùng Vương, Phường 1", "Ấp Bình Hòa, xã Tân Lập", "Khu phố 3, thị trấn Bến Lức")
NOTES = ("nộp đủ", 'hồ sơ "khẩn"', "dòng một\ndòng hai", "chờ bổ sung; hẹn lại", "đã trả")
ROWS = 40
Table = list[list[str]]


@dataclass(frozen=True)
class Case:
    """A spoilt file: its kind, its bytes, and the sound rows in it (header apart)."""

    kind: str
    content: bytes
    truth: Table
    name: str = "a.csv"


def table(notes: bool = True) -> Table:
    """The clean rows; the last column is sometimes quoted, multi-line or empty (``notes``), else plain."""
    return [
        [
            f"HS-{i:05d}",
            NAMES[i % 5],
            f"{i % 28 + 1:02d}/{i % 12 + 1:02d}/2024",
            str(i % 30),
            str(i * 1_000 + 500),
            STREETS[i % 3] if notes else STREETS[i % 3].replace(",", ""),
            (NOTES[i % 5] if notes else NOTES[4]) if i % 7 else "",
        ]
        for i in range(1, ROWS + 1)
    ]


def text(rows: Table, delimiter: str = ",", quote: str = '"', header: bool = True, end: str = "\n", **options: object) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, quotechar=quote, lineterminator=end, **options)  # type: ignore[arg-type]
    if header:
        writer.writerow([title for _, title, _ in COLUMNS])
    writer.writerows(rows)
    return out.getvalue()


def tcvn3(source: str) -> str:
    """Text as TCVN3 fonts hold it, capitals with marks in lower case."""
    return _in_font(source, "tcvn3")


def vni(source: str) -> str:
    return _in_font(source, "vni")


def _in_font(source: str, charset: str) -> str:
    from viparse.normalize.encodings import get_charmap

    charmap = get_charmap(charset)
    assert charmap is not None
    letters = {letter: surface for surface, letter in charmap.pairs}
    if charset == "vni":
        letters |= {"ẳ": "aú", "Ẳ": "AÚ", "ỵ": "î", "Ỵ": "Î"}  # of the standard, not in the table
    return "".join(letters.get(c) or (letters.get(c.lower(), c) if charset == "tcvn3" else c) for c in unicodedata.normalize("NFC", source))


def cp1258(source: str) -> bytes:
    """Windows-1258: letters with their shape, tones as marks of their own."""
    out = b""
    for letter in source:
        marks = unicodedata.normalize("NFD", letter)
        shape = unicodedata.normalize("NFC", marks[0] + "".join(m for m in marks[1:] if m in "\u0302\u0306\u031b"))
        tone = "".join(m for m in marks[1:] if m in "\u0300\u0301\u0303\u0309\u0323")
        try:
            out += letter.encode("cp1258")
        except UnicodeEncodeError:
            out += (shape + tone).encode("cp1258")
    return out


def cases() -> Iterator[Case]:
    """Every kind once or a few times."""
    rows, plain = table(), table(notes=False)
    good, flat = text(rows), text(plain)
    head, *body = flat.splitlines(keepends=True)

    def case(kind: str, content: str | bytes, truth: Table = plain) -> Case:
        return Case(kind, content.encode() if isinstance(content, str) else content, truth)

    yield case("clean", good, rows)
    yield case("clean, every cell quoted", text(rows, quoting=csv.QUOTE_ALL), rows)
    # encodings
    yield case("encoding: UTF-8 with BOM", "\ufeff" + good, rows)
    yield case("encoding: UTF-16 with BOM", good.encode("utf-16"), rows)
    yield case("encoding: UTF-16 without BOM", good.encode("utf-16-le"), rows)
    yield case("encoding: CP1258", cp1258(good), rows)
    yield case("encoding: decomposed letters", unicodedata.normalize("NFD", good), rows)
    small = [[cell.replace("Ấp", "ấp") for cell in row] for row in plain]  # TCVN3 has no accented capitals
    yield case("encoding: TCVN3 bytes", tcvn3(flat).encode("latin-1"), small)
    yield case("encoding: TCVN3 in UTF-8", tcvn3(flat), small)
    yield case("encoding: VNI in UTF-8", vni(flat))
    # line ends
    yield case("line ends: CR LF", text(rows, end="\r\n"), rows)
    yield case("line ends: CR", flat.replace("\n", "\r"))
    yield case("line ends: mixed", head + "".join(b.replace("\n", "\r\n") if i % 3 else b for i, b in enumerate(body)))
    yield case("line ends: none at the end", good.rstrip("\n"), rows)
    # delimiters
    for name, delimiter in (("semicolon", ";"), ("tab", "\t"), ("bar", "|"), ("colon", ":"), ("caret", "^"), ("tilde", "~")):
        yield case(f"delimiter: {name}", text(rows, delimiter), rows)
    yield case("delimiter: comma and space", flat.replace(",", ", "))
    yield case("delimiter: two tabs", flat.replace(",", "\t\t"))
    yield case("delimiter: two bars", flat.replace(",", "||"))
    yield case("delimiter: the letters \\t", flat.replace(",", "\\t"))
    yield case("delimiter: one row with semicolons", head + "".join(b.replace(",", ";") if i == 20 else b for i, b in enumerate(body)))
    yield case("delimiter: rows with semicolons, header with commas", head + text(plain, ";", header=False))
    yield case("delimiter: one more at the end of every row", flat.replace("\n", ",\n"))
    yield case(
        "delimiter: three more at the end of some rows",
        head + "".join(b.replace("\n", ",,,\n") if i % 4 else b for i, b in enumerate(body)),
    )
    # quotes and escapes
    yield case("quotes: single", text(rows, quote="'"), rows)
    yield case("quotes: backslash escape", text(rows, doublequote=False, escapechar="\\"), rows)
    yield case(
        "quotes: a stray one in a cell", flat.replace("HS-00010,Nguyễn", 'HS-00010,Nguyễn 5"'), _with(plain, 9, 1, 'Nguyễn 5" Văn An')
    )
    yield case("quotes: one that never closes", flat.replace("HS-00010,Nguyễn", 'HS-00010,"Nguyễn'), _with(plain, 9, 1, '"Nguyễn Văn An'))
    yield case(
        "quotes: not doubled inside quotes",
        flat.replace("HS-00010,Nguyễn Văn An", 'HS-00010,"Nguyễn "Văn" An"'),
        _with(plain, 9, 1, 'Nguyễn "Văn" An'),
    )
    yield case(
        "quotes: a space before", flat.replace("HS-00010,Nguyễn Văn An", 'HS-00010, "Nguyễn, Văn An"'), _with(plain, 9, 1, "Nguyễn, Văn An")
    )
    # header
    yield case("header: under a title block", "UỶ BAN NHÂN DÂN TỈNH\nBÁO CÁO HỒ SƠ, NĂM 2024\n\n" + flat)
    yield case("header: under a delimited title block", f"UỶ BAN NHÂN DÂN TỈNH{',' * 6}\nBáo cáo{',' * 6}\n{',' * 6}\n" + flat)
    yield case("header: under comments", "# xuất từ phần mềm một cửa\n# ngày 01/01/2025, 08:00\n" + flat)
    yield case("header: in two rows", "Hồ sơ,,Tiếp nhận,,Phí,Khác,\n" + flat)
    yield case("header: split over two rows", "Mã,Người,Ngày,Số,Lệ,Địa,Ghi\nhồ sơ,nộp,nhận,ngày,phí,chỉ,chú\n" + "".join(body))
    yield case(
        "header: without accents, in other order",
        text([[r[1], r[0], *r[2:]] for r in plain], header=False).join(
            ["nguoi nop,MA HO SO,ngay nhan,so ngay,le phi,dia chi,ghi chu\n", ""]
        ),
    )
    yield case("header: numbers under it", head + "(1),(2),(3),(4),(5),(6),(7)\n" + "".join(body))
    yield case("header: again on every page", "".join(head + "".join(body[i : i + 10]) for i in range(0, ROWS, 10)))
    yield case("header: a column that counts the rows", "STT," + head + "".join(f"{i},{b}" for i, b in enumerate(body, 1)))
    yield case("header: only, then one row", head + body[0], plain[:1])
    # rows
    for place, name in ((0, "first"), (ROWS // 2, "middle"), (ROWS - 1, "last")):
        others = plain[:place] + plain[place + 1 :]
        yield case(
            f"row: {name} with too few cells",
            head + "".join(",".join(b.split(",")[:3]) + "\n" if i == place else b for i, b in enumerate(body)),
            others,
        )
        yield case(
            f"row: {name} with too many cells",
            head + "".join(b.rstrip("\n") + ",x,y,z\n" if i == place else b for i, b in enumerate(body)),
            others,
        )
        yield case(f"row: {name} empty", head + "".join("\n" if i == place else b for i, b in enumerate(body)), others)
        yield case(
            f"row: {name} of delimiters alone", head + "".join("," * 6 + "\n" if i == place else b for i, b in enumerate(body)), others
        )
    yield case("row: empty cells at the end left out", text([_trimmed(r) for r in plain]))
    yield case("row: NUL padding", flat.replace("HS-00010,", "HS-00010\x00\x00\x00,"))
    yield case("row: a cell of 3 MB", text(_with(plain, 9, 5, "x" * 3_000_000)), _with(plain, 9, 5, "x" * 3_000_000))
    # below and beside the table
    yield case("below: a total", flat + "Tổng cộng,,,580,820000,,\n")
    yield case("inside: totals", head + "".join(b + ("Cộng,,,100,20500,,\n" if i % 20 == 19 else "") for i, b in enumerate(body)))
    yield case("below: notes and signatures", flat + "\nNơi nhận:\n- Sở Tư pháp\n\nNgười lập biểu\n")
    yield case("below: delimited notes", flat + f"Ghi chú: số liệu tạm tính{',' * 6}\nNgười lập{',' * 6}\n")
    yield case("below: a narrower table", flat + "\nLoại,Số lượng\nKhẩn,3\nThường,37\n")
    yield case(
        "below: a wider table", flat + "\n" + ",".join(f"Cột {c}" for c in "ABCDEFGHIJ") + "\n" + (",".join("1234567890") + "\n") * 5
    )
    yield case("above: another table", "Loại,Số lượng\nKhẩn,3\nThường,37\n\n" + flat)
    yield case("inside: comments", head + "".join(b + ("# sang trang\n" if i % 15 == 14 else "") for i, b in enumerate(body)))


def _with(rows: Table, row: int, place: int, cell: str) -> Table:
    return [[*r[:place], cell, *r[place + 1 :]] if i == row else r for i, r in enumerate(rows)]


def _trimmed(row: list[str]) -> list[str]:
    return row[:-1] if not row[-1] else row
