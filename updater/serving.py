"""One process that serves: what it listens on, which signals it obeys, and the order in which it starts and ends.

Alone it opens its sockets, or takes those of systemd. As a worker it takes those of its parent (see `supervisor`).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import http_parser, web

from updater.access.limits import RateLimits, open_limits
from updater.advice import list_advice
from updater.app import build_app, make_runner
from updater.artifacts.opening import require_usable
from updater.background import background
from updater.composition import open_services
from updater.errors import ConfigurationError, Failure
from updater.logs import on_terminal
from updater.logs.loggers import get_logger
from updater.permissions import bind_private
from updater.processes.folder import CONTROL_SOCKET, claim_folder, protect_folder, short_path
from updater.processes.listening import (
    HandedSocket,
    announce_addresses,
    find_page_address,
    open_sockets,
    raise_file_limit,
    take_sockets,
    tell_shortages,
)
from updater.processes.workers import READY, RETIRE, WorkerSlot, remove
from updater.services import Services
from updater.settings import Settings
from updater.web.gate.metrics import METRICS
from updater.web.gate.middleware import GATE
from updater.web.server.control import build_control
from updater.web.server.worker_metrics import share_metrics

# Source: measured; in so long, clients that keep their connections have heard that those end.
LINGER_S = 1.0
# How many connections are accepted in one turn of the loop. Source: measured; more is not faster, one is slower.
AT_ONCE = 16
# A worker that was replaced serves its running downloads to the end, within reason.
RETIREMENT_S = 3600.0
# Source: measured; one heap holds no less than two when idle, three hold half a MiB more.
HEAPS = 2
_M_ARENA_MAX = -8  # malloc.h of glibc
_log = get_logger(__name__)


class _Ending:
    """When to stop, and how patiently with what is under way."""

    def __init__(self, drain_s: float) -> None:
        self.wanted = asyncio.Event()
        self.patience_s = RETIREMENT_S
        self._drain_s = drain_s
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        """Stop within `server.drain_s` seconds."""
        self._within(self._drain_s)

    def retire(self) -> None:
        """Stop when nothing is under way any more, within `RETIREMENT_S` seconds."""
        self._within(RETIREMENT_S)

    def _within(self, patience_s: float) -> None:
        if self.wanted.is_set() and patience_s >= self.patience_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self.patience_s = patience_s
        self._timer = asyncio.get_running_loop().call_later(patience_s, self._run_out)
        self.wanted.set()

    def _run_out(self) -> None:
        if not self._over.done():
            self._over.set_result(None)

    @property
    def patience(self) -> asyncio.Future[None]:
        """Return what is done when patience is over."""
        return self._over


async def serve(
    settings: Settings,
    *,
    reload: Callable[[], Settings],
    announce: Callable[[str], None],
    slot: WorkerSlot | None = None,
) -> None:
    """Run the service until SIGTERM or SIGINT. SIGHUP reads keys and limits again, through `reload`.

    `announce` is told lines for the person who started it: the addresses, and the first admin key, once. `slot` is
    a worker's; its parent says when it is over.

    Raises:
        ConfigurationError: the service cannot start with these settings.
    """
    require_platform()
    _share_heaps()
    raise_file_limit(settings.server.max_connections)
    root = Path(settings.storage.root)
    ending, rereading = _Ending(settings.server.drain_s), asyncio.Event()
    loop = asyncio.get_running_loop()
    # Before anything slow: an unhandled SIGHUP would end the process, and SIGTERM would not drain.
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.stop)
    loop.add_signal_handler(signal.SIGHUP, rereading.set)
    tell_shortages(loop)
    async with AsyncExitStack() as stack:
        stack.enter_context(claim_folder(settings.storage))
        protect_folder(settings.storage)
        services = await stack.enter_async_context(open_services(settings))
        await require_usable(services.artifacts.blobs, signs=settings.storage.remote_downloads == "redirect")
        limits = await stack.enter_async_context(open_limits(settings.rate_limit))
        for advice in list_advice(settings, services.offers.public_ids()):
            _log.warning("start.advice", setting=advice.setting, reason=advice.reason)
        application = build_app(services, limits)
        runner = make_runner(application, settings)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        sockets = take_sockets(slot.listening) if slot is not None else open_sockets(settings.server)
        handed = any(isinstance(each, HandedSocket) for each in sockets)
        _settle_memory()
        # Workers take connections one by one, so that none of them takes all that come at once.
        await runner.listen(sockets, at_once=1 if slot is not None else AT_ONCE)
        if settings.storage.database_url is None:  # else commands open the shared database themselves
            await stack.enter_async_context(_control(services, root / CONTROL_SOCKET))
        # Not before: a start that fails on the way would leave a key that nobody was shown.
        await _first_key(services, find_page_address(sockets, settings.server), announce)
        if slot is None:
            announce_addresses(sockets, settings.server, announce)
        else:
            await stack.enter_async_context(share_metrics(application[METRICS], root, slot.number))
            await stack.enter_async_context(_obey(slot, ending))
        async with background(services), _reread_on(rereading, services, limits, reload):
            await ending.wanted.wait()
        application[GATE].draining = True
        services.deployments.runs.release()
        _log.info("server.draining", seconds=ending.patience_s)
        await runner.drain(linger_s=LINGER_S if handed else 0, patience=ending.patience)


def _share_heaps() -> None:
    """Let the threads to come take their memory from few heaps: glibc would keep one for each, eight times the cores.

    What was freed on one heap serves no other, so each holds what its thread once needed. Other systems have no such
    call. Source: mallopt(3).
    """
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, HEAPS)


def _settle_memory() -> None:
    """Take what was loaded at the start out of the garbage collector's rounds: it lives as long as the process."""
    gc.collect()
    gc.freeze()
    # Checks leave no circles behind; the default threshold of 700 would look for them fifty times a second. Pages and
    # changes do: with a threshold of 20,000, 24,000 such objects lay there in a soak.
    gc.set_threshold(5_000, 20, 20)


