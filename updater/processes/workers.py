"""The protocol between a parent and its workers: the slot of a worker, and the messages on their channel."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

# A worker sends READY when it answers, FAILED and a reason when it does not start. Its parent sends RETIRE when another
# worker has its slot. The channel closes when one of the two ends.
READY, FAILED, RETIRE = b"+", b"!", b"-"
REASON_BYTES = 1000
LOCK_FILE, CONTROL_SOCKET = "workers.lock", "workers.sock"


def remove(path: Path) -> None:
    """Remove a socket's file if it exists. Raises OSError."""
    path.unlink(missing_ok=True)


@dataclass(frozen=True)
class WorkerSlot:
    """The slot of a worker: its number from 1 on, and the descriptors of its channel and of its listening sockets."""

    number: int
    channel: int
    listening: tuple[int, ...]

    def words(self) -> list[str]:
        """Return the slot as arguments of the hidden option `--worker`, in the order of `from_words`."""
        return ["--worker", str(self.number), str(self.channel), ",".join(map(str, self.listening))]

    @classmethod
    def from_words(cls, number: int, channel: int, listening: str) -> WorkerSlot:
        """Read the arguments that `words` made. Raises ValueError when the descriptors are no numbers."""
        return cls(number, channel, tuple(int(each) for each in listening.split(",")))


def tell_failure(channel: int, reason: str) -> bool:
    """Send the parent the reason why this worker does not start, at most `REASON_BYTES` bytes; it closes the channel.

    Returns: whether the parent can have received it.
    """
    try:
        with socket.socket(fileno=channel) as ours:
            return ours.send(FAILED + reason.encode()[:REASON_BYTES]) > 0
    except OSError:
        return False


def metrics_socket(root: Path, number: int) -> Path:
    """Return the path of the socket at which a worker gives its metrics to the other workers."""
    return root / f"worker-{number}.sock"


def find_metrics_sockets(root: Path) -> dict[int, Path]:
    """Return the metrics sockets in the data folder by the numbers of their workers, in the order of their names.

    The worker of a socket may have ended.
    """
    found = {path.stem.removeprefix("worker-"): path for path in root.glob("worker-*.sock")}
    return {int(number): path for number, path in sorted(found.items()) if number.isdecimal()}
