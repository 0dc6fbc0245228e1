"""Requests over raw connections, answered where they are read or the usual way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import orjson
import pytest

from tests.conftest import Service
from tests.web.exchange import Answer, read_answer
from updater.web.server.at_once import AtOnce

# What differs between two answers to one question.
OWN = ("Date", "X-Request-Id", "X-RateLimit-Remaining", "X-RateLimit-Reset", "request_id", "timestamp")


def head(target: str, *lines: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: updates.example.com", *lines, "", ""]).encode()


def comparable(answer: Answer) -> tuple[int, list[tuple[str, str]], Any]:
    """Return an answer without what differs between two answers to one question."""
    headers = sorted((name, text) for name, text in answer.headers.items() if name not in OWN)
    body: Any = answer.body
    if body and "json" in answer.headers["Content-Type"]:
        body = orjson.loads(body)
        body = {name: each for name, each in body.items() if name not in OWN} if isinstance(body, dict) else body
    return answer.status, headers, body


@asynccontextmanager
async def connected(service: Service) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
    async with asyncio.timeout(20):
        try:
            yield reader, writer
        finally:
            writer.transport.abort()


async def ask(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], *pieces: bytes) -> Answer:
    for piece in pieces:
        streams[1].write(piece)
        await asyncio.sleep(0.02 if len(pieces) > 1 else 0)
    return await read_answer(streams[0])


@contextmanager
def the_usual_way(at_once: AtOnce) -> Iterator[None]:
    """Let everything wait meanwhile."""
    before = at_once.answered
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(at_once._gate, "waits_for_nothing", lambda _: False)
        yield
    assert at_once.answered == before
