"""What a parent and its workers agree on: where a worker stands, and the words on the channel between them."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

# A worker says that it answers, or why it does not start; its parent, that another one took its slot. The channel ends
# with either of them.
READY, FAILED, RETIRE = b"+", b"!", b"-"
REASON_BYTES = 1000
LOCK_FILE, CONTROL_SOCKET = "workers.lock", "workers.sock"


def remove(path: Path) -> None:
    """Remove a socket, or what is left of one, if it is there."""
    path.unlink(missing_ok=True)


@dataclass(frozen=True)
class WorkerSlot:
    """A worker's: its number from 1 on, and the descriptors it was handed: of the channel, and listening ones."""

    number: int
    channel: int
    listening: tuple[int, ...]

    def words(self) -> list[str]:
        """Return it as arguments of the hidden option `--worker`."""
        return ["--worker", str(self.number), str(self.channel), ",".join(map(str, self.listening))]

    @classmethod
    def from_words(cls, number: int, channel: int, listening: str) -> WorkerSlot:
        """Read what `words` wrote."""
        return cls(number, channel, tuple(int(each) for each in listening.split(",")))


def tell_failure(channel: int, reason: str) -> bool:
    """Say to the parent why this worker does not start; return whether it can know now. Nothing else uses it then."""
    try:
        with socket.socket(fileno=channel) as ours:
            return ours.send(FAILED + reason.encode()[:REASON_BYTES]) > 0
    except OSError:
        return False


def metrics_socket(root: Path, number: int) -> Path:
    """Return where a worker tells its siblings what it counted."""
    return root / f"worker-{number}.sock"


def find_metrics_sockets(root: Path) -> dict[int, Path]:
    """Return the sockets that are there, by the workers' numbers; behind some there may be nobody."""
    found = {path.stem.removeprefix("worker-"): path for path in root.glob("worker-*.sock")}
    return {int(number): path for number, path in sorted(found.items()) if number.isdecimal()}
