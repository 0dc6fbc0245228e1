"""When to try again, and how long to wait before it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from updater_client.errors import Unreachable, UpdateError

TRANSIENT_STATUS = frozenset({408, 423, 429, 502, 503, 504})
"""Too slow, held by another request, too many, and the three a proxy or a restarting server gives."""


@dataclass(frozen=True)
class RetryPolicy:
    """How patient to be. `attempts` counts the first one; `attempts=1` never tries again.

    Waits double from `first_delay_s` up to `longest_delay_s`, each shortened by up to half at random so
    that many clients do not come back together. A `Retry-After` longer than `longest_wait_s` ends the call.
    """

    attempts: int = 5
    first_delay_s: float = 0.5
    longest_delay_s: float = 30.0
    longest_wait_s: float = 120.0


@dataclass(frozen=True)
class Wait:
    """A pause before the next attempt: how long, after which failure, and which attempt of how many comes then."""

    seconds: float
    error: UpdateError
    attempt: int
    attempts: int


Waiting = Callable[[Wait], None]
"""Called before each pause."""


class Attempts:
    """Counts the failures of one call against a policy; `waiting` is told of each pause."""

    def __init__(self, policy: RetryPolicy, waiting: Waiting | None = None) -> None:
        self._policy = policy
        self._waiting = waiting
        self._failures = 0

    def forget(self) -> None:
        """Count anew, because the last attempt brought the call further."""
        self._failures = 0

    async def pause(self, error: UpdateError) -> None:
        """Wait before the next attempt.

        Raises:
            UpdateError: `error` itself, when it is final, the attempts have run out, or the server asks for too long.
        """
        self._failures += 1
        if self._failures >= self._policy.attempts or not is_transient(error):
            raise error
        wait_s = self._wait_s(error)
        if self._waiting is not None:
            self._waiting(Wait(wait_s, error, self._failures + 1, self._policy.attempts))
        await asyncio.sleep(wait_s)

    def _wait_s(self, error: UpdateError) -> float:
        policy = self._policy
        full_s = min(policy.longest_delay_s, policy.first_delay_s * 2.0 ** (self._failures - 1))
        backoff_s = full_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
        if error.retry_after_s is None:
            return backoff_s
        if error.retry_after_s > policy.longest_wait_s:
            raise error
        return max(backoff_s, error.retry_after_s)


def is_transient(error: UpdateError) -> bool:
    """Say whether the same call may succeed a little later."""
    if isinstance(error, Unreachable):
        return error.transient
    return error.status in TRANSIENT_STATUS


def parse_retry_after(value: str | None) -> float | None:
    """Read a Retry-After header in seconds from now; None when it is absent or unreadable.

    Source: RFC 9110 section 10.2.3 (a number of seconds, or a date).
    """
    if not value:
        return None
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
