"""Who executes runs, and what becomes of the runs of those who were killed.

Dagster writes a run's state into its database; a process that is killed leaves its run "started" for ever, and the
queue waits for it. Every executing process therefore holds a lock, which the system frees with the process: `kho run`
one named like its run, Dagster's daemon one for all of its runs.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import dagster as dg
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES

from pipelines.settings import Settings, dagster_environment

LOOK_SECONDS = 30

DAEMON = "daemon"
"""Executes every run that has no lock of its own: what schedules, the sensor and the Dagster UI start."""

KILLED = "The process that executed this run was killed. What it had committed is kept; run again for the rest."


class AlreadyRunning(Exception):
    """Another process holds this lock."""


@contextmanager
def executing(settings: Settings, name: str) -> Iterator[None]:
    """Execute the run ``name`` (or be the `DAEMON`) until the end of the block; raises `AlreadyRunning`."""
    lock = _lock(settings, name)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(name) from None
        yield
        if name != DAEMON:  # that name is used again
            lock.unlink()


def close_abandoned_runs(settings: Settings, instance: dg.DagsterInstance, *, daemon: bool | None = None) -> list[str]:
    """Mark as failed every run in progress whose executor is gone; their ids.

    ``daemon``: whether Dagster's daemon is executing; found out by its lock unless told.
    """
    daemon = _held(_lock(settings, DAEMON)) if daemon is None else daemon
    closed = []
    for run in instance.get_runs(filters=dg.RunsFilter(statuses=[*IN_PROGRESS_RUN_STATUSES, dg.DagsterRunStatus.CANCELING])):
        lock = _lock(settings, run.run_id)
        if _held(lock) if lock.exists() else daemon:
            continue
        now = instance.get_run_by_id(run.run_id)
        if now and not now.is_finished:  # it may have ended, and its process with it, since we asked
            instance.report_run_failed(now, KILLED)
            lock.unlink(missing_ok=True)
            closed.append(run.run_id)
    return closed


def _lock(settings: Settings, name: str) -> Path:
    return settings.dagster / "executors" / name


def _held(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextmanager
def daemon(settings: Settings) -> Iterator[None]:
    """Be the one process under which Dagster's daemon runs; raises `AlreadyRunning`."""
    os.environ.update(dagster_environment(settings))
    with executing(settings, DAEMON):
        with dg.DagsterInstance.get() as instance:
            close_abandoned_runs(settings, instance, daemon=False)
        yield


def close_abandoned_runs_now_and_then(settings: Settings) -> Callable[[], None]:
    """To be called often; looks for abandoned runs every `LOOK_SECONDS`."""
    last = 0.0

    def look() -> None:
        nonlocal last
        if monotonic() - last < LOOK_SECONDS:
            return
        last = monotonic()
        with dg.DagsterInstance.get() as instance:
            close_abandoned_runs(settings, instance)

    return look
