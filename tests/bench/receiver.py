"""The limit of an upload: `python -m tests.bench.receiver PORT FILE`, the least that Python can do with a body.

One thread receives into memory that is used again and again, another one writes and hashes; the answer comes when the
file is synced. Nothing of the request is read but how long it is, so the form around the file is stored with it.
"""

from __future__ import annotations

import hashlib
import os
import queue
import re
import socket
import sys
import threading
from pathlib import Path
from typing import Final

_PIECE_BYTES: Final = 1 << 20
_PIECES: Final = 6
_Filled = tuple[bytearray, int]


def main(port: int, path: str) -> None:
    """Take one body after the other."""
    with socket.create_server(("127.0.0.1", port)) as listening:
        while True:
            connection, _ = listening.accept()
            with connection:
                _serve(connection, path)


def _serve(connection: socket.socket, path: str) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        received = connection.recv(65_536)
        if not received:  # somebody only looked whether the port answers
            return
        head += received
    head, _, beginning = head.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)\ncontent-length: (\d+)", head)
    assert found is not None, "only bodies with Content-Length"
    if b"100-continue" in head:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    _take(connection, path, beginning, int(found[1]))
    connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


def _take(connection: socket.socket, path: str, beginning: bytes, size_bytes: int) -> None:
    free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
    filled: queue.SimpleQueue[_Filled | None] = queue.SimpleQueue()
    for _ in range(_PIECES):
        free.put(bytearray(_PIECE_BYTES))
    with Path(path).open("wb", buffering=0) as file:
        file.write(beginning)
        writing = threading.Thread(target=_write, args=(file.fileno(), filled, free))
        writing.start()
        taken_bytes = len(beginning)
        while taken_bytes < size_bytes:
            piece, length = free.get(), 0
            view = memoryview(piece)
            while length < _PIECE_BYTES and taken_bytes + length < size_bytes:
                received = connection.recv_into(view[length:])
                assert received, "the client went away"
                length += received
            taken_bytes += length
            filled.put((piece, length))
        filled.put(None)
        writing.join()
        os.fsync(file.fileno())


def _write(descriptor: int, filled: queue.SimpleQueue[_Filled | None], free: queue.SimpleQueue[bytearray]) -> None:
    digest = hashlib.sha256()
    while (item := filled.get()) is not None:
        piece, length = item
        view = memoryview(piece)[:length]
        digest.update(view)
        while view:
            view = view[os.write(descriptor, view) :]
        free.put(piece)
    digest.hexdigest()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
