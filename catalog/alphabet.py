"""The order of the Vietnamese alphabet, in which people look for names."""

import re
import unicodedata
from functools import lru_cache

LETTERS = {letter: place for place, letter in enumerate("0123456789aăâbcdđeêfghijklmnoôơpqrstuưvwxyz")}
TONES = {mark: place for place, mark in enumerate("\u0300\u0309\u0303\u0301\u0323", 1)}
"""Huyền, hỏi, ngã, sắc, nặng: as dictionaries have them; no tone comes before all."""
WORD = re.compile(r"[^\W_]+")

Key = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]


@lru_cache(maxsize=10_000)
def alphabetically(text: str) -> Key:
    """Sort key: word by word, first the letters (a ă â b c d đ …), then the tones; case and punctuation do not count."""
    return tuple(map(_word, WORD.findall(unicodedata.normalize("NFC", text).lower())))


def _word(word: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    letters, tones = [], []
    for character in word:
        decomposed = unicodedata.normalize("NFD", character)
        tone = next((mark for mark in decomposed if mark in TONES), "")
        letter = unicodedata.normalize("NFC", decomposed.replace(tone, "") if tone else decomposed)
        letters.append(LETTERS.get(letter, len(LETTERS) + ord(letter[0])))
        tones.append(TONES.get(tone, 0))
    return tuple(letters), tuple(tones)
