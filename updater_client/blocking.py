"""Calls of an asynchronous client from plain threads: one thread has its event loop, the callers wait for it.

What a call is given to tell (progress, pauses) is called in the thread that made the call, so that a desktop
application finds its own thread there, and Ctrl-C raises where the script is.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
import queue
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
A = TypeVar("A")

# Windows tells a waiting thread of Ctrl-C only once its wait is over.
LOOK_UP_S: float | None = 0.2 if sys.platform == "win32" else None
_END_S = 5.0


class Runner:
    """The thread of one client: begun by the first call, ended by `close`, or with the last who can call it.

    Safe for calls from several threads, also while event loops run in them.
    """

    def __init__(self, opened: AbstractAsyncContextManager[object]) -> None:
        self._opened = opened
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: weakref.finalize[..., Any] | None = None
        self._closed = False

    def run(self, call: Callable[..., Coroutine[Any, Any, R]], *args: Any, **named: Any) -> R:
        """Carry out a call in the event loop and return its result, or raise what it raises.

        An exception in this thread, such as KeyboardInterrupt or one of a callback, first ends the call.

        Raises:
            RuntimeError: the client is closed, also while the call ran; or it was made before a fork.
        """
        waiting: _Waiting[R] = _Waiting()
        work = call(*map(waiting.told_here, args), **{name: waiting.told_here(each) for name, each in named.items()})
        begun: asyncio.AbstractEventLoop | None = None
        try:
            with self._lock:
                begun = self._begun()
                context = contextvars.copy_context()
                context.run(_WAITING.set, waiting)
                begun.call_soon_threadsafe(waiting.begin, work, context=context)
            waiting.until_ended()
        except BaseException:
            if begun is None:
                work.close()
            else:
                waiting.cancel(begun)
            raise
        try:
            return waiting.result()
        except asyncio.CancelledError:
            if self._closed:
                raise RuntimeError("the client was closed while this call ran") from None
            raise

    def close(self) -> None:
        """End the thread, and with it calls that still run. May be called again."""
        with self._lock:
            self._closed = True
            end, self._end = self._end, None
        if end is not None and self._process == os.getpid():
            end()

    def _begun(self) -> asyncio.AbstractEventLoop:
        if self._closed:
            raise RuntimeError("the client is closed: make a new one, and call it before `close` or within its `with`")
        if self._process != os.getpid():
            raise RuntimeError("the client was made before this process was forked: make one in each process")
        if self._loop is None:
            begun: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
            # A daemon, so that a script that forgets `close` ends all the same.
            thread = threading.Thread(target=_serve, args=(self._opened, begun), name="updater-client", daemon=True)
            thread.start()
            self._loop, over = begun.result()
            self._end = weakref.finalize(self, _end, self._loop, over, thread)
        return self._loop


def _serve(opened: AbstractAsyncContextManager[object], begun: Future[Any]) -> None:
    """Keep a context open in an event loop of this thread. Knows nothing of the runner, which could never go then."""
    try:
        asyncio.run(_keep(opened, begun))
    except BaseException as error:
        if begun.done():
            raise
        begun.set_exception(error)


async def _keep(opened: AbstractAsyncContextManager[object], begun: Future[Any]) -> None:
    over = asyncio.Event()
    async with opened:
        begun.set_result((asyncio.get_running_loop(), over))
        await over.wait()
        # Before the context ends: what they use is open until then.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for each in left:
            each.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _end(loop: asyncio.AbstractEventLoop, over: asyncio.Event, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(over.set)
    if thread is not threading.current_thread():
        thread.join(_END_S)


class _Waiting(Generic[R]):
    """A thread that waits for its call, and what it is to be told meanwhile: of each kind the newest."""

    def __init__(self) -> None:
        self._keys: queue.SimpleQueue[tuple[int, ...]] = queue.SimpleQueue()
        self._newest: dict[tuple[int, ...], tuple[Callable[..., object], tuple[Any, ...]]] = {}
        self._lock = threading.Lock()
        self._task: asyncio.Task[R] | None = None

    # In the event loop.

    def begin(self, work: Coroutine[Any, Any, R]) -> None:
        """Begin the call."""
        self._task = asyncio.get_running_loop().create_task(work)
        self._task.add_done_callback(lambda _: self._keys.put(()))

    def tell(self, callback: Callable[..., object], *values: Any) -> None:
        """Have a callback called in the waiting thread. Numbers that come faster than it returns replace each other."""
        key = (id(callback), *map(id, values[:-2]))
        with self._lock:
            is_new = key not in self._newest
            self._newest[key] = (callback, values)
        if is_new:
            self._keys.put(key)

    # In the waiting thread.

    def told_here(self, value: Any) -> Any:
        """Return what tells a callback in the waiting thread; other values as they are."""
        return functools.partial(self.tell, value) if callable(value) else value

    def until_ended(self) -> None:
        """Wait until the call has ended. Raises what a callback raises."""
        while key := self._next():
            with self._lock:
                callback, values = self._newest.pop(key)
            callback(*values)

    def cancel(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the call, and wait until it has closed what it has open."""
        try:
            loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed, which ends all calls first
            return
        while self._next():
            pass

    def result(self) -> R:
        """Return what the call returned, or raise what it raised, once it has ended."""
        assert self._task is not None  # noqa: S101 - it has ended
        return self._task.result()

    def _next(self) -> tuple[int, ...]:
        while True:
            try:
                return self._keys.get(timeout=LOOK_UP_S)
            except queue.Empty:
                continue

    def _cancel(self) -> None:
        if self._task is None:
            self._keys.put(())  # interrupted before it began
        else:
            self._task.cancel()


_WAITING: contextvars.ContextVar[_Waiting[Any]] = contextvars.ContextVar("updater_client_waiting")


def told_where_it_waits(callback: Callable[..., object]) -> Callable[..., None]:
    """Return a callback for all calls of a client: each calls it in the thread that waits for it."""
    return lambda *values: _WAITING.get().tell(callback, *values)


class Facade(Generic[A]):
    """The calls of an asynchronous object, blocking."""

    def __init__(self, runner: Runner, calls: A) -> None:
        self._runner = runner
        self._calls = calls


def blocking(call: Callable[Concatenate[A, P], Coroutine[Any, Any, R]]) -> Callable[Concatenate[Any, P], R]:
    """Make a method of a facade from one of the asynchronous class: with its parameters, result and description."""

    @functools.wraps(call)
    def wait(self: Facade[A], /, *args: P.args, **named: P.kwargs) -> R:
        return self._runner.run(call, self._calls, *args, **named)

    return wait
