"""The parent of several workers: it opens the sockets, starts the workers, and replaces those that die.

A rolling restart (SIGHUP, or `updater restart`) starts a new worker for each, waits until it answers, and only then
lets the old one retire. The parent itself serves no requests and imports little: what a new version of the program
changes in the workers comes with a rolling restart, what it changes here with a full one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from updater.errors import ConfigurationError, Unavailable
from updater.logs.loggers import get_logger
from updater.permissions import bind_private
from updater.processes.folder import hold_folder, short_path
from updater.processes.listening import announce_addresses, close_sockets, open_sockets
from updater.processes.workers import (
    CONTROL_SOCKET,
    FAILED,
    LOCK_FILE,
    READY,
    REASON_BYTES,
    RETIRE,
    WorkerSlot,
    find_metrics_sockets,
    remove,
)
from updater.settings import ServerSettings, Settings

START_S = 120.0
# Beyond server.drain_s: the time a worker needs to end after its last request.
_ENDING_S = 15.0
# The time a worker needs to end after it has sent the reason why it does not start.
_GOING_S = 5.0
# The time workers need to notice that their parent was killed, and to close the port.
_ORPHANS_S = 10.0
_FIRST_DELAY_S, _LONGEST_DELAY_S, _STEADY_S = 0.1, 30.0, 30.0
_log = get_logger(__name__)


class Worker:
    """One process that serves, and the parent's end of the channel to it."""

    def __init__(self, number: int, process: asyncio.subprocess.Process, channel: socket.socket) -> None:
        self.number = number
        self.process = process
        self.started_s = time.monotonic()
        self._channel = channel

    async def wait_ready(self) -> None:
        """Wait until the worker answers, for `START_S` seconds at most.

        Raises:
            Unavailable: it ended or took too long; the message has its reason, if it sent one.
        """
        said = b""
        with contextlib.suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(START_S):
                said = await asyncio.get_running_loop().sock_recv(self._channel, len(FAILED) + REASON_BYTES)
        if said == READY:
            return
        reason = said.removeprefix(FAILED).decode(errors="replace") or "the service's log says why"
        raise Unavailable(f"worker {self.number} did not start: {reason}")

    def retire(self) -> None:
        """Tell the worker to finish what is under way and to end. Raises nothing when it has ended."""
        with contextlib.suppress(OSError):
            self._channel.send(RETIRE)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal. Raises nothing when the worker has ended."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def wait(self) -> int:
        """Wait until the worker has ended; return its exit status.

        A signal is its negative number, as in Popen.returncode.
        """
        try:
            return await self.process.wait()
        finally:
            if self.process.returncode is not None:
                self._channel.close()


class WorkerPool:
    """The workers of one service: one for each number from 1 on, and those that retire."""

    def __init__(self, command: Sequence[str], listening: Sequence[socket.socket], size: int) -> None:
        self._command = tuple(command)
        self._listening = tuple(each.fileno() for each in listening)
        self._size = size
        self._present: dict[int, Worker] = {}
        self._alive: dict[Worker, asyncio.Task[None]] = {}
        self._respawning: list[asyncio.Task[None]] = []
        # Held while a worker is exchanged: by a rolling restart, or by the respawning of one that died.
        self._exchange = asyncio.Lock()

    async def start(self) -> None:
        """Start the workers in order: the first one migrates the database and makes the first key.

        Raises:
            Unavailable: one does not start, with its reason.
        """
        for number in range(1, self._size + 1):
            self._present[number] = await self._spawn(number)
        self._respawning = [asyncio.create_task(self._respawn(number)) for number in self._present]

    async def restart(self) -> AsyncIterator[dict[str, int]]:
        """Exchange the workers in order, and yield the number and the process id of each new one.

        Raises:
            Unavailable: a new worker does not start, with its reason. The workers not exchanged yet stay.
        """
        for number in list(self._present):
            async with self._exchange:
                fresh = await self._spawn(number)
                old, self._present[number] = self._present[number], fresh
            old.retire()
            _log.info("worker.replaced", worker=number, pid=fresh.process.pid, retiring=old.process.pid)
            yield {"worker": number, "pid": fresh.process.pid}

    async def stop(self, within_s: float) -> None:
        """End all workers: SIGTERM first, SIGKILL for those that still run after `within_s` seconds."""
        for respawning in self._respawning:
            respawning.cancel()
        await asyncio.gather(*self._respawning, return_exceptions=True)
        for worker in list(self._alive):
            worker.signal(signal.SIGTERM)
        if self._alive:
            _, late = await asyncio.wait(self._alive.values(), timeout=within_s)
            for worker in list(self._alive) if late else ():
                worker.signal(signal.SIGKILL)
            await asyncio.gather(*self._alive.values())

    async def _spawn(self, number: int) -> Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            words = WorkerSlot(number, theirs.fileno(), self._listening).words()
            process = await asyncio.create_subprocess_exec(
                *self._command, *words, pass_fds=(*self._listening, theirs.fileno()), stdin=asyncio.subprocess.DEVNULL
            )
        worker = Worker(number, process, ours)
        reaping = self._alive[worker] = asyncio.create_task(self._reap(worker))
        ready = False
        try:
            await worker.wait_ready()
            ready = True
        except Unavailable:
            # Most end by themselves. A signal sent at that moment would make asyncio lose the exit status.
            await asyncio.wait({reaping}, timeout=_GOING_S)
            raise
        finally:
            if not ready and not reaping.done():
                worker.signal(signal.SIGKILL)
        _log.info("worker.started", worker=number, pid=process.pid)
        return worker

    async def _reap(self, worker: Worker) -> None:
        status = await worker.wait()
        self._alive.pop(worker, None)
        _log.info("worker.ended", worker=worker.number, pid=worker.process.pid, status=status)

    async def _respawn(self, number: int) -> None:
        """Replace the worker of this number whenever it dies: at first at once, then with growing pauses."""
        delay_s = _FIRST_DELAY_S
        while True:
            worker = self._present[number]
            await worker.process.wait()
            if self._present[number] is not worker:
                continue
            lived_s = time.monotonic() - worker.started_s
            delay_s = _FIRST_DELAY_S if lived_s > _STEADY_S else min(2 * delay_s, _LONGEST_DELAY_S)
            _log.error("worker.died", worker=number, pid=worker.process.pid, status=worker.process.returncode)
            await asyncio.sleep(delay_s)
            async with self._exchange:
                if self._present[number] is worker:
                    try:
                        self._present[number] = await self._spawn(number)
                    except Exception as error:  # no process, no open file: tried again, after a longer pause
                        expected = isinstance(error, Unavailable)
                        _log.error(
                            "worker.not_replaced",
                            worker=number,
                            reason=str(error),
                            exc_info=None if expected else error,
                        )


