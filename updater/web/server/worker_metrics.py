"""Metrics of several workers as one answer: the scraped worker asks the others, on Unix sockets in the data folder.

Every figure carries the label `worker`. What a worker counts after another one took its place is not told any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson
from aiohttp import web

from updater.permissions import bind_private
from updater.processes.folder import short_path
from updater.processes.workers import find_metrics_sockets, metrics_socket, remove
from updater.web.gate.metrics import Family, Metrics

_ANSWER_S = 1.0


@asynccontextmanager
async def share_metrics(metrics: Metrics, root: Path, number: int) -> AsyncIterator[None]:
    """Tell the other workers what this one counted, and let `metrics.render_all` ask them, for the block.

    Raises:
        OSError: the socket in the data folder `root` cannot be made.
    """

    async def tell(_: web.Request) -> web.Response:
        return web.Response(
            body=orjson.dumps([tuple(each) for each in metrics.families()]), content_type="application/json"
        )

    async def ask_all() -> Mapping[int, list[Family]]:
        others = {each: path for each, path in find_metrics_sockets(root).items() if each != number}
        answers = await asyncio.gather(*(_ask(path) for path in others.values()))
        found = {each: answer for each, answer in zip(others, answers, strict=True) if answer is not None}
        return {number: metrics.families(), **found}

    application = web.Application()
    application.router.add_get("/", tell)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        with short_path(metrics_socket(root, number)) as path:
            # The one before us may still be draining; from now on the name is ours.
            remove(Path(path))
            await web.SockSite(runner, bind_private(path)).start()
        metrics.ask_all = ask_all
        yield
    finally:
        await runner.cleanup()


async def _ask(path: Path) -> list[Family] | None:
    """Return what another worker counted; None when it does not answer."""
    try:
        with short_path(path) as short:
            timeout = aiohttp.ClientTimeout(total=_ANSWER_S)
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(short), timeout=timeout) as session,
                session.get("http://worker/") as response,
            ):
                return [Family(*each) for each in orjson.loads(await response.read())]
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None
