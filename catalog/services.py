"""Child processes of `kho up`: started together, stopped together."""

import json
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

from catalog.warden import end
from pipelines.contract import register_state

START_SECONDS = 90


class Services:
    """Context manager: whatever was started inside is stopped at its end, children of children included."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> "Services":
        # In a session of its own: what Ctrl-C sends to us must not stop the one who is to stop the others.
        self._warden = subprocess.Popen([sys.executable, "-m", "catalog.warden"], stdin=subprocess.PIPE, start_new_session=True)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)
        return self

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    def start(self, name: str, command: list[str], log: Path | None = None) -> None:
        """Start a service in a process group of its own; its output goes to ``log``, or to ours."""
        assert self._warden.stdin
        sink = log.open("ab") if log else None
        try:
            process = subprocess.Popen(command, env=self.environment, stdout=sink, stderr=sink, start_new_session=True)
        finally:
            if sink:
                sink.close()
        self._warden.stdin.write(f"{process.pid}\n".encode())
        self._warden.stdin.flush()
        self.running[name] = process

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
        assert self._warden.stdin
        with suppress(BrokenPipeError):
            self._warden.stdin.close()
        while self._warden.poll() is None:
            for process in self.running.values():
                process.poll()  # a child that ended counts as living until it was asked
            time.sleep(0.05)
        if left := [process.pid for process in self.running.values() if process.poll() is None]:
            end(left)  # somebody killed the warden


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
