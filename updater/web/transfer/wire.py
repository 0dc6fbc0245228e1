"""Let the bytes of a stored file leave through an HTTP connection.

Owns the open file (`FileSource`) and the connection while a body leaves (`Wire`): sendfile where the kernel
can, plain reads elsewhere, and the watch for clients that accept nothing, or next to nothing. A source has
`read`, `send` and `close`; which bytes and which headers are decided in `web.transfer`.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import socket
import stat
import struct
import termios
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from aiohttp import web

from updater.artifacts.ranges import ByteRange
from updater.errors import Unavailable
from updater.web.messages.pace import Acceptance, Pace

READ_BYTES: Final = 256 * 1024
"""Size of one plain read, and of one sendfile on a connection whose progress the kernel does not tell."""

_log = logging.getLogger(__name__)

# A client that takes as fast as the kernel gives holds the loop for one slice; uncut it took 34 MB, 13 ms.
# Slices of 2 MiB, as nginx has them, cost a fifth more processor time; beside those of 8 MiB checks waited longer.
_SLICE_BYTES: Final = 4 * 1024 * 1024
_LOOKS_PER_STALL: Final = 8
_LONGEST_LOOK_S: Final = 1.0
_TCP_INFO_BYTES: Final = 128
_BYTES_ACKED_OFFSET: Final = 120  # tcpi_bytes_acked in struct tcp_info, linux/tcp.h since 4.1
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


Inspect = Callable[[str, int, os.stat_result], None]
"""Takes digest, descriptor and state of an open file."""


class SourceBroken(Exception):
    """The file could not be read to the end that it had when it was opened."""


class FileSource:
    """An open stored file, at any offset, by any number of readers."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    @classmethod
    async def open(cls, path: Path, size_bytes: int, inspect: Inspect | None = None) -> FileSource:
        """Open `path`, which must be a regular file of `size_bytes` bytes and no symbolic link.

        `inspect` looks at the open file, in a worker thread, and raises OSError when it must not be sent.
        Raises Unavailable otherwise. The reason is logged, not told: it would name a path.
        """
        try:
            file = await asyncio.get_running_loop().run_in_executor(None, _open_checked, path, size_bytes, inspect)
        except OSError as error:
            _log.error("stored file %s cannot be sent: %s", path.name, error.strerror or error)
            raise Unavailable("The file is not available at the moment") from None
        return cls(file)

    async def read(self, parts: Sequence[ByteRange]) -> list[bytes]:
        """Read some small parts in one trip to a worker thread, in order. Raises SourceBroken."""
        return await asyncio.get_running_loop().run_in_executor(None, _read, self._file.fileno(), parts)

    async def send(self, part: ByteRange, wire: Wire) -> None:
        """Let a part of any size leave through `wire`. Raises SourceBroken, ConnectionError."""
        done = await wire.send_file(self._file, part)
        for start in range(part.start + done, part.stop, READ_BYTES):
            (data,) = await self.read([ByteRange(start, min(READ_BYTES, part.stop - start))])
            await wire.write(data)

    async def close(self) -> None:
        """Close the file. A read under way in a worker thread fails or is thrown away."""
        self._file.close()


def _open_checked(path: Path, size_bytes: int, inspect: Inspect | None) -> IO[bytes]:
    # O_NONBLOCK: a planted FIFO must not hold the worker thread until it is written to.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError("it is no regular file")
        if found.st_size != size_bytes:
            raise OSError(f"it has {found.st_size} bytes instead of {size_bytes}")
        if inspect is not None:
            inspect(path.name, descriptor, found)
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _read(descriptor: int, parts: Sequence[ByteRange]) -> list[bytes]:
    contents = []
    for part in parts:
        try:
            content = os.pread(descriptor, part.count, part.start)
        except OSError as error:
            raise SourceBroken(error.strerror) from error
        if len(content) < part.count:
            raise SourceBroken(f"it ends at byte {part.start + len(content)}")
        contents.append(content)
    return contents


