"""Chance that repeats itself: arithmetic and hashes over a row's number, as SQL."""

from dataclasses import dataclass
from hashlib import blake2b
from math import gcd


@dataclass(frozen=True)
class Chance:
    """The dice of one dataset. ``what`` names a die: the same name throws the same numbers."""

    seed: int
    dataset: str

    def salt(self, what: str) -> int:
        return int.from_bytes(blake2b(f"{self.seed}/{self.dataset}/{what}".encode(), digest_size=6).digest())

    def draw(self, what: str, size: int, index: str = "row_index") -> str:
        """A number from 0 to ``size - 1``, the same for the same ``index``."""
        return f"CAST(hash({index} + {self.salt(what)}) % {size} AS BIGINT)"

    def skewed(self, what: str, size: int, index: str = "row_index") -> str:
        """The same, small numbers more often than large ones."""
        share = f"(hash({index} + {self.salt(what)}) % 1000003 / 1000003.0)"
        return f"CAST(floor({size} * {share} * {share} * {share}) AS BIGINT)"

    def shuffle(self, what: str, size: int, index: str = "row_index") -> str:
        """A permutation of 0 … ``size - 1``, evenly spread: any stretch of indexes meets all parts of the range."""
        salt = self.salt(what)
        step = max((int(size * 0.6180339887) + salt % 97) % size, 1)
        while gcd(step, size) != 1:
            step += 1
        return f"(({index}) * {step} + {salt % size}) % {size}"
