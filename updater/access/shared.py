"""Rate limits counted in Redis (the extra `redis`): fixed windows that all processes share.

A process asks Redis for shares of a window and hands them out by itself. What is requested in one turn of the event
loop, and while an answer is under way, goes in one command. A busy client's next share is larger, and a window that is
used up is remembered until it ends. A share counts when it is requested, so all processes together never exceed the
limit.

What is counted after the fact (the bytes of a download) is a debt of this process until its next question to Redis.

When Redis does not answer in time, each process counts for itself until Redis does.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from updater.access.windows import WindowStorage
from updater.errors import ConfigurationError
from updater.logs.loggers import get_logger

ANSWER_S = 0.05
PAUSE_S = 1.0
_CONNECT_S = 1.0
# A process asks ahead for this part of what is left of a window: a share that is not used up is lost to the others.
_AHEAD = 32
_KEYS_AT_ONCE = 500
# Source: Redis 7, SELECT.
_WRONG_DATABASE = ("db index is out of range", "invalid db index")
_WINDOW_MS = 60_000
_SCRIPT = """
local answers = {}
for i, key in ipairs(KEYS) do
  local count = redis.call('INCRBY', key, ARGV[i + 1])
  local left_ms = redis.call('PTTL', key)
  if left_ms < 0 then
    redis.call('PEXPIRE', key, ARGV[1])
    left_ms = tonumber(ARGV[1])
  end
  answers[2 * i - 1], answers[2 * i] = count, left_ms
