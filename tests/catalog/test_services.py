"""What `kho up` starts ends with it, whatever ends first."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from catalog.services import Services

SLEEPER = ["sh", "-c", "sleep 60 & wait"]
"""The shell has its background child ignore Ctrl-C: it ends only by being killed."""


@pytest.fixture(autouse=True)
def our_own_signals() -> Iterator[None]:
    """`kho up` ends with its services and may leave signals ignored; the test run goes on."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def lives(group: int) -> bool:
    """Whether any process of the group still runs; one that only waits to be collected does not."""
    found = subprocess.run(["ps", "-o", "stat=", "-g", str(group)], capture_output=True, text=True).stdout.split()
    return any(not state.startswith("Z") for state in found)


def ends(group: int) -> bool:
    """Whether it is gone within a moment: the system takes one to bury the killed."""
    deadline = time.monotonic() + 3
    while lives(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not lives(group)


def test_services_and_their_children_end_with_the_block() -> None:
    with Services(dict(os.environ)) as services:
        services.start("sleeper", SLEEPER)
        group = services.running["sleeper"].pid
        time.sleep(0.5)
        assert lives(group)
    assert ends(group)


def test_they_end_also_when_the_warden_was_killed() -> None:
    with Services(dict(os.environ)) as services:
        services.start("sleeper", SLEEPER)
        group = services.running["sleeper"].pid
        services._warden.send_signal(signal.SIGKILL)
        services._warden.wait()
    assert ends(group)
