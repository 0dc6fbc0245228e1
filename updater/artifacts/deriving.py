"""The process that makes one derived file: of least priority, gone with its parent, and light until it begins.

`python -m updater.artifacts.deriving ORDER [PATH]` reads the file at PATH, else standard input, and writes what it made
to standard output, after it has seen that the bytes are those that were meant. ORDER is an `Order` as JSON.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

DAMAGED: Final = 3
"""How this process ends when the bytes are not those of the digest, or not there."""
YES, NO = b"yes", b"no"

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Order:
    """What to make: `blockmap`, `zsync`, or `embedded`, which tells whether the input is a block map, `YES` or `NO`.

    `size_bytes` and `digest` are those of the input. A zsync file says `name`, `url` (may be relative) and
    `modified_at` of the file that it is of. `parent` is the process id of whoever waits for it. `niceness` is how far
    the process gives way to others, 19 the most.
    """

    kind: str
    size_bytes: int
    digest: str
    parent: int
    name: str = ""
    url: str = ""
    modified_at: str | None = None
    niceness: int = 19

    def text(self) -> str:
        """Return the order as `read_order` reads it."""
        return json.dumps(dataclasses.asdict(self))


class Damaged(Exception):
    """The input is not what the order says."""


def main(arguments: list[str]) -> int:
    """Carry the order out; return the exit status."""
    order = Order(**json.loads(arguments[0]))
    os.nice(order.niceness)
    try:
        if len(arguments) > 1:
            with Path(arguments[1]).open("rb", buffering=0) as file:
                made = make(order, file)
        else:
            made = make(order, sys.stdin.buffer)
    except (Damaged, OSError):
        return DAMAGED
    sys.stdout.buffer.write(made)
    sys.stdout.buffer.flush()
    return 0


def make(order: Order, file: BinaryIO) -> bytes:
    """Return what the order asks for. Raises Damaged, OSError."""
    if order.kind == "embedded":
        from updater.artifacts.blockmaps import is_block_map

        return YES if is_block_map(file.read(order.size_bytes)) else NO
    # Its numpy takes 25 MB, and a tenth of a second.
    from updater.artifacts import makers

    pieces = _checked(order, file)
    if order.kind == "blockmap":
        return makers.make_block_map(pieces)
    modified_at = datetime.fromisoformat(order.modified_at) if order.modified_at else None
    return makers.make_zsync(
        pieces, size_bytes=order.size_bytes, filename=order.name, url=order.url, modified_at=modified_at
    )


def _checked(order: Order, file: BinaryIO) -> Iterator[bytes]:
    """Yield the input, hashed on the way; at its end raise Damaged when it was another one."""
    hasher, size_bytes = hashlib.sha256(), 0
    while piece := file.read(_PIECE_BYTES):
        if os.getppid() != order.parent:
            sys.exit(1)  # nobody waits for it any more, and another process may make it already
        hasher.update(piece)
        size_bytes += len(piece)
        yield piece
    if size_bytes != order.size_bytes or hasher.hexdigest() != order.digest:
        raise Damaged


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