def require_platform() -> None:
    """Refuse to start where known bugs would bite. Raises ConfigurationError."""
    if http_parser.HttpRequestParser is http_parser.HttpRequestParserPy:
        raise ConfigurationError("aiohttp runs without its C parser; install a built wheel of aiohttp")
    if sys.flags.optimize:
        raise ConfigurationError("python -O switches checks off; start without -O")


@asynccontextmanager
async def _obey(slot: WorkerSlot, ending: _Ending) -> AsyncIterator[None]:
    """Tell the parent that this worker is ready, and do as it says, for the block. Without a parent, end."""

    async def listen() -> None:
        while True:
            try:
                word = await loop.sock_recv(channel, 1)
            except OSError:
                word = b""
            if word != RETIRE:
                ending.stop()
                return
            ending.retire()

    loop = asyncio.get_running_loop()
    # A duplicate: the number itself stays ours, whatever else is opened after this block.
    with socket.socket(fileno=os.dup(slot.channel)) as channel:
        channel.setblocking(False)
        await loop.sock_sendall(channel, READY)
        listening = asyncio.create_task(listen())
        try:
            yield
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


@asynccontextmanager
async def _control(services: Services, path: Path) -> AsyncIterator[None]:
    """Open the control socket. Only the holder of the folder gets here, so an old socket is a dead one."""
    remove(path)
    runner = web.AppRunner(build_control(services), access_log=None, shutdown_timeout=1)
    await runner.setup()
    with short_path(path) as short:
        await web.SockSite(runner, bind_private(short)).start()
        try:
            yield
        finally:
            await runner.cleanup()
            remove(path)


async def _first_key(services: Services, pages: str | None, announce: Callable[[str], None]) -> None:
    """Make an admin key when there is no key yet; say on a terminal what it is good for, where there are `pages`."""
    access = services.settings.access
    if not access.enabled or access.api_keys:
        return
    text = await services.access.create_first_key()
    if text is not None:
        announce(f"admin key (shown only now): {text}")
        if pages is not None and on_terminal():
            announce(f"make the first account with it at {pages}/admin/setup/")


@asynccontextmanager
async def _reread_on(
    rereading: asyncio.Event, services: Services, limits: RateLimits | None, reload: Callable[[], Settings]
) -> AsyncIterator[None]:
    """Read keys and limits again whenever the event is set, for the block."""

    async def reread() -> None:
        while True:
            await rereading.wait()
            rereading.clear()
            try:
                await _reread(services, limits, reload)
            except Exception as error:  # the next SIGHUP is obeyed all the same
                _log.error("server.reload_failed", exc_info=error)

    task = asyncio.create_task(reread())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _reread(services: Services, limits: RateLimits | None, reload: Callable[[], Settings]) -> None:
    try:
        fresh = reload()
        services.tokens.configure(fresh.access.jwt)
    except ConfigurationError as error:
        _log.error("server.reload_refused", reason=str(error))
        return
    services.people.configure(fresh.access)
    services.access.configure(fresh.access)
    try:
        await services.access.load()
    except Failure as failure:
        _log.error("server.reload_failed", reason=failure.message)
        return
    if limits is not None:
        limits.configure(fresh.rate_limit)
    services.in_effect.reread(fresh)
    _log.info("server.reloaded")
