"""Text in the alphabets of the fonts before Unicode (TCVN3, VNI, VPS, VISCII), recognised on the text itself.

Such text is Latin-1 to a computer: `Tổng cộng` is stored as `Tæng céng` (TCVN3) or `Toång coäng` (VNI). Its font would tell,
but fonts lie or are lost, so spelling decides: a column is converted when its words become Vietnamese syllables by one
alphabet, clearly better than by any other, and were none before. The text as delivered stays beside it (`Source.raw`).
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache, partial

import duckdb

from pipelines.contract import Contract
from pipelines.contract.reading import LEGACY_ENCODINGS
from pipelines.gate.readers.functions import register
from pipelines.gate.readers.source import Decision, Source
from pipelines.gate.readers.syllables import is_syllable, words
from pipelines.sql import quote

SAMPLE_ROWS = 2_000
ENOUGH_WORDS = 3
"""Distinct words from which a column decides alone; with fewer it follows the rest of the file."""
CLEAR_SHARE = 0.7
CLEAR_GAIN = 0.4
CLEAR_LEAD = 0.05
TOKEN = re.compile(r"[^\s!-/:-@\[-`{-~]*[^\x00-\x7f][^\s!-/:-@\[-`{-~]*|[^\s!-/:-@\[-`{-~]*[\x02-\x06\x10-\x1e][^\s!-/:-@\[-`{-~]*")
"""A word as legacy text writes it: whatever stands between blanks and ASCII punctuation, with something beyond ASCII in it."""
SUSPECT = re.compile(r"[^\x00-\x7f]|[\x02-\x06\x10-\x1e]")
"""Beyond ASCII, or a control character that VPS and VISCII write letters with."""
C1_OF_WINDOWS = {ord(bytes([b]).decode("cp1252")): b for b in range(0x80, 0xA0) if b not in (0x81, 0x8D, 0x8F, 0x90, 0x9D)}
WINDOWS_OF_C1 = {b: c for c, b in C1_OF_WINDOWS.items()}
VNI_UNSEEN = (("aú", "ẳ"), ("AÚ", "Ẳ"), ("î", "ỵ"), ("Î", "Ỵ"))
"""Letters of the VNI standard that viparse's table, drawn from documents, does not hold."""


@cache
def decoder(charset: str) -> Callable[[str], str]:
    """Text written in a legacy alphabet → Unicode (NFC), letter by letter, whatever it says."""
    from viparse.normalize.encodings import get_charmap

    charmap = get_charmap(charset)
    if charmap is None:
        raise ValueError(f"{charset} is no legacy alphabet")
    pairs = dict(charmap.pairs)
    if charset == "vni":
        pairs = dict(VNI_UNSEEN) | pairs
        ordered = sorted(pairs, key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, ordered)))
        return lambda text: unicodedata.normalize("NFC", pattern.sub(lambda m: pairs[m[0]], text).translate(WINDOWS_OF_C1))
    table = {ord(source): target for source, target in pairs.items()}
    if charset == "tcvn3":
        return lambda text: _capitals(text, unicodedata.normalize("NFC", text.translate(table).translate(WINDOWS_OF_C1)))
    return lambda text: unicodedata.normalize("NFC", text.translate(C1_OF_WINDOWS).translate(table))


def _capitals(surface: str, text: str) -> str:
    """TCVN3 has no accented capitals (its capital fonts draw them): `TOµN` was meant as `TOÀN`.

    The letters that do have case tell: all capitals and one word of two or more → the whole text; else word by word.
    """

    def shouted(word: str) -> bool:
        letters = [c for c in word if c.isascii() and c.isalpha()]
        return len(letters) >= 2 and all(c.isupper() for c in letters)

    cased = [c for c in surface if c.isascii() and c.isalpha()]
    if cased and all(c.isupper() for c in cased) and any(map(shouted, surface.split())):
        return text.upper()
    if not any(map(shouted, surface.split())):
        return text
    return re.sub(r"\S+", lambda m: m[0].upper() if shouted(m[0]) else m[0], text)


@lru_cache(maxsize=100_000)
def unicode_of(text: str, charset: str) -> str:
    """One value of a column written in ``charset``; text that is Unicode already stays as it is."""
    if not SUSPECT.search(text) or any(ord(c) > 0xFF and ord(c) not in C1_OF_WINDOWS for c in text):
        return text
    return decoder(charset)(text)


@dataclass(frozen=True)
class Evidence:
    """How many of a text's distinct words beyond ASCII are Vietnamese, as they are and by each alphabet."""

    words: int
    before: int
    after: dict[str, int]

    def verdict(self, needed: int) -> str | None:
        """The alphabet that explains the text clearly, or None."""
        if self.words < needed or not self.after:
            return None
        ranked = sorted(self.after, key=lambda c: self.after[c], reverse=True)
        best, second = self.after[ranked[0]] / self.words, self.after[ranked[1]] / self.words
        clear = best >= CLEAR_SHARE and best - self.before / self.words >= CLEAR_GAIN and best - second >= CLEAR_LEAD
        return ranked[0] if clear else None

    def says(self, charset: str) -> str:
        if charset not in self.after:
            return "như cả trang · like the rest of the sheet"
        return f"{self.after[charset]}/{self.words} từ đúng chính tả sau khi chuyển, trước đó {self.before}/{self.words} · words spelt right after, before"


def tokens_of(texts: Iterable[str]) -> frozenset[str]:
    """The distinct words of the texts with something beyond ASCII in them."""
    return frozenset(token for text in set(texts) if SUSPECT.search(text) for token in TOKEN.findall(text))