class Wire:
    """A connection whose response headers are out, for as long as the body takes."""

    def __init__(self, request: web.Request, response: web.StreamResponse, transport: asyncio.Transport) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = request.writer
        self._response = response
        self._transport = transport
        self._socket = transport.get_extra_info("socket")  # an encrypted transport forgets it when it is closed
        self._encrypted = transport.get_extra_info("sslcontext") is not None
        self._counted_bytes = 0
        self._mark: tuple[int | None, int] | None = None
        self._next_look: asyncio.TimerHandle | None = None
        self._acceptance: Acceptance | None = None
        self.stalled = False
        self.crept = False
        position = self._find_position()
        self._start = None
        if position is not None and not self._encrypted:
            self._start = position[1] + transport.get_write_buffer_size()

    async def write(self, data: bytes) -> None:
        """Hand over some bytes and wait while the client is behind. Raises ConnectionError."""
        await self._response.write(data)
        self._counted_bytes += len(data)

    async def send_file(self, file: IO[bytes], part: ByteRange) -> int:
        """Let the kernel copy a part of `file` to the socket; return how many bytes it took.

        Fewer than asked, and then usually 0, where there is no sendfile: the caller writes the rest. Slices
        keep one fast client from holding the event loop. They are smaller where the kernel tells no progress,
        since `watch` then counts finished slices. Raises SourceBroken when the file ends early,
        ConnectionError.
        """
        if self._encrypted:
            return 0
        with self._corked():
            return await self._send_slices(file, part)

    async def _send_slices(self, file: IO[bytes], part: ByteRange) -> int:
        sent = 0
        slice_bytes = READ_BYTES if self._start is None else _SLICE_BYTES
        while sent < part.count:
            await self.flush()  # a sendfile that is cancelled while it waits for this breaks the transport
            count = min(slice_bytes, part.count - sent)
            try:
                done = await self._loop.sendfile(self._transport, file, part.start + sent, count, fallback=False)
            except (asyncio.SendfileNotAvailableError, NotImplementedError):
                break
            self._counted_bytes += done
            sent += done
            if done < count:
                raise SourceBroken(f"it ends at byte {part.start + sent}")
        return sent

    @contextmanager
    def _corked(self) -> Iterator[None]:
        """Let only whole segments leave for the block; the rest leaves at its end.

        A slice ends within a segment. Sent by itself, that segment closes the window of a client which is behind, and
        the client has to open it again: 2,500 times in 256 MiB over 8 connections, twice with this. Only for what the
        kernel copies at once: where bytes are waited for, what is held back would look like a client that is slow.
        Source: tcp(7) TCP_CORK; nginx: tcp_nopush.
        """
        self._cork(1)
        try:
            yield
        finally:
            self._cork(0)

    def _cork(self, on: int) -> None:
        with suppress(AttributeError, OSError):  # not Linux; not TCP, or closed
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, on)

    async def flush(self) -> None:
        """Wait until the kernel has every written byte. Raises ConnectionResetError when it never will."""
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(high=0)
            await self._writer.drain()
            self._transport.set_write_buffer_limits()
        if self._transport.is_closing():
            raise ConnectionResetError("the client is gone")

    async def watch(self, body: Coroutine[Any, Any, None], stall_s: float, pace: Pace) -> None:
        """Run `body`; end it with TimeoutError when the client accepts nothing for `stall_s`, or falls below `pace`.

        Then `stalled` is set, unless the connection was closed meanwhile, and `crept` when it was for the pace. What
        counts is what the client acknowledged, not what the kernel buffered: behind a buffer of megabytes a slow
        client would look stalled, and a stalled one alive. Checked at least once a second.
        """
        try:
            async with asyncio.timeout(stall_s) as deadline:
                self._look(deadline, stall_s, pace)
                await body
        except TimeoutError:
            self.stalled = deadline.expired() and not self._transport.is_closing()
            raise
        finally:
            if self._next_look is not None:
                self._next_look.cancel()

    def _look(self, deadline: asyncio.Timeout, stall_s: float, pace: Pace) -> None:
        now_s = self._loop.time()
        if deadline.expired():
            return
        position = self._find_position()
        mark = (position and position[0], self._counted_bytes)
        if self._transport.is_closing():
            deadline.reschedule(now_s)  # a sendfile under way would not notice that its socket is closed
        elif position is not None and not self._keeps(pace, now_s, *position):
            self.crept = True
            deadline.reschedule(now_s)
        elif mark != self._mark:
            self._mark = mark
            deadline.reschedule(now_s + stall_s)
        pause_s = min(stall_s / _LOOKS_PER_STALL, _LONGEST_LOOK_S)
        self._next_look = self._loop.call_later(pause_s, self._look, deadline, stall_s, pace)

    def _keeps(self, pace: Pace, now_s: float, acked: int, taken: int) -> bool:
        offered = taken + self._transport.get_write_buffer_size()
        if self._acceptance is None:
            self._acceptance = Acceptance(pace, now_s, acked, offered)
        return self._acceptance.keeps(now_s, acked, offered)

    def handed_bytes(self) -> int:
        """Return how many bytes of the body the kernel took; behind TLS, how many were written."""
        position = self._find_position()
        if self._start is None or position is None:
            return self._counted_bytes
        return max(position[1] - self._start, 0)

    def abort(self) -> None:
        """Cut the connection; to a client that is too slow with a reset, so that the kernel frees its buffer."""
        if self.stalled:
            reset_on_close(self._socket)
        self._response.force_close()
        self._transport.abort()

    def _find_position(self) -> tuple[int, int] | None:
        return find_position(self._socket)


def find_position(connection: socket.socket) -> tuple[int, int] | None:
    """Return how many bytes of a connection the client acknowledged and the kernel took, ever.

    None where the system does not tell: no Linux, no TCP, socket closed.
    Source: tcp(7) TCP_INFO and SIOCOUTQ; their sum equals the bytes written, measured on Linux 6.18.
    """
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        queued = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        acked: int = struct.unpack_from("=Q", info, _BYTES_ACKED_OFFSET)[0]
    except (AttributeError, OSError, ValueError, struct.error):
        return None
    return acked, acked + int(struct.unpack("=i", queued)[0])


def reset_on_close(connection: socket.socket) -> None:
    """Let the kernel free its buffer when this socket is closed, instead of trying to deliver the bytes in it.

    Source: socket(7), SO_LINGER with zero seconds.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
