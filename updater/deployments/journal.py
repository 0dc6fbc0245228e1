"""A run on disk: its plan, its state and its journal, in a folder that outlives every process.

    <data folder>/deployments/<deployment>/
        lock                    held (flock) by the one process that carries a run out
        turn                    held (flock) while a process asks git, or decides what to begin
        runs/<run>/plan.json    what to do; written before the start. Held (flock) by the one process that watches the
                                run and imports it into the database
        runs/<run>/state.json   the checkpoint, replaced as a whole and flushed before each step begins
        runs/<run>/journal      one JSON event a line, in order; flushed with each checkpoint
        runs/<run>/imported     marker: the database has the whole run

The process that holds the lock is the only writer of state and journal. All other processes read.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from updater.clock import utc_now
from updater.deployments import durable
from updater.deployments.durable import Damaged
from updater.deployments.locks import try_lock
from updater.deployments.model import Event, LogLevel, Outcome, Plan, RunState, StepReport
from updater.permissions import make_folder, make_folders

PLAN, STATE, JOURNAL, IMPORTED, OUTPUT = "plan.json", "state.json", "journal", "imported", "runner.log"
LOCK, EXCLUSIVE = "lock", "turn"
_RESERVE = "reserve"
FIELDS = {
    "log": ("level", "component", "message"),
    "target": ("from_commit", "to_commit", "version", "title", "description"),
    "end": ("outcome", "failed_step", "error", "advice"),
}
_RUN_ID = re.compile(r"\A[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}\Z")
_POLL_S = 0.1
_LOCK_WAIT_S = 0.5
_INCOMPLETE_S = 60


class RunFolder:
    """The folder of one run, for reading by any process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.run = path.name

    @classmethod
    def create(cls, home: Path, plan: Plan) -> tuple[RunFolder, int]:
        """Write a plan durably into a new folder below a deployment's `home`.

        The folder gets its name when it is complete, so that no process finds the run unwatched and withdraws it.

        Returns: the folder, and the descriptor that holds the watch. Raises OSError when it cannot be written.
        """
        folder, incomplete = cls(home / "runs" / plan.run), cls(home / "runs" / f".{plan.run}")
        make_folders(home / "runs")
        make_folder(incomplete.path)
        durable.replace(incomplete.path / PLAN, plan.to_tree())
        watch = incomplete.try_watch()
        assert watch is not None  # noqa: S101 - no other process knows this folder
        incomplete.path.rename(folder.path)
        for parent in (home / "runs", home, home.parent):
            durable.flush_folder(parent)
        return folder, watch

    def try_watch(self) -> int | None:
        """Take the watch over this run; return its descriptor, or None when another process has it."""
        return try_lock(self.path / PLAN)

    def find_plan(self) -> Plan | None:
        """Return the plan; None when it was never written. Raises Damaged, and OSError when it cannot be read."""
        return durable.read(self.path / PLAN, Plan.from_tree)

    def find_state(self) -> RunState | None:
        """Return the last checkpoint; None when the run never began.

        Raises:
            Damaged, and OSError when it cannot be read.
        """
        return durable.read(self.path / STATE, RunState.from_tree)

    def find_damage(self) -> str | None:
        """Return what is wrong with plan or state; None when the run can be carried on. Raises OSError."""
        try:
            plan, state = self.find_plan(), self.find_state()
        except Damaged as damaged:
            return str(damaged)
        return f"{self.path / PLAN} is missing" if plan is None and state is not None else None

    def events(self, offset_bytes: int = 0) -> tuple[list[Event], int]:
        """Return the complete events from `offset_bytes` on, in order, and the offset in bytes of the next one.

        A line that a fault of the disk damaged is left out.
        """
        try:
            with (self.path / JOURNAL).open("rb") as file:
                file.seek(offset_bytes)
                data = file.read()
        except FileNotFoundError:
            return [], offset_bytes
        whole = data[: data.rfind(b"\n") + 1]
        events = (_parsed(line) for line in whole.split(b"\n"))
        return [event for event in events if event is not None], offset_bytes + len(whole)

    @property
    def imported(self) -> bool:
        """Tell whether the database has the whole run."""
        return (self.path / IMPORTED).exists()

    def mark_imported(self) -> None:
        """Record that the database has the whole run. Raises OSError."""
        (self.path / IMPORTED).touch()

    def remove(self) -> None:
        """Delete the run's folder.

        The marker goes last, in this order, so that a folder deleted in part is never taken for a new run.
        """
        for name in (PLAN, JOURNAL, STATE, OUTPUT, _RESERVE, IMPORTED):
            (self.path / name).unlink(missing_ok=True)
        for stray in self.path.iterdir():
            stray.unlink()
        self.path.rmdir()


def new_run_id(now: datetime) -> str:
    """Return a name for a run: the time in UTC and 8 random digits, so that the order of names is that of time."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def list_runs(home: Path) -> list[RunFolder]:
    """Return a deployment's runs, oldest first; the order is that of their names."""
    folder = home / "runs"
    if not folder.is_dir():
        return []
    return [RunFolder(path) for path in sorted(folder.iterdir()) if _RUN_ID.match(path.name)]