end
return answers
"""
_log = get_logger(__name__)


class QuotaRequest(NamedTuple):
    """One request to be counted: its key, and the limit of a window."""

    key: str
    limit: int


@dataclass(slots=True)
class _Share:
    """What this process knows of a window: `count` is that of all processes, `free` may still be used here.

    `free` below 0 is a debt: counted here, and not yet told to Redis. `ends_at` is of the monotonic clock.
    """

    limit: int
    count: int
    free: int
    ends_at: float


class SharedWindows:
    """Windows of one minute in Redis. Call `start` before use, `prefetch` before each `hit`, `close` at the end.

    Raises:
        ConfigurationError: the package is not installed, or the address has an unknown option.
    """

    def __init__(self, url: str) -> None:
        try:
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ModuleNotFoundError:
            raise ConfigurationError(
                "rate_limit.storage_url: Redis needs the package redis; run ./scripts/setup extras"
            ) from None
        self._address = urlsplit(url).netloc.rpartition("@")[2]
        try:
            self._redis = Redis.from_url(url, socket_connect_timeout=_CONNECT_S, retry=Retry(NoBackoff(), 0))
            pool: Any = self._redis.connection_pool
            pool.make_connection()  # made, not connected: this is where options are looked at
        except (TypeError, ValueError) as error:
            option = re.search(r"unexpected keyword argument '(\w+)'", str(error))
            what = f"unknown option {option[1]!r}" if option is not None else "an option does not fit"
            raise ConfigurationError(f"rate_limit.storage_url: {self._address}: {what}") from None
        self._script = self._redis.register_script(_SCRIPT)
        self._local = WindowStorage()
        self._shares: OrderedDict[str, _Share] = OrderedDict()
        self._wanted: dict[QuotaRequest, int] = {}
        self._waiting: list[asyncio.Future[None]] = []
        self._exchanging: asyncio.Task[None] | None = None
        self._recovering: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None
        self.available = False

    async def start(self) -> None:
        """Connect to Redis. When it does not answer, count locally until it does.

        Raises:
            ConfigurationError: Redis refuses for good (credentials, rights, database number).
        """
        self.available = await self._answers(_CONNECT_S)
        if self.available:
            return
        refusal = _find_refusal(self._failure)
        if refusal is not None:
            await self.close()
            raise ConfigurationError(f"rate_limit.storage_url: {self._address}: {refusal}")
        self._count_locally()

    async def close(self) -> None:
        """Close the connection and release every caller that waits in `prefetch`. Raises nothing."""
        tasks = [task for task in (self._exchanging, self._recovering) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._wake(self._waiting)
        with contextlib.suppress(Exception):
            await self._redis.aclose()

    async def prefetch(self, quotas: Sequence[QuotaRequest]) -> None:
        """Wait until each of these can be counted by `hit`, for about `ANSWER_S` seconds at most.

        Valid as long as no other task runs between this and `hit`.
        """
        while self.available:
            now = time.monotonic()
            missing = [each for each in quotas if self._find(each.key, now) is None]
            if not missing:
                return
            waiter = asyncio.get_running_loop().create_future()
            for each in missing:
                self._wanted[each] = self._wanted.get(each, 0) + 1
            self._waiting.append(waiter)
            if self._exchanging is None:
                self._exchanging = asyncio.create_task(self._exchange())
            await waiter

    def hit(self, key: str, expiry: float) -> tuple[int, float]:
        """Count one request; without a share of the window count it locally.

        Returns: the count of the window, above its limit when that is used up, and the seconds until it ends.
        """
        now = time.monotonic()
        share = self._find(key, now) if self.available else None
        if share is None:
            return self._local.hit(key, expiry)
        if share.free <= 0:
            return share.limit + 1, share.ends_at - now
        share.free -= 1
        return share.count - share.free, share.ends_at - now

    def peek(self, key: str, expiry: float) -> tuple[int, float]:
        """Return the count of a window as far as this process knows it, and the seconds until it ends."""
        now = time.monotonic()
        share = self._shares.get(key) if self.available else None
        if share is None or share.ends_at <= now:
            return self._local.peek(key, expiry)
        return share.count - share.free, share.ends_at - now

    def charge(self, key: str, expiry: float, amount: int) -> None:
        """Count `amount` that was used already, beyond the limit too."""
        share = self._shares.get(key) if self.available else None
        if share is None or share.ends_at <= time.monotonic():
            self._local.hit(key, expiry, amount)
        else:
            share.free -= amount

    def give_back(self, key: str) -> None:
        """Take one back of what `hit` counted; this process may use it again."""
        share = self._shares.get(key) if self.available else None
        if share is None or share.ends_at <= time.monotonic():
            self._local.give_back(key)
        else:
            share.free += 1

    def _find(self, key: str, now: float) -> _Share | None:
        """Return the share of a window; None when Redis has to be asked."""
        share = self._shares.get(key)
        if share is None or share.ends_at <= now or (share.free <= 0 and share.count < share.limit):
            return None
        return share

    async def _exchange(self) -> None:
        try:
            while self._wanted:
                wanted, waiting = self._wanted, self._waiting
                self._wanted, self._waiting = {}, []
                try:
                    await self._ask(wanted)
                finally:
                    self._wake(waiting)
        finally:
            self._exchanging = None

    async def _ask(self, wanted: Mapping[QuotaRequest, int]) -> None:
        now = time.monotonic()
        amounts = {quota: waiting + self._beyond(quota, now) for quota, waiting in wanted.items()}
        quotas = list(amounts)
        for begin in range(0, len(quotas), _KEYS_AT_ONCE):
            some = quotas[begin : begin + _KEYS_AT_ONCE]
            answers = await self._call([each.key for each in some], [amounts[each] for each in some], ANSWER_S)
            if answers is None:
                self._count_locally()
                return
            now = time.monotonic()
            for quota, count, left_ms in zip(some, answers[::2], answers[1::2], strict=True):
                self._keep(quota, amounts[quota], count, now, left_ms / 1000)

    def _beyond(self, quota: QuotaRequest, now: float) -> int:
        """Return how many to fetch beyond those that wait: a debt, and something ahead.

        0 for a client that is not known to be busy.
        """
        share = self._shares.get(quota.key)
        if share is None or share.ends_at <= now:
            return 0
        return max(0, -share.free) + max(0, quota.limit - share.count) // _AHEAD

    def _keep(self, quota: QuotaRequest, amount: int, count: int, now: float, left_s: float) -> None:
        shares = self._shares
        known = shares.pop(quota.key, None)
        for _ in range(2):  # what is kept follows the number of clients of the last window
            if shares and shares[next(iter(shares))].ends_at <= now:
                shares.popitem(last=False)
        granted = max(0, min(amount, quota.limit - (count - amount)))
        if known is not None and known.ends_at > now:
            granted += known.free
        shares[quota.key] = _Share(quota.limit, min(count, quota.limit), granted, now + left_s)

    async def _call(self, keys: list[str], amounts: list[int], within_s: float) -> list[int] | None:
        """Ask Redis; None when it does not answer in time. A busy event loop is not taken for a slow Redis."""
        began_s = time.monotonic()
        call = asyncio.ensure_future(self._script(keys=keys, args=[_WINDOW_MS, *amounts]))
        try:
            await asyncio.wait({call}, timeout=within_s)
            if not call.done() and time.monotonic() - began_s > 1.5 * within_s:
                await asyncio.wait({call}, timeout=within_s)
        except asyncio.CancelledError:
            call.cancel()
            raise
        if not call.done():
            call.cancel()
            call.add_done_callback(_forget)
            self._failure = TimeoutError(f"no answer within {within_s * 1000:.0f} ms")
            return None
        self._failure = call.exception()
        if self._failure is not None:
            return None
        answers: list[int] = call.result()
        return answers

    def _count_locally(self) -> None:
        """Count locally, log that once, and probe in the background until Redis is back. No request waits meanwhile."""
        self.available = False
        self._wake(self._waiting)
        self._wanted, self._waiting = {}, []
        reason = "Redis does not answer; each process counts for itself"
        _log.warning("rate_limit.alone", reason=reason, redis=self._address, cause=_line(self._failure))
        if self._recovering is None:
            self._recovering = asyncio.create_task(self._recover())

    async def _recover(self) -> None:
        try:
            while not self.available:
                await asyncio.sleep(PAUSE_S)
                # The first call connects; what counts is how fast the second one is.
                if await self._answers(_CONNECT_S) and await self._answers(ANSWER_S):
                    self._shares.clear()
                    self.available = True
                    _log.info("rate_limit.shared")
        finally:
            self._recovering = None

    async def _answers(self, within_s: float) -> bool:
        return await self._call(["updater/probe"], [0], within_s) is not None

    @staticmethod
    def _wake(waiting: list[asyncio.Future[None]]) -> None:
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)


def _find_refusal(error: BaseException | None) -> str | None:
    """Return what Redis refuses for good (credentials, rights, database number); None when asking again may help."""
    from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, ResponseError

    if isinstance(error, AuthenticationError):
        return f"credentials are missing or refused: {_line(error)}"
    for_good = isinstance(error, (AuthorizationError, NoPermissionError))
    if for_good or (isinstance(error, ResponseError) and str(error).lower().startswith(_WRONG_DATABASE)):
        return _line(error)
    return None


def _line(error: BaseException | None) -> str:
    """Return the error's text on one line; the client library quotes no secret."""
    return str(error).partition("\n")[0][:200] or type(error).__name__


def _forget(call: asyncio.Future[Any]) -> None:
    """Retrieve the exception of an abandoned call; asyncio would log it as never retrieved."""
    if not call.cancelled():
        call.exception()
