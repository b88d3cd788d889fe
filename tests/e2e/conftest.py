"""A whole warehouse in temporary folders, run by the real commands and seen through a real browser."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

PROJECT = Path(__file__).parents[2]
DATASETS = [
    "thuong-mai/cho",
    "pho-bien-phap-luat/to-hoa-giai-co-so",
    "ho-tich/khai-sinh",
    "giao-duc/truong-hoc",
    "to-chuc-can-bo/don-vi-hanh-chinh",
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Kho:
    """One running warehouse: its folders, its addresses, its command."""

    home: Path
    register: Path
    url: str
    dagster: str

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in ("DAGSTER_HOME", "KHO_DAGSTER")}
        return kept | {"KHO_HOME": str(self.home), "KHO_REGISTER": str(self.register), "COLUMNS": "200"}

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "catalog.cli", *words]

    def kho(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), cwd=PROJECT, env=self.environment, capture_output=True, text=True, timeout=180)

    def drop(self, dataset: str, name: str, content: bytes) -> None:
        """Put a delivery down as a person would: whole, under its final name."""
        folder = self.home / "drop" / dataset
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / f".{name}"
        unfinished.write_bytes(content)
        unfinished.rename(folder / name)


def answer(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def until(condition, seconds: float, what: str) -> None:
    """Wait for a condition of the outside world; fail, saying which, when it does not come true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.3)
    pytest.fail(f"not within {seconds} s: {what}")


def copy_register(target: Path, datasets: list[str]) -> None:
    target.mkdir(parents=True)
    lists = (f"code-lists/{file.name}" for file in (PROJECT / "datasets/code-lists").iterdir())
    for name in ("agencies.yaml", "semantic-types.yaml", "register.yaml", *lists):
        (target / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / "datasets" / name, target / name)
    for dataset in datasets:
        for file in (PROJECT / "datasets").glob(f"{dataset}.*"):
            copy = target / dataset.split("/")[0] / file.name
            copy.parent.mkdir(exist_ok=True)
            shutil.copy(file, copy)


@pytest.fixture(scope="session")
def kho(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kho]:
    """`kho up` over six datasets, started once, stopped as a person stops it: with Ctrl-C."""
    folder = tmp_path_factory.mktemp("kho")
    port, dagster_port = free_port(), free_port()
    warehouse = Kho(folder / "var", folder / "datasets", f"http://127.0.0.1:{port}", f"http://127.0.0.1:{dagster_port}")
    copy_register(warehouse.register, DATASETS)
    log = folder / "up.log"
    with log.open("wb") as sink:
        up = subprocess.Popen(
            warehouse.command("up", "--port", str(port), "--dagster-port", str(dagster_port)),
            cwd=PROJECT, env=warehouse.environment, stdout=sink, stderr=sink, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: up.poll() is not None or "Ctrl-C" in log.read_text(), 120, "`kho up` is up")
        assert up.poll() is None, log.read_text()
        yield warehouse
    finally:
        up.send_signal(signal.SIGINT)
        try:
            up.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(up.pid, signal.SIGKILL)
            raise
        left = subprocess.run(["pgrep", "-f", str(folder)], capture_output=True, text=True).stdout
        assert not answer(f"{warehouse.url}/healthz") and not answer(warehouse.dagster), f"Ctrl-C left something running: {left}"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "these tests need Debian's chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser, kho: Kho) -> Iterator[BrowserContext]:
    """A visitor without JavaScript: every journey must work for her."""
    context = browser.new_context(base_url=kho.url, java_script_enabled=False, accept_downloads=True, locale="vi-VN")
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()