def list_states(folders: Sequence[RunFolder]) -> list[RunState]:
    """Return the states of those runs that began and can be read, in the same order. Raises OSError."""
    found = []
    for folder in folders:
        with contextlib.suppress(Damaged):
            state = folder.find_state()
            if state is not None:
                found.append(state)
    return found


def find_run(home: Path, run: str) -> RunFolder | None:
    """Return a run by its name; None when there is none, or the name has another form."""
    folder = RunFolder(home / "runs" / run) if _RUN_ID.match(run) else None
    return folder if folder is not None and folder.path.is_dir() else None


def prune(home: Path, keep: int) -> None:
    """Remove the oldest imported runs, beyond the newest `keep`. Raises OSError."""
    for folder in [each for each in list_runs(home) if each.imported][:-keep]:
        folder.remove()


def remove_incomplete(home: Path) -> None:
    """Remove run folders that a killed process left while it wrote the plan, when they are older than 60 seconds."""
    for path in (home / "runs").glob(".*"):
        if time.time() - path.stat().st_mtime > _INCOMPLETE_S:
            RunFolder(path).remove()


def is_running(home: Path) -> bool:
    """Tell whether a process holds the deployment's lock. Raises OSError when the lock file cannot be opened."""
    try:
        descriptor = os.open(home / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def take_lock(home: Path) -> int | None:
    """Take the deployment's lock; return its descriptor, or None when another process holds it.

    It waits up to half a second, since `is_running` holds the lock for an instant.
    """
    descriptor = os.open(home / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                return None
            time.sleep(0.02)


async def follow(folder: RunFolder, after: int = 0) -> AsyncIterator[Event]:
    """Yield a run's events after number `after` in order, as they come, until its end or the end of its process.

    It reads files alone, so it continues while services restart.
    """
    offset = 0
    home = folder.path.parent.parent
    while True:
        alive = await asyncio.to_thread(is_running, home)
        events, offset = await asyncio.to_thread(folder.events, offset)
        for event in events:
            if event.number > after:
                yield event
            if event.kind == "end":
                return
        if not alive:
            return
        await asyncio.sleep(_POLL_S)


class Journal:
    """The only writer of a run's journal and state. Hold the deployment's lock before opening it."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder.path
        events, whole_bytes = folder.events()
        self._number = events[-1].number if events else 0
        self._ended = bool(events) and events[-1].kind == "end"
        self._file = os.open(self._folder / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # A killed writer may have left an incomplete line.
        os.ftruncate(self._file, whole_bytes)
        os.lseek(self._file, 0, os.SEEK_END)
        with contextlib.suppress(OSError):
            durable.reserve(self._folder / _RESERVE)

    @property
    def ended(self) -> bool:
        """Tell whether the `end` event is written."""
        return self._ended

    def log(self, level: LogLevel, component: str | None, message: str) -> None:
        """Append a `log` event. Raises nothing: a full disk loses lines, not the run."""
        self._append("log", {"level": level, "component": component, "message": message})

    def step(self, phase: str, report: StepReport) -> None:
        """Append a `step` event: the step's name, status and duration in seconds.

        On a full disk it uses the reserve.
        """
        data = {"phase": phase, "name": report.name, "status": report.status, "duration_s": report.duration_s}
        self._append("step", data)

    def target(self, data: dict[str, Any]) -> None:
        """Append a `target` event with the fields that `Event` names. On a full disk it uses the reserve."""
        self._append("target", data)

    def end(self, state: RunState) -> None:
        """Write the final state, then the `end` event, in this order: the state decides.

        Raises OSError as `checkpoint`.
        """
        self.checkpoint(state)
        data = {name: getattr(state, name) for name in ("outcome", "failed_step", "error", "advice")}
        self._append("end", data)
        with contextlib.suppress(OSError):
            os.fsync(self._file)

    def checkpoint(self, state: RunState) -> None:
        """Make the state durable. On a full disk it uses the reserve.

        Raises:
            OSError: the reserve was not enough, or the disk failed.
        """
        with contextlib.suppress(OSError):
            os.fsync(self._file)
        try:
            durable.replace(self._folder / STATE, state.to_tree())
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            (self._folder / _RESERVE).unlink(missing_ok=True)
            durable.replace(self._folder / STATE, state.to_tree())
        if state.outcome is not Outcome.RUNNING:
            (self._folder / _RESERVE).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal's file."""
        os.close(self._file)

    def _append(self, kind: str, data: dict[str, Any]) -> None:
        event = Event(self._number + 1, utc_now(), kind, data)
        line = durable.encoded(event.to_tree()) + b"\n"
        if not self._write(line) and kind != "log":
            (self._folder / _RESERVE).unlink(missing_ok=True)
            self._write(line)

    def _write(self, line: bytes) -> bool:
        begin = os.lseek(self._file, 0, os.SEEK_CUR)
        with contextlib.suppress(OSError):
            if os.write(self._file, line) == len(line):
                self._number += 1
                return True
        os.ftruncate(self._file, begin)
        os.lseek(self._file, begin, os.SEEK_SET)
        return False


def _parsed(line: bytes) -> Event | None:
    """Return the event of a line; None when it is not whole."""
    try:
        event = Event.from_tree(json.loads(line))
        # The fields are those that an import reads.
        for name in FIELDS.get(event.kind, ()):
            event.data[name]
        if event.kind == "log":
            LogLevel(event.data["level"])
        return event if isinstance(event.number, int) else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