async def supervise(settings: Settings, *, announce: Callable[[str], None]) -> None:
    """Run `server.workers` processes until SIGTERM or SIGINT. SIGHUP is a rolling restart.

    `announce` gets a line for each address, and `announce_addresses`'s warning, when all workers answer.

    Raises:
        FolderInUse: another parent has this data folder. ConfigurationError: it, or the address, cannot be used.
        Unavailable: a worker does not start, with its reason.
    """
    stopping, restarting = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    loop.add_signal_handler(signal.SIGHUP, restarting.set)
    root = Path(settings.storage.root)
    with hold_folder(root, LOCK_FILE):
        sockets = await _listen(settings.server, _ORPHANS_S if find_metrics_sockets(root) else 0)
        # The command this process was started with, so that a worker is the same program, found the same way.
        pool = WorkerPool([sys.executable, *sys.orig_argv[1:]], sockets, settings.server.workers)
        try:
            started = functools.partial(announce_addresses, sockets, settings.server, announce)
            starting = asyncio.create_task(_run(pool, root, restarting, started))
            stopped = asyncio.create_task(stopping.wait())
            await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await starting
        finally:
            # From here on only systemd accepts new connections, if it holds the sockets.
            await pool.stop(settings.server.drain_s + _ENDING_S)
            close_sockets(sockets)
            for path in find_metrics_sockets(root).values():
                remove(path)


async def _listen(settings: ServerSettings, wait_s: float) -> Sequence[socket.socket]:
    """Open the sockets; retry for `wait_s` seconds, since workers of a killed parent hold the port for a moment.

    Raises ConfigurationError.
    """
    until_s = time.monotonic() + wait_s
    while True:
        try:
            return open_sockets(settings)
        except ConfigurationError:
            if time.monotonic() >= until_s:
                raise
        await asyncio.sleep(0.1)


async def _run(pool: WorkerPool, root: Path, restarting: asyncio.Event, started: Callable[[], None]) -> None:
    await pool.start()
    started()
    async with _control(pool, root / CONTROL_SOCKET):
        while True:
            await restarting.wait()
            restarting.clear()
            try:
                async for _ in pool.restart():
                    pass
            except Unavailable as error:
                _log.error("restart.failed", reason=error.message)


@contextlib.asynccontextmanager
async def _control(pool: WorkerPool, path: Path) -> AsyncIterator[None]:
    """Serve `restart` on a Unix socket of the owner alone, for the block; it answers with one JSON object a line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(event: dict[str, Any]) -> None:
            writer.write(json.dumps(event).encode() + b"\n")

        with contextlib.suppress(OSError):
            if (await reader.readline()).strip() == b"restart":
                try:
                    replaced = 0
                    async for event in pool.restart():
                        say(event)
                        replaced += 1
                    say({"result": {"replaced": replaced}})
                except Unavailable as error:
                    _log.error("restart.failed", reason=error.message)
                    say({"failure": type(error).__name__, "message": error.message})
            writer.close()
            await writer.wait_closed()

    remove(path)
    with short_path(path) as short:
        server = await asyncio.start_unix_server(answer, sock=bind_private(short))
        try:
            yield
        finally:
            server.close()
            remove(path)
