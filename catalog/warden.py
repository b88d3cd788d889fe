"""Ends the services of `kho up`, also when `kho up` itself is killed and can no longer do it.

A small process of its own that reads process groups from standard input, one to a line. Standard input closes when
`kho up` closes it or dies, whatever it dies of; then every group is asked to stop and, after a while, made to.
"""

import os
import signal
import sys
import time
from contextlib import suppress

GRACE_SECONDS = 10


def end(groups: list[int]) -> None:
    """Ask every process of every group to stop as Ctrl-C does; kill what is there after `GRACE_SECONDS`."""
    _tell(groups, signal.SIGINT)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(map(_lives, groups)) and time.monotonic() < deadline:
        time.sleep(0.1)
    _tell(groups, signal.SIGKILL)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _tell(groups: list[int], number: signal.Signals) -> None:
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, number)


if __name__ == "__main__":
    end([int(line) for line in sys.stdin])
