"""Failed proofs of identity, counted per address: whoever goes on guessing is told to wait, and costs nothing."""

import math
import threading
import time
from collections import OrderedDict, deque

ALLOWED = 10
WINDOW_SECONDS = 60.0
REMEMBERED = 10_000
"""Addresses; the one that failed longest ago is forgotten first."""


class Failures:
    """Kept in memory: there is one web process. A right token is never kept waiting, whatever others at its address do."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        self._mutex = threading.Lock()

    def note(self, address: str) -> int:
        """Count one failure; the seconds that this address should wait, 0 while it is within `ALLOWED` a minute."""
        now = time.monotonic()
        with self._mutex:
            times = self._times.setdefault(address, deque(maxlen=ALLOWED + 1))
            self._times.move_to_end(address)
            times.append(now)
            while times[0] < now - WINDOW_SECONDS:
                times.popleft()
            while len(self._times) > REMEMBERED:
                self._times.popitem(last=False)
            return math.ceil(times[0] + WINDOW_SECONDS - now) if len(times) > ALLOWED else 0


guesses = Failures()
"""Wrong tokens at any door of this process."""
