"""In which encoding a text file is, decided on its bytes; and the file in UTF-8, which is all that is read further on."""

import codecs
from dataclasses import dataclass
from pathlib import Path
from unicodedata import combining, normalize

from pipelines.contract.reading import LEGACY_ENCODINGS
from pipelines.gate.readers.legacy import ENOUGH_WORDS, evidence
from pipelines.gate.readers.source import Decision, Unreadable

HEAD = 256 << 10
LONGEST_LETTER = 4
"""Characters of one letter with its marks."""
CHUNK = 1 << 20
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SURELY_UTF_8 = 6
"""Bytes beyond ASCII that all form UTF-8 letters; in an 8-bit set they would not."""
FONT_SURFACE = "latin-1"
"""How the bytes of legacy font text are read until `legacy.recognise` looks at the columns: byte for byte."""


@dataclass(frozen=True)
class Encoding:
    """A Python codec, and why it was chosen; ``plain`` text needs no transcoding."""

    codec: str
    evidence: str = ""
    plain: bool = False

    @property
    def decision(self) -> tuple[Decision, ...]:
        return () if self.plain and not self.evidence else (Decision("encoding", self.codec, self.evidence),)


def encoding_of(head: bytes, pinned: str | None = None) -> Encoding:
    """The encoding of a file that begins with ``head``.

    Byte order mark, then valid UTF-8, then UTF-16 without its mark (every other byte NUL); what is left is an 8-bit set,
    and the spelling of the words says which. Raises `Unreadable` where no reading makes words of it.
    """
    for bom, codec in BOMS:
        if head.startswith(bom):
            return Encoding(codec, "BOM" if codec != "utf-8" else "", plain=codec == "utf-8")
    if pinned and pinned not in LEGACY_ENCODINGS:
        return Encoding(pinned, "pinned", plain=codecs.lookup(pinned).name == "utf-8")
    if (wide := _utf_16_without_mark(head)) is not None:
        return wide
    try:
        codecs.utf_8_decode(head, "strict", False)
        return Encoding("utf-8", plain=True)
    except UnicodeDecodeError as error:
        before = head[: error.start]
    if pinned:
        return Encoding(FONT_SURFACE, f"pinned: {pinned}")
    if _beyond_ascii(before) >= SURELY_UTF_8:
        raise _mixed(before.count(b"\n") + 1)
    return _eight_bit(head)


def _beyond_ascii(data: bytes) -> int:
    return len(data) - len(data.translate(None, bytes(range(0x80, 0x100))))


def _mixed(line: int) -> Unreadable:
    return Unreadable(
        f"Dòng {line} không theo bảng mã UTF-8 như phần trước của tệp; hãy lưu lại cả tệp kiểu «CSV UTF-8»",
        f"Line {line} is not in UTF-8 as the lines before it; save the whole file as “CSV UTF-8”",
    )


def _utf_16_without_mark(head: bytes) -> Encoding | None:
    sample = head[: len(head) // 2 * 2]
    if len(sample) < 4:
        return None
    low, high = sample[0::2].count(0) / (len(sample) // 2), sample[1::2].count(0) / (len(sample) // 2)
    if max(low, high) < 0.3 or min(low, high) > 0.05:
        return None
    return Encoding("utf-16-le" if high > low else "utf-16-be", "NUL in every other byte")


def _eight_bit(head: bytes) -> Encoding:
    lines = head.splitlines()
    text = [line.decode(FONT_SURFACE) for line in lines]
    fonts = evidence(text)
    try:
        windows = evidence(line.decode("cp1258") for line in lines)
    except UnicodeDecodeError:
        windows = evidence(())
    share = windows.before / windows.words if windows.words else 0.0
    charset = fonts.verdict(ENOUGH_WORDS)
    if windows.words >= ENOUGH_WORDS and share >= 0.7 and (charset is None or share >= fonts.after[charset] / fonts.words):
        return Encoding("cp1258", f"{windows.before}/{windows.words} từ đúng chính tả · words spelt right")
    if charset:
        return Encoding(FONT_SURFACE, f"không phải UTF-8; chữ {charset} · not UTF-8; {charset} letters")
    raise Unreadable(
        "Tệp không theo bảng mã UTF-8, và không nhận ra bảng mã nào khác; trong Excel hãy lưu kiểu «CSV UTF-8»",
        "The file is not in UTF-8, and no other encoding is recognised; in Excel, save it as “CSV UTF-8”",
    )


def first_fault(file: Path) -> tuple[int, int] | None:
    """Line and offset of the first bytes that are not UTF-8; None where all are."""
    lines, offset, rest = 1, 0, b""
    with file.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            data = rest + chunk
            try:
                _, used = codecs.utf_8_decode(data, "strict", False)
            except UnicodeDecodeError as error:
                return lines + data.count(b"\n", 0, error.start), offset + error.start
            lines += data.count(b"\n", 0, used)
            offset += used
            rest = data[used:]
    return (lines, offset) if rest else None


def encoding_of_whole(file: Path, head: bytes) -> Encoding:
    """The encoding of a file whose head passed for UTF-8 but whose rest did not. Mixed files are refused, with the line."""
    fault = first_fault(file)
    if fault is None:
        return Encoding("utf-8", plain=True)
    line, offset = fault
    if _beyond_ascii(head) >= SURELY_UTF_8:
        raise _mixed(line)
    with file.open("rb") as stream:
        stream.seek(max(0, offset - HEAD // 2))
        return _eight_bit(stream.read(HEAD))


def transcode(file: Path, encoding: Encoding, target: Path) -> Path:
    """Write ``file`` to ``target`` in UTF-8, a chunk at a time; letters and tones that the set keeps apart (CP1258) are joined."""
    decoder = codecs.getincrementaldecoder(encoding.codec)()
    carried = ""
    try:
        with file.open("rb") as source, target.open("wb") as out:
            while chunk := source.read(CHUNK):
                text = carried + decoder.decode(chunk)
                whole = max(0, len(text) - LONGEST_LETTER)  # the next chunk may begin with the tone of this one's last letter
                while whole and combining(text[whole]):
                    whole -= 1
                out.write(normalize("NFC", text[:whole]).encode())
                carried = text[whole:]
            out.write(normalize("NFC", carried + decoder.decode(b"", final=True)).encode())
    except UnicodeError as error:
        raise Unreadable(
            f"Tệp không đọc được theo bảng mã {encoding.codec}", f"The file cannot be read in the encoding {encoding.codec}"
        ) from error
    return target