def evidence(texts: Iterable[str]) -> Evidence:
    """Weigh texts; with nothing but ASCII and proper Vietnamese among them, the alphabets are not even tried."""
    return weighed(tokens_of(texts))


def weighed(tokens: frozenset[str]) -> Evidence:
    """Weigh words."""
    before = sum(map(_spelt, tokens))
    if before == len(tokens):
        return Evidence(len(tokens), before, {})
    return Evidence(len(tokens), before, {c: sum(_spelt(unicode_of(token, c)) for token in tokens) for c in LEGACY_ENCODINGS})


@lru_cache(maxsize=100_000)
def _spelt(token: str) -> bool:
    found = words(token)
    return bool(found) and all(map(is_syllable, found)) and len("".join(found)) >= len(token.strip("“”‘’…–—«»\u00a0")) - 1


def charsets_of(columns: Mapping[str, list[str]], contract: Contract | None) -> dict[str, tuple[str, str]]:
    """Column → (the legacy alphabet that it is written in, why), of the columns that are."""
    pinned = _pinned(contract)
    tokens = {name: tokens_of(texts) for name, texts in columns.items()}
    found = {name: weighed(words) for name, words in tokens.items()}
    shared = pinned or weighed(frozenset().union(*tokens.values())).verdict(1)
    charsets = {
        name: pinned or e.verdict(ENOUGH_WORDS) or (shared if shared and (_gains(e, shared) or _follows(e, shared, tokens[name])) else None)
        for name, e in found.items()
    }
    return {name: (charset, found[name].says(charset)) for name, charset in charsets.items() if charset}


def _follows(found: Evidence, charset: str, tokens: frozenset[str]) -> bool:
    """Whether a column of few words goes with the sheet around it: `Sè hé` is spelt right as it stands, and as `Số hộ`.

    A letter that no legacy alphabet has shows that the column is Unicode.
    """
    foreign = any(ord(c) > 0xFF and ord(c) not in C1_OF_WINDOWS for token in tokens for c in token)
    after = sum(_spelt(unicode_of(token, charset)) for token in tokens)
    return bool(tokens) and not foreign and after >= max(found.before, CLEAR_SHARE * len(tokens))


def _pinned(contract: Contract | None) -> str | None:
    return contract.reading.encoding if contract and contract.reading.encoding in LEGACY_ENCODINGS else None


def recognise(connection: duckdb.DuckDBPyConnection, source: Source, contract: Contract | None) -> Source:
    """The source with header and columns in Unicode; unchanged where nothing is legacy."""
    pinned = _pinned(contract)
    names = ", ".join(f"CAST({quote(h)} AS VARCHAR)" for h in source.header)
    sample = connection.execute(f"SELECT {names} FROM {source.relation} LIMIT {SAMPLE_ROWS}").fetchnumpy() if source.header else {}
    columns = [[v for v in values if isinstance(v, str)] for values in sample.values()]
    tokens = [tokens_of(values) for values in columns]
    found = [weighed(words) for words in tokens]
    of_header = evidence(source.header)
    pool = weighed(tokens_of(source.header).union(*tokens))
    shared = pinned or pool.verdict(1)
    if not shared and not any(e.verdict(ENOUGH_WORDS) for e in found):
        return source
    charsets = {
        header: pinned or e.verdict(ENOUGH_WORDS) or (shared if shared and _gains(e, shared) else None)
        for header, e in zip(source.header, found, strict=True)
    }
    decisions = [
        Decision("legacy-text", f"{header}: {charset}", e.says(charset) if e.after and not pinned else "pinned" if pinned else "")
        for (header, charset), e in zip(charsets.items(), found, strict=True)
        if charset and (e.after or pinned)
    ]
    header_charset = pinned or of_header.verdict(ENOUGH_WORDS) or (shared if shared and _gains(of_header, shared) else None)
    if header_charset and of_header.after:
        decisions.append(Decision("legacy-header", header_charset, of_header.says(header_charset)))
    renamed = {h: unicode_of(h, header_charset) if header_charset else h for h in source.header}
    if len(set(renamed.values())) < len(renamed):
        renamed = {h: h for h in source.header}
    return _converted(connection, source, charsets, renamed, tuple(decisions))


def _gains(found: Evidence, charset: str) -> bool:
    return bool(found.after) and found.after[charset] > found.before and found.after[charset] >= CLEAR_SHARE * found.words


def _converted(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    charsets: dict[str, str | None],
    renamed: dict[str, str],
    decisions: tuple[Decision, ...],
) -> Source:
    legacy = {h: c for h, c in charsets.items() if c}
    for charset in sorted(set(legacy.values())):
        register(connection, _function(charset), partial(unicode_of, charset=charset))
    raw = {renamed[h]: f"{renamed[h]} (nguyên văn)" for h in legacy}
    items = [
        f"{_function(legacy[h])}(CAST({quote(h)} AS VARCHAR)) AS {quote(renamed[h])}, {quote(h)} AS {quote(raw[renamed[h]])}"
        if h in legacy
        else f"{quote(h)} AS {quote(renamed[h])}"
        for h in source.header
    ]
    items += [quote(name) for name in (source.row, source.sheet, source.fault, *source.raw.values()) if name]
    return replace(
        source,
        relation=f"(SELECT {', '.join(items)} FROM {source.relation})",
        header=[renamed[h] for h in source.header],
        decisions=(*source.decisions, *decisions),
        totals=tuple(replace(t, column=renamed.get(t.column, t.column)) for t in source.totals),
        raw={renamed.get(h, h): column for h, column in source.raw.items()} | raw,
        csv=None,
    )


def _function(charset: str) -> str:
    return f"kho_text_of_{charset}"
