from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Answers:
    """A server that answers every request with one function, and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.handle: Handler = lambda request: self.json({})
        self.url = ""

    async def json(self, body: Any, status: int = 200, **headers: str) -> web.Response:
        return web.json_response(
            body, status=status, headers={name.replace("_", "-"): v for name, v in headers.items()}
        )

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return await self.handle(request)


@pytest.fixture
async def answers() -> AsyncIterator[Answers]:
    """Give a server whose answers a test chooses."""
    chosen = Answers()
    application = web.Application(client_max_size=1 << 26)
    application.router.add_route("*", "/{path:.*}", chosen.take)
    async with TestServer(application) as server:
        chosen.url = str(server.make_url("")).rstrip("/")
        yield chosen
