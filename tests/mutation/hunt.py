"""Ask collected tests about changes: each change in a fork of this process, by the tests that run its lines.

The loaded functions take the changed code, so tests run as quickly as ever and nothing is imported again. Nothing runs
in the process itself: forks find everything as the collection left it.
"""

from __future__ import annotations

import functools
import gc
import os
import pickle
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import Any

import pytest

from tests.mutation.changes import Change

NOTICED, SURVIVED, TIMED_OUT, UNFIT = "noticed", "survived", "timed out", "unfit"


@dataclass
class Seen:
    """What one test did: the processor time it took, whether it passed, the lines of the modules that it ran."""

    seconds: float = 0.0
    passed: bool = True
    lines: set[tuple[str, int]] = field(default_factory=set)


class Hunt:
    """A plugin of pytest that runs, in place of all tests, each change with its own. `fates` is what became of them."""

    def __init__(self, changes: list[Change], processes: int, tell: Callable[[str], None]) -> None:
        self.fates: dict[Change, str] = {}
        self._changes, self._processes, self._tell = changes, processes, tell
        self._failed = False

    def pytest_configure(self) -> None:
        """Have hypothesis try the same examples each time, within no time, and without a search for the shortest."""
        from hypothesis import HealthCheck, Phase, settings

        settings.register_profile(
            "mutation",
            phases=(Phase.explicit, Phase.generate),
            derandomize=True,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        settings.load_profile("mutation")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take note of a failure."""
        self._failed |= report.failed

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Ask the tests about all changes."""
        if session.testsfailed:
            raise session.Interrupted("tests cannot be collected")
        reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
        reporter._tw._file = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lasts
        session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]  # one for all forks
        seen = self._watch(session.items)
        if failed := [item.nodeid for item, each in zip(session.items, seen, strict=True) if not each.passed]:
            self._tell(f"without any change these fail: {', '.join(failed)}")
            return True
        self._tell(f"{len(seen)} tests take {sum(each.seconds for each in seen):.1f} s; {len(self._changes)} changes")
        wanted = []
        for change in self._changes:
            lines = {(change.path, each) for each in change.lines}
            asked = [(each.seconds, index) for index, each in enumerate(seen) if each.lines & lines]
            wanted.append((sum(each for each, _ in asked), change, [index for _, index in sorted(asked)]))
        self._loaded = Loaded({each.path for each in self._changes})
        self._run_all(session.items, sorted(wanted, key=lambda each: each[0]))
        return True

    def _watch(self, items: list[pytest.Item]) -> list[Seen]:
        """Run each test once, in one fork, and watch its lines."""
        paths = {each.path for each in self._changes}
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reading)
            with os.fdopen(writing, "wb") as file:
                pickle.dump([self._watch_one(items, index, paths) for index in range(len(items))], file)
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            raw = file.read()
        os.waitpid(pid, 0)
        return pickle.loads(raw)  # type: ignore[no-any-return]

    def _watch_one(self, items: list[pytest.Item], index: int, paths: set[str]) -> Seen:
        seen = Seen()

        def enter(frame: FrameType, event: str, argument: object) -> Any:
            path = frame.f_code.co_filename
            if path not in paths:
                return None

            def line(frame: FrameType, event: str, argument: object) -> Any:
                seen.lines.add((path, frame.f_lineno))
                return line

            return line(frame, event, argument)

        started_s, self._failed = time.process_time(), False
        threading.settrace(enter)
        sys.settrace(enter)
        try:
            _run(items[index], items[index + 1] if index + 1 < len(items) else None)
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]
        seen.seconds, seen.passed = time.process_time() - started_s, not self._failed
        return seen

    def _run_all(self, items: list[pytest.Item], wanted: list[tuple[float, Change, list[int]]]) -> None:
        running: dict[int, tuple[Change, float]] = {}
        told_s = time.monotonic()
        while wanted or running:
            while wanted and len(running) < self._processes:
                seconds, change, indexes = wanted.pop(0)
                if not indexes:
                    self.fates[change] = SURVIVED
                    continue
                pid = os.fork()
                if not pid:
                    self._try(change, [items[index] for index in indexes], seconds)
                running[pid] = change, time.monotonic() + 60 + 30 * seconds
            for pid, (change, until_s) in list(running.items()):
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    del running[pid]
                    self.fates[change] = _fate(status)
                elif time.monotonic() > until_s:
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)
            if time.monotonic() > told_s + 30:
                told_s = time.monotonic()
                self._tell(f"{len(self.fates)} of {len(self._changes)}")

    def _try(self, change: Change, items: list[pytest.Item], seconds: float) -> None:
        """Run tests until one fails, with a change; never return."""
        status = 3
        try:
            limit_s = int(10 + 10 * seconds)
            resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 5))
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.dup2(1, 2)
            self._failed = False
            self._loaded.put_in(change)
            gc.disable()
            for item, following in zip(items, [*items[1:], None], strict=True):
                _run(item, following)
                if self._failed:
                    break
            status = 1 if self._failed else 0
            items[0].session._setupstate.teardown_exact(None)
        except (LookupError, ValueError):
            pass
        finally:
            os._exit(status)


def _run(item: pytest.Item, following: pytest.Item | None) -> None:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def _fate(status: int) -> str:
    if os.WIFSIGNALED(status):
        return TIMED_OUT if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else NOTICED
    return {0: SURVIVED, 1: NOTICED}.get(os.WEXITSTATUS(status), UNFIT)


class Loaded:
    """The functions of some modules as they are loaded, and all that keeps what functions returned."""

    def __init__(self, paths: set[str]) -> None:
        gc.unfreeze()  # `tests.quick` hides what the collection made
        self._functions: dict[tuple[str, str], dict[CodeType, list[FunctionType]]] = {}
        self._caches = []
        for each in gc.get_objects():
            if isinstance(each, functools._lru_cache_wrapper):
                self._caches.append(each)
            elif isinstance(each, FunctionType) and each.__code__.co_filename in paths:
                place = each.__code__.co_filename, each.__code__.co_qualname
                self._functions.setdefault(place, {}).setdefault(each.__code__, []).append(each)
        gc.freeze()  # so that forks share the memory

    def put_in(self, change: Change) -> None:
        """Give the loaded function the changed code, and forget what was reckoned with the old one.

        Raises:
            LookupError: it is not loaded. ValueError: it cannot take the code.
        """
        name, number = change.function
        found = self._functions.get((change.path, name), {})
        for function in found[sorted(found, key=lambda code: code.co_firstlineno)[number]]:
            function.__code__ = change.code
        for each in self._caches:
            each.cache_clear()
