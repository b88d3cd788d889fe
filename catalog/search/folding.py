"""Vietnamese text as search words, in two strengths: exact (accents kept) and folded (accents gone)."""

import re
import unicodedata
from functools import cache

from catalog.search.abbreviations import ABBREVIATIONS

WORD = re.compile(r"[^\W_]+")
_OLD = re.compile(r"(?<!q)(oà|oá|oả|oã|oạ|oè|oé|oẻ|oẽ|oẹ|uỳ|uý|uỷ|uỹ|uỵ)(?![^\W\d_])")
_TONE = {"\u0300", "\u0301", "\u0309", "\u0303", "\u0323"}


def exact(text: str) -> list[str]:
    """Words in lower case with accents, composed, the tone where current spelling puts it (hoà → hòa, thuý → thúy)."""
    lowered = unicodedata.normalize("NFC", text).lower()
    return WORD.findall(_OLD.sub(lambda match: _tone_on_first(match[1]), lowered))


def _tone_on_first(pair: str) -> str:
    decomposed = unicodedata.normalize("NFD", pair)
    tone = next(mark for mark in decomposed if mark in _TONE)
    first, second = (letter for letter in decomposed if letter != tone)
    return unicodedata.normalize("NFC", first + tone + second)


def fold(word: str) -> str:
    """The word without accents, đ as d."""
    decomposed = unicodedata.normalize("NFD", word.lower().replace("đ", "d"))
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def folded(text: str) -> list[str]:
    return [fold(word) for word in exact(text)]


@cache
def _abbreviations() -> tuple[tuple[re.Pattern[str], str, str], ...]:
    return tuple(
        (re.compile(rf"(?<![^\W_]){short}(?![^\W_])"), fold(short), " ".join(folded(long))) for short, long in ABBREVIATIONS.items()
    )


def both_ways(text: str) -> list[str]:
    """Abbreviations that stand for words of the text, and words that abbreviations of the text stand for (folded).

    Only capitals count as an abbreviation in a text: `DN` is doanh nghiệp, `dn` may be anything.
    """
    words = f" {' '.join(folded(text))} "
    more: list[str] = []
    for pattern, short, long in _abbreviations():
        if pattern.search(text):
            more += long.split()
        elif f" {long} " in words:
            more.append(short)
    return more
