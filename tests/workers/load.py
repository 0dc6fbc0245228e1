"""Clients that forgive nothing: whatever is refused, reset, cut or wrong is a failure, and nothing is tried again."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

ANSWER_S = 60.0


@dataclass
class Load:
    """So many clients that ask for `path` again and again; every second one keeps its connections."""

    url: str
    path: str
    clients: int = 32
    answered: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    async def __aenter__(self) -> Load:
        self._stopping = False
        self._tasks = [asyncio.create_task(self._ask(keep=number % 2 == 0)) for number in range(self.clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping = True
        await asyncio.gather(*self._tasks)

    async def until(self, answered: int) -> None:
        """Wait until so many requests were answered."""
        while self.answered < answered:
            await asyncio.sleep(0.05)

    async def _ask(self, *, keep: bool) -> None:
        connection: _Connection | None = None
        while not self._stopping:
            try:
                async with asyncio.timeout(ANSWER_S):
                    connection = connection or await _Connection.open(self.url)
                    status, ends, _ = await connection.get(self.path, keep=keep)
                    if status != 200:
                        self.failures[f"status {status}"] += 1
            except (OSError, EOFError, TimeoutError) as error:
                self.failures[f"{type(error).__name__}: {error} ({'kept' if keep else 'new'})"] += 1
                ends = True
            else:
                self.answered += 1
            if ends and connection is not None:
                connection.close()
                connection = None
        if connection is not None:
            connection.close()


async def download(
    url: str, path: str, digest: str, *, took_s: float, hurry: asyncio.Event | None = None
) -> str | None:
    """Fetch a file so slowly that it takes about this long; return what was wrong with it, or None.

    With `hurry`, the rest comes at full speed once it is set.
    """
    try:
        connection = await _Connection.open(url)
        try:
            status, _, found = await connection.get(path, keep=True, took_s=took_s, hurry=hurry)
        finally:
            connection.close()
    except (OSError, EOFError) as error:
        return f"{type(error).__name__}: {error}"
    return None if (status, found) == (200, digest) else f"status {status}, {found}"


class _Connection:
    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._host, self._reader, self._writer = host, reader, writer

    @classmethod
    async def open(cls, url: str) -> _Connection:
        slot = urlsplit(url)
        return cls(slot.netloc, *await asyncio.open_connection(slot.hostname, slot.port, limit=1 << 16))

    async def get(
        self, path: str, *, keep: bool, took_s: float = 0, hurry: asyncio.Event | None = None
    ) -> tuple[int, bool, str]:
        """Return the status, whether the connection ends, and the body's SHA-256."""
        close = "" if keep else "Connection: close\r\n"
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n{close}\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = left = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        digest = hashlib.sha256()
        while left:
            block = await self._reader.read(min(left, 1 << 16))
            if not block:
                raise EOFError(f"{left} of {size} bytes are missing")
            digest.update(block)
            left -= len(block)
            if took_s and not (hurry is not None and hurry.is_set()):
                await asyncio.sleep(took_s * len(block) / size)
        return int(head.split()[1]), not keep or "connection: close" in head, digest.hexdigest()

    def close(self) -> None:
        self._writer.transport.abort()
