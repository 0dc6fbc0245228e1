"""Run one external command that answers a question, under hard limits of time and size; its answer is kept whole."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

from updater.deployments.leftovers import signal_group
from updater.deployments.steps import Command, Ended, end_group, not_started, readable

# An answer that is longer than this is refused: no question to a checkout needs more.
ANSWER_BYTES = 64 * 1024 * 1024
_CHUNK_BYTES = 131_072


@dataclass(frozen=True)
class Answer:
    """The output of a command. `err` holds readable lines; `raw` is as it came, and bytes of any kind."""

    ended: Ended
    raw: bytes
    err: tuple[str, ...]

    @property
    def out(self) -> str:
        """Return the output as text; bytes that are no UTF-8 are replaced."""
        return self.raw.decode("utf-8", "replace")

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the parts that NUL characters end, in order, as names of files of any encoding."""
        return tuple(os.fsdecode(part) for part in self.raw.split(b"\0")[:-1])


class _Collected:
    """Output up to `ANSWER_BYTES`; with `field_bytes`, each part between NUL characters is cut to so many bytes."""

    def __init__(self, field_bytes: int | None = None) -> None:
        self.data = bytearray()
        self._field_bytes = field_bytes
        self._filled_bytes = 0

    @property
    def too_much(self) -> bool:
        return len(self.data) > ANSWER_BYTES

    def feed(self, chunk: bytes) -> None:
        if self._field_bytes is None:
            self.data += chunk
            return
        for number, part in enumerate(chunk.split(b"\0")):
            if number:
                self.data += b"\0"
                self._filled_bytes = 0
            kept = part[: self._field_bytes - self._filled_bytes]
            self.data += kept
            self._filled_bytes += len(kept)


async def capture(command: Command, given: bytes = b"", *, field_bytes: int | None = None) -> Answer:
    """Run a command that answers a question; `given` is its input. Raises nothing for what the command does.

    An answer of more than `ANSWER_BYTES` is none. `field_bytes` cuts each part between NUL characters to so many bytes.
    """
    started = time.monotonic()
    try:
        process = await asyncio.create_subprocess_exec(
            *command.argv,
            cwd=command.cwd,
            env=dict(command.environment),
            stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return Answer(not_started(command, error), b"", ())
    out, err, timed_out = _Collected(field_bytes), _Collected(), False

    def end() -> None:
        signal_group(process.pid, signal.SIGKILL)

    try:
        async with asyncio.timeout(command.timeout_s):
            await asyncio.gather(
                _collect(process.stdout, out, end), _collect(process.stderr, err, end), _give(process.stdin, given)
            )
            await process.wait()
    except TimeoutError:
        timed_out = True
        await end_group(process)
    finally:
        end()
        status = await process.wait()
    trouble = f"it answered with more than {ANSWER_BYTES} bytes" if out.too_much or err.too_much else None
    lines = (readable(line) for line in bytes(err.data).decode("utf-8", "replace").splitlines())
    ended = Ended(status, timed_out, time.monotonic() - started, trouble, command.timeout_s)
    return Answer(ended, bytes(out.data), tuple(line for line in lines if line))


async def _collect(stream: asyncio.StreamReader | None, into: _Collected, end: Callable[[], None]) -> None:
    """Read to the end of the output, which comes early when it is too much."""
    while stream is not None and (chunk := await stream.read(_CHUNK_BYTES)):
        if not into.too_much:
            into.feed(chunk)
            if into.too_much:
                end()


async def _give(stream: asyncio.StreamWriter | None, given: bytes) -> None:
    if stream is not None:
        # A command that does not read it to the end says why itself.
        with contextlib.suppress(ConnectionError):
            stream.write(given)
            await stream.drain()
        stream.close()
