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

from updater.deployments import leftovers
from updater.deployments.leftovers import MARK, signal_group
from updater.logs.texts import without_secrets

# Variables that each command gets when they are set; settings may name more.
BASE_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "USER", "LOGNAME", "TMPDIR")
# A step keeps its first and its last bytes; those between are only counted.
HEAD_BYTES, TAIL_BYTES, LINE_BYTES = 65_536, 32_768, 2_000
_CHUNK_BYTES = 131_072
_TERM_GRACE_S = 2.0
_DRAIN_S = 0.5
_WATCH_S = 0.5
# Waits for a line, then becomes the command. Without a line (the parent that should write it has ended) it ends.
_WHEN_TOLD = ("/bin/sh", "-c", 'read -r _ && exec "$@" </dev/null', "sh")
_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


@dataclass(frozen=True)
class Command:
    """What to run. `keeps_children` is for a restart: the processes that it leaves running are its purpose.

    With `adopts` this process takes over what the command leaves, and ends it with the command; `on_leavers` gets the
    names of those that have left the command's group, within a second. It is for a process that has no other children.
    `on_start` gets the process id, which is that of the group too; the command begins when it has returned.
    """

    argv: tuple[str, ...]
    cwd: str
    environment: Mapping[str, str]
    timeout_s: float
    keeps_children: bool = False
    on_start: Callable[[int], None] | None = None
    adopts: bool = False
    on_leavers: Callable[[set[str]], None] | None = None


@dataclass(frozen=True)
class Ended:
    """The end of a command. `status` is None when it could not be started; a signal is its negative number.

    `limit_s` is the time that it had.
    """

    status: int | None
    timed_out: bool
    duration_s: float
    trouble: str | None = None
    limit_s: float = 0.0

    @property
    def good(self) -> bool:
        """Tell whether it ended by itself, in time, with status 0."""
        return self.status == 0 and not self.timed_out and not self.trouble

    @property
    def reason(self) -> str:
        """Return why it is not good, for people; durations are in seconds."""
        if self.trouble:
            return self.trouble
        if self.timed_out:
            return f"timed out after {self.limit_s:g} s, and was ended with all its processes"
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
    text = without_secrets(_ANSI.sub("", text)).replace("\t", "    ").rstrip()
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


async def run_command(command: Command, on_line: Callable[[str], None]) -> Ended:
    """Run a command to its end; each line of its output goes to `on_line`. Raises nothing for what the command does."""
    started = time.monotonic()
    spared = leftovers.children() if command.adopts else set()
    # What a restart leaves is handed to init, where it belongs.
    leftovers.adopt(command.adopts)
    reading, writing = os.pipe()
    try:
        process = await _start(command, writing)
    except (OSError, ValueError) as error:
        os.close(reading)
        return not_started(command, error)
    finally:
        os.close(writing)
    # An own pipe: with asyncio's, wait() would wait for children that keep it open.
    output = asyncio.create_task(_read(reading, on_line))
    watching = asyncio.create_task(_watch_leavers(command, process.pid, spared))
    timed_out = False
    try:
        try:
            async with asyncio.timeout(command.timeout_s):
                status = await process.wait()
        except TimeoutError:
            timed_out = True
            status = await end_group(process)
        await asyncio.wait({output}, timeout=_DRAIN_S)
    finally:
        watching.cancel()
        if process.returncode is None or timed_out or not command.keeps_children:
            signal_group(process.pid, signal.SIGKILL)
            leftovers.end_marked(command.environment.get(MARK))
        if command.adopts:
            leftovers.end_descendants(spared)
        if not output.done():
            await asyncio.wait({output}, timeout=_DRAIN_S)
            output.cancel()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await output
    return Ended(status, timed_out, time.monotonic() - started, limit_s=command.timeout_s)


async def _watch_leavers(command: Command, group: int, spared: set[str]) -> None:
    """Tell of processes that leave the command's group, so that they are known when this process is killed."""
    if command.on_leavers is None:
        return
    known: set[str] = set()
    while True:
        await asyncio.sleep(_WATCH_S)
        found = await asyncio.to_thread(leftovers.leavers, group, spared)
        if found - known:
            known |= found
            command.on_leavers(known)


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


def not_started(command: Command, error: Exception) -> Ended:
    """Return the end of a command that could not begin: it names the folder or the program that is missing."""
    name = command.argv[0]
    why = error.strerror if isinstance(error, OSError) and error.strerror else "not a command"
    if isinstance(error, OSError) and error.filename == command.cwd != name:
        return Ended(None, False, 0.0, f"the folder {command.cwd} cannot be used: {why}")
    if isinstance(error, FileNotFoundError) and "/" not in name:
        why = f"there is no {name} in PATH ({command.environment.get('PATH', os.defpath)})"
    return Ended(None, False, 0.0, f"{name} could not be started: {why}")


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


async def end_group(process: asyncio.subprocess.Process) -> int:
    """End a command and its group, first with a signal that lets it remove its locks; return its status."""
    signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_TERM_GRACE_S):
            return await process.wait()
    signal_group(process.pid, signal.SIGKILL)
    return await process.wait()
