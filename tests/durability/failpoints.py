"""End this process at a chosen step on the way to the disk, as a power button would.

Every call that changes a file, and every commit, is a step. `SIGUSR1` arms the counter, so that a test chooses which
request is hit. The names of the steps go to a file, for the reader of a red test.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

_FILE_CALLS = ("mkdir", "rename", "replace", "unlink", "fsync")
_real_write, _real_open = os.write, os.open


class Steps:
    """Counts steps from 1; at step `last` the process dies before it does it."""

    def __init__(self, last: int, log: str, *, armed: bool) -> None:
        self._last = last
        self._count = 0
        self._armed = armed
        self._lock = threading.Lock()
        self._log = _real_open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)

    def install(self) -> None:
        signal.signal(signal.SIGUSR1, self._arm)
        for name in _FILE_CALLS:
            setattr(os, name, self._counted(name, getattr(os, name)))
        os.open = self._open
        os.write = self._write
        self._count_commits_of_postgres()
        connect = sqlite3.connect
        sqlite3.connect = lambda *given, **named: connect(
            *given, **{**named, "factory": self._connection(named.get("factory", sqlite3.Connection))}
        )

    def _connection(self, base: type[sqlite3.Connection]) -> type[sqlite3.Connection]:
        steps = self

        class Connection(base):  # type: ignore[valid-type,misc]
            def commit(self) -> None:
                if self.in_transaction:
                    steps.pass_by("commit")
                    super().commit()
                    steps.pass_by("committed")

        return Connection

    def _count_commits_of_postgres(self) -> None:
        from asyncpg.transaction import Transaction

        commit = Transaction.commit

        async def counted(transaction: Transaction) -> None:
            self.pass_by("commit")
            await commit(transaction)
            self.pass_by("committed")

        Transaction.commit = counted

    def pass_by(self, name: str, halfway: Callable[[], Any] | None = None) -> None:
        with self._lock:
            if not self._armed:
                return
            self._count += 1
            _real_write(self._log, f"{name}\n".encode())
            if self._count == self._last:
                if halfway is not None:
                    halfway()
                os.kill(os.getpid(), signal.SIGKILL)

    def _arm(self, *_: object) -> None:
        self._armed = True

    def _counted(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self.pass_by(name)
            return call(*given, **named)

        return counted

    def _open(self, path: Any, flags: int, *given: Any, **named: Any) -> int:
        if flags & os.O_CREAT:
            self.pass_by("create")
        return _real_open(path, flags, *given, **named)

    def _write(self, descriptor: int, data: Any) -> int:
        self.pass_by("write", lambda: _real_write(descriptor, memoryview(data)[: len(data) // 2]))
        return _real_write(descriptor, data)
