"""Run one external command under hard limits of time, place, environment and output.

The command gets a session and process group of its own, no terminal and no input. When it ends, or has to be
ended, none of its processes stays, except those that a restart is meant to leave running.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

# Variables that each command gets when they are set; settings may name more.
BASE_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME", "TMPDIR")
MARK = "UPDATER_RUN"
# A step keeps its first and its last bytes; those between are only counted.
HEAD_BYTES, TAIL_BYTES, LINE_BYTES = 65_536, 32_768, 2_000
_CHUNK_BYTES = 131_072
_TERM_GRACE_S = 2.0
_DRAIN_S = 0.5
# Waits for a line, then becomes the command. Without a line (the parent that should write it has ended) it ends.
_WHEN_TOLD = ("/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "sh")
_PROC = Path("/proc")
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class Command:
    """What to run. `keeps_children` is for a restart: the processes that it leaves running are its purpose.

    `on_start` gets the process id, which is that of the group too; the command begins when it has returned.
    """

    argv: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]
    timeout_s: float
    keeps_children: bool = False
    on_start: Callable[[int], None] | None = None


@dataclass(frozen=True)
class Ended:
    """The end of a command. `status` is None when it could not be started; a signal is its negative number."""

    status: int | None
    timed_out: bool
    duration_s: float
    trouble: str | None = None

    @property
    def good(self) -> bool:
        """Tell whether it ended by itself, in time, with status 0."""
        return self.status == 0 and not self.timed_out

    @property
    def reason(self) -> str:
        """Return why it is not good, for people; durations are in seconds."""
        if self.trouble:
            return self.trouble
        if self.timed_out:
            return f"took longer than {self.duration_s:.0f} s and was ended with all its processes"
        if self.status is not None and self.status < 0:
            return f"was ended by signal {-self.status}"
        return f"ended with status {self.status}"


class OutputLines:
    """Cuts bytes into readable lines for `on_line`, bounded in length and in sum."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._left_bytes = HEAD_BYTES
        self._pending = b""
        self._tail = b""
        self._beyond_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Beyond the first `HEAD_BYTES` only the last `TAIL_BYTES` are kept."""
        head, rest = chunk[: self._left_bytes], chunk[self._left_bytes :]
        self._left_bytes -= len(head)
        if head:
            self._pending = self._emit(self._pending + head)
        if rest:
            self._beyond_bytes += len(rest)
            self._tail = (self._tail + rest[-TAIL_BYTES:])[-TAIL_BYTES:]

    def close(self) -> None:
        """Pass on what is left: the number of bytes left out, then the tail, in this order."""
        missing = self._beyond_bytes - len(self._tail)
        if missing:
            self._say(self._pending)
            self._on_line(f"[{missing} bytes of output left out]")
            self._pending = b""
        self._say(self._emit(self._pending + self._tail))
        self._pending = self._tail = b""

    def _emit(self, data: bytes) -> bytes:
        *lines, rest = data.replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            self._say(line)
        while len(rest) > LINE_BYTES:
            self._say(rest[:LINE_BYTES])
            rest = rest[LINE_BYTES:]
        return rest

    def _say(self, line: bytes) -> None:
        for start in range(0, len(line), LINE_BYTES):
            text = readable(line[start : start + LINE_BYTES].decode("utf-8", "replace"))
            if text:
                self._on_line(text)


def readable(text: str) -> str:
    """Replace characters that a terminal would obey, and credentials in addresses; trailing blanks go."""
    text = _CREDENTIALS.sub("***@", _ANSI.sub("", text)).replace("\t", "    ").rstrip()
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


async def run_command(command: Command, on_line: Callable[[str], None]) -> Ended:
    """Run a command to its end; each line of its output goes to `on_line`. Raises nothing for what the command does."""
    started = time.monotonic()
    reading, writing = os.pipe()
    try:
        process = await _start(command, writing)
    except (OSError, ValueError) as error:
        os.close(reading)
        return _not_started(command, error)
    finally:
        os.close(writing)
    # An own pipe: with asyncio's, wait() would wait for children that keep it open.
    output = asyncio.create_task(_read(reading, on_line))
    timed_out = False
    try:
        try:
            async with asyncio.timeout(command.timeout_s):
                status = await process.wait()
        except TimeoutError:
            timed_out = True
            status = await _end_group(process)
        await asyncio.wait({output}, timeout=_DRAIN_S)
    finally:
        if process.returncode is None or timed_out or not command.keeps_children:
            _signal_group(process.pid, signal.SIGKILL)
            end_marked(command.environment.get(MARK))
        if not output.done():
            await asyncio.wait({output}, timeout=_DRAIN_S)
            output.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await output
    return Ended(status, timed_out, time.monotonic() - started)


async def _start(command: Command, output: int) -> asyncio.subprocess.Process:
    if command.on_start is None:
        return await _spawn(command, command.argv, asyncio.subprocess.DEVNULL, output)
    told, telling = os.pipe()
    try:
        process = await _spawn(command, (*_WHEN_TOLD, *command.argv), told, output)
        command.on_start(process.pid)
        with contextlib.suppress(BrokenPipeError):  # it was killed before it began
            os.write(telling, b"\n")
    finally:
        os.close(told)
        os.close(telling)
    return process


async def _spawn(command: Command, argv: tuple[str, ...], stdin: int, output: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *argv,
        cwd=command.cwd,
        env=dict(command.environment),
        stdin=stdin,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


@dataclass(frozen=True)
class Answer:
    """The complete output of a command. `err` holds readable lines; `out` is as it came."""

    ended: Ended
    out: str
    err: tuple[str, ...]


async def capture(command: Command) -> Answer:
    """Run a command that answers a question with short output. Raises nothing for what the command does."""
    started = time.monotonic()
    try:
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            cwd=command.cwd,
            env=dict(command.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Answer(_not_started(command, error), "", ())
    timed_out, out, err = False, b"", b""
    try:
        async with asyncio.timeout(command.timeout_s):
            out, err = await process.communicate()
    except TimeoutError:
        timed_out = True
    finally:
        _signal_group(process.pid, signal.SIGKILL)
        status = await process.wait()
    lines = (readable(line) for line in err.decode("utf-8", "replace").splitlines())
    ended = Ended(status, timed_out, time.monotonic() - started)
    return Answer(ended, out.decode("utf-8", "replace"), tuple(line for line in lines if line))


def _not_started(command: Command, error: Exception) -> Ended:
    why = error.strerror if isinstance(error, OSError) and error.strerror else "not a command"
    return Ended(None, False, 0.0, f"{command.argv[0]} could not be started: {why}")


async def _read(descriptor: int, on_line: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_CHUNK_BYTES)
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor))
    lines = OutputLines(on_line)
    try:
        while chunk := await reader.read(_CHUNK_BYTES):
            lines.feed(chunk)
    finally:
        lines.close()
        transport.close()


async def _end_group(process: asyncio.subprocess.Process) -> int:
    _signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_TERM_GRACE_S):
            return await process.wait()
    _signal_group(process.pid, signal.SIGKILL)
    return await process.wait()


def _signal_group(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def end_marked(mark: str | None) -> int:
    """Kill every process that carries this run's mark in its environment; return their number. Raises nothing.

    A child with a session of its own leaves its group, but keeps the mark it inherited. Without /proc this does
    nothing, and only the group is killed.
    """
    if not mark or not _PROC.is_dir():
        return 0
    wanted = f"{MARK}={mark}".encode()
    ended: set[int] = set()
    for _ in range(20):  # a process that forks faster than this would escape any number of rounds
        found = {pid for pid in _marked(wanted) if pid not in ended}
        if not found:
            break
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended |= found
    return len(ended)


def identify(pid: int) -> str | None:
    """Return a name for a process that no later process with the same id gets: its id and start time. Source: proc(5).

    None when the process has ended.
    """
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    return f"{pid}:{stat.rpartition(')')[2].split()[19]}"


def end_identified(name: str | None) -> bool:
    """Kill the group of a process named by `identify`, if that process still runs; return whether it did.

    Raises nothing. None names no process.
    """
    if name is None or identify(int(name.partition(":")[0])) != name:
        return False
    _signal_group(int(name.partition(":")[0]), signal.SIGKILL)
    return True


def _marked(wanted: bytes) -> set[int]:
    found = set()
    for entry in _PROC.iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.add(int(entry.name))
    return found
