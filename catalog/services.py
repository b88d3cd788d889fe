"""Child processes of `kho up`: started together, stopped together."""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType

from rich.console import Console

from pipelines.contract import register_state

GRACE_SECONDS = 10
PR_SET_PDEATHSIG = 1
START_SECONDS = 90


class Services:
    """Context manager: whatever was started inside is stopped at its end, children of children included."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self._stopping = False

    def __enter__(self) -> "Services":
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)
        return self

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def start(self, name: str, command: list[str], log: Path | None = None) -> None:
        """Start a service in a process group of its own; its output goes to ``log``, or to ours."""
        sink = log.open("ab") if log else None
        try:
            self.running[name] = subprocess.Popen(
                command, env=self.environment, stdout=sink, stderr=sink, start_new_session=True, preexec_fn=_end_with_parent
            )  # fmt: skip
        finally:
            if sink:
                sink.close()

    def wait_until_answering(self, urls: dict[str, str], console: Console) -> None:
        """Return when every address answers; say which does not after a while, and go on."""
        deadline = time.monotonic() + START_SECONDS
        with console.status("starting the catalogue and Dagster …"):
            for name, url in urls.items():
                while time.monotonic() < deadline and self.running[name].poll() is None and not _answers(url):
                    time.sleep(0.2)
                if not _answers(url):
                    console.print(f"[red]{name} does not answer at {url}[/red]")

    def wait(self, meanwhile: Sequence[Callable[[], None]]) -> int:
        """Until a service ends (its exit code) or Ctrl-C (0); ``meanwhile`` are called twice a second."""
        try:
            while True:
                for duty in meanwhile:
                    duty()
                for process in self.running.values():
                    if (code := process.poll()) is not None:
                        return code or 1
                time.sleep(0.5)
        except KeyboardInterrupt:
            return 0

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave children behind
        for process in self.running.values():
            _signal(process, signal.SIGINT)
        deadline = time.monotonic() + GRACE_SECONDS
        for process in self.running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            _signal(process, signal.SIGKILL)


class DagsterFollows:
    """Has a running Dagster load its definitions anew when the register's files change, as the catalogue does by itself."""

    def __init__(self, register: Path, url: str) -> None:
        self.register, self.url = register, url
        self.seen = register_state(register)

    def __call__(self) -> None:
        state = register_state(self.register)
        if state == self.seen:
            return
        self.seen = state
        query = json.dumps({"query": "mutation { reloadWorkspace { __typename } }"}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", query, {"Content-Type": "application/json"})
        with suppress(urllib.error.URLError, TimeoutError):  # a mistaken register shows in Dagster's own page
            urllib.request.urlopen(request, timeout=30).close()


def taken(host: str, port: int) -> bool:
    """Whether somebody listens there already."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, port)) == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except (urllib.error.URLError, OSError):
        return False


def _end_with_parent() -> None:
    """In the child: be told to stop when `kho up` is killed and cannot tell us (Linux; elsewhere they live on)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _signal(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    """To the whole group, so that grandchildren (Dagster's code servers) end too."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
