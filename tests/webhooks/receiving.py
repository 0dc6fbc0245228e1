"""A receiver: it answers as it is told, and keeps what it got."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web


@dataclass
class Got:
    """One request as it came."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def tree(self) -> dict[str, Any]:
        tree: dict[str, Any] = json.loads(self.body)
        return tree


@dataclass
class Receiving:
    """The receiver. `answers` are used up one by one, then the `standing` one holds; when it is down its port refuses.

    An answer is a status, with headers or without, or a word: hang, reset, die (which answers 200 and breaks off).
    """

    url: str = ""
    answers: list[Any] = field(default_factory=list)
    standing: Any = 204
    _runner: web.AppRunner | None = None
    got: list[Got] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.got.append(Got({name.lower(): text for name, text in request.headers.items()}, await request.read()))
        answer = self.answers.pop(0) if self.answers else self.standing
        transport = request.transport
        assert transport is not None
        if answer == "hang":
            await asyncio.sleep(3_600)
        if answer == "reset":
            transport.abort()
        if answer == "die":
            transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
            await asyncio.sleep(0.1)
            transport.abort()
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        return web.Response(status=status if isinstance(status, int) else 500, headers=headers)

    async def listen(self, runner: web.AppRunner | None = None) -> None:
        """Begin to listen, again on the same port; the `runner` is given the first time."""
        self._runner = runner or self._runner
        assert self._runner is not None
        if not self._runner.sites:
            await web.TCPSite(self._runner, "127.0.0.1", urlsplit(self.url).port or 0).start()
            self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"

    async def go_down(self) -> None:
        """Refuse connections; those that are open go on."""
        for site in list(self._runner.sites if self._runner else ()):
            await site.stop()

    async def wait(self, count: int) -> list[Got]:
        async with asyncio.timeout(20):
            while len(self.got) < count:
                await asyncio.sleep(0.02)
        return self.got


@asynccontextmanager
async def receiving(*answers: Any) -> AsyncIterator[Receiving]:
    """Run a receiver on a free port of loopback for the block."""
    receiver = Receiving(answers=list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await receiver.listen(runner)
        yield receiver
    finally:
        await runner.cleanup()
