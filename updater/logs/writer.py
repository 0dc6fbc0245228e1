"""The thread that writes the log, so that a log nobody reads stops nothing but the log.

A write into a full pipe waits until somebody reads it: on the event loop, signals and all answers would wait too.
"""

from __future__ import annotations

import atexit
import os
import queue
import select
import stat
import threading
from collections.abc import Callable, Iterator
from typing import Final

QUEUE_BYTES: Final = 4 << 20
"""How much may wait to be written: more than half a second of the access log at the peak of one process."""
CLOSE_S: Final = 2.0
"""How long the end of the process waits for what is queued."""
# Several workers write into one pipe: so much at once is not mixed with the lines of another. Source: pipe(7).
_ATOMIC_BYTES: Final = select.PIPE_BUF


class LogWriter:
    """A stream for whole lines that never waits: what finds no room in the queue is counted and left out.

    Made once for a descriptor, which stays open as long as the process. What is queued is written at the end of the
    process, for `CLOSE_S` seconds at most.

    Args:
        descriptor: where lines are written; None: nowhere, and all of them are counted as dropped.
        say_dropped: renders the line that says how many were dropped, once writing works again.
    """

    def __init__(
        self, descriptor: int | None, say_dropped: Callable[[int], bytes], *, queue_bytes: int = QUEUE_BYTES
    ) -> None:
        self._descriptor = descriptor
        self._say_dropped = say_dropped
        self._queue_bytes = queue_bytes
        # Each number is changed by one side alone: by callers, who take turns (structlog locks), and by the thread.
        self._refused = self._lost = self._said = 0
        self._start()
        os.register_at_fork(after_in_child=self._start)
        atexit.register(self.close)

    def _start(self) -> None:
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._put_bytes = self._taken_bytes = 0
        self._thread: threading.Thread | None = None

    @property
    def dropped(self) -> int:
        """Return how many lines were left out since the start."""
        return self._refused + self._lost

    def write(self, lines: bytes) -> None:
        """Queue lines, each with its end. Returns at once, whatever becomes of them."""
        if self._descriptor is None or self._put_bytes - self._taken_bytes + len(lines) > self._queue_bytes:
            self._refused += lines.count(b"\n")
            return
        self._put_bytes += len(lines)
        self._queue.put(lines)
        if self._thread is None:
            # A daemon: a write that waits for a reader must not keep the process.
            self._thread = threading.Thread(target=self._run, args=(self._queue,), name="log", daemon=True)
            self._thread.start()

    def flush(self) -> None:
        """Do nothing: the thread writes at once."""

    def close(self, within_s: float = CLOSE_S) -> None:
        """Wait until what is queued is written, for so long at most. Lines that come later are dropped."""
        thread, self._thread, self._queue_bytes = self._thread, None, 0
        if thread is not None:
            self._queue.put(None)
            thread.join(within_s)

    def _run(self, lines: queue.SimpleQueue[bytes | None]) -> None:
        while (piece := lines.get()) is not None:
            self._write(piece)
            # Only now: a piece that is being written takes its room in the memory, too.
            self._taken_bytes += len(piece)

    def _write(self, lines: bytes) -> None:
        left = lines
        try:
            for piece in self._pieces(lines):
                _write_all(self._descriptor or 0, piece)
                left = left[len(piece) :]
            dropped = self.dropped
            if dropped != self._said:
                _write_all(self._descriptor or 0, self._say_dropped(dropped - self._said))
                self._said = dropped
        except OSError:
            # Nobody will read it (a closed pipe), or the disk is full: the service goes on.
            self._lost += left.count(b"\n")

    def _pieces(self, lines: bytes) -> Iterator[bytes]:
        """Cut lines into pieces that a pipe takes whole; a single longer line stays whole."""
        if stat.S_ISREG(os.fstat(self._descriptor or 0).st_mode):
            yield lines
            return
        begin = 0
        while begin < len(lines):
            end = lines.rfind(b"\n", begin, begin + _ATOMIC_BYTES) + 1 or lines.find(b"\n", begin) + 1 or len(lines)
            yield lines[begin:end]
            begin = end


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, however long that takes. Raises OSError."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:
            # Another process made the shared pipe non-blocking.
            select.select((), (descriptor,), ())
