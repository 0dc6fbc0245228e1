"""A service, or any other asynchronous server, in a thread of its own: one for a whole module of tests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.conftest import KEYS, OwnServer, Running, settings_tree
from updater.app import build_app, make_runner
from updater.composition import open_services
from updater.config import load
from updater.processes.folder import claim_folder

T = TypeVar("T")
START_S = 60


@contextmanager
def threaded(opened: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Enter a context in the event loop of a new thread, keep it for the block, and leave it there."""
    ready, outcome = threading.Event(), {}

    async def hold() -> None:
        outcome["loop"], outcome["over"] = asyncio.get_running_loop(), asyncio.Event()
        async with opened() as value:
            outcome["value"] = value
            ready.set()
            await outcome["over"].wait()

    def run() -> None:
        try:
            asyncio.run(hold())
        except BaseException as error:
            outcome["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(START_S)
    if "value" not in outcome:
        raise outcome["error"]
    try:
        yield outcome["value"]
    finally:
        outcome["loop"].call_soon_threadsafe(outcome["over"].set)
        thread.join(START_S)
    if "error" in outcome:
        raise outcome["error"]


@asynccontextmanager
async def running_service(root: Path, **sections: Any) -> AsyncIterator[Running]:
    """Run a service on a free port, with the embedded database and the keys of the tests."""
    settings = load(None, settings_tree(root, **sections))
    async with AsyncExitStack() as stack:
        stack.enter_context(claim_folder(settings.storage))
        services = await stack.enter_async_context(open_services(settings))
        server = OwnServer(make_runner(build_app(services), settings))
        await server.start_server()
        stack.push_async_callback(server.close)
        assert server.port is not None
        yield Running(str(server.make_url("")).rstrip("/"), server.port, KEYS["admin"])


@asynccontextmanager
async def running_answers(handle: Callable[[web.Request], Any]) -> AsyncIterator[str]:
    """Run a server that answers every request with one function; give its address."""
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(application) as server:
        yield str(server.make_url("")).rstrip("/")
