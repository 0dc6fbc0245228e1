"""Rate limits count as the library's own do, and their upkeep stays small."""

from __future__ import annotations

import time

import pytest
from limits import RateLimitItemPerSecond
from limits.strategies import FixedWindowRateLimiter

from updater.access.limits import RateLimits, client_of
from updater.access.windows import WindowStorage


def test_the_window_is_used_up_and_tells_so() -> None:
    limits = RateLimits(anonymous=2, authenticated=5, sign_in=1)
    before = time.time()
    first, second, third = (limits.anonymous("192.0.2.1") for _ in range(3))
    assert (first.allowed, first.remaining, first.retry_after_s) == (True, 1, 0)
    assert (second.allowed, second.remaining) == (True, 0)
    assert (third.allowed, third.remaining, third.limit) == (False, 0, 2)
    assert before + 60 <= third.reset_at <= before + 62
    assert 59 <= third.retry_after_s <= 61


def test_clients_and_kinds_do_not_share_a_window() -> None:
    limits = RateLimits(anonymous=1, authenticated=1, sign_in=1)
    assert limits.anonymous("192.0.2.1").allowed
    assert limits.anonymous("192.0.2.2").allowed
    assert limits.authenticated("192.0.2.1").allowed
    assert limits.wrong_credential("192.0.2.1").allowed
    assert not limits.anonymous("192.0.2.1").allowed


def test_new_limits_hold_at_once_and_equal_ones_go_on_counting() -> None:
    limits = RateLimits(anonymous=1, authenticated=1, sign_in=1)
    assert limits.anonymous("192.0.2.1").allowed
    limits.configure(anonymous=1, authenticated=1, sign_in=1)
    assert not limits.anonymous("192.0.2.1").allowed
    limits.configure(anonymous=3, authenticated=1, sign_in=1)
    assert limits.anonymous("192.0.2.1").remaining == 2


def test_the_storage_serves_the_library_s_strategies() -> None:
    storage = WindowStorage()
    limiter, item = FixedWindowRateLimiter(storage), RateLimitItemPerSecond(2)
    assert [limiter.hit(item, "a") for _ in range(3)] == [True, True, False]
    assert not limiter.test(item, "a")
    assert limiter.get_window_stats(item, "b").remaining == 2
    assert 0 < limiter.get_window_stats(item, "a").reset_time - time.time() <= 1
    limiter.clear(item, "a")
    assert limiter.test(item, "a")
    assert storage.reset() == 0


def test_windows_end_and_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    storage = WindowStorage()
    assert [storage.incr("a", 60) for _ in range(2)] == [1, 2]
    now = 1_059.9
    assert (storage.incr("a", 60), storage.get_expiry("a")) == (3, 1_060.0)
    now = 1_060.0
    assert storage.get("a") == 0
    assert (storage.incr("a", 60), storage.get_expiry("a")) == (1, 1_120.0)


def test_windows_that_are_over_go_while_new_ones_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "time", lambda: now)
    storage = WindowStorage()
    for number in range(1_000):
        storage.incr(f"old {number}", 60)
    now = 60.0
    storage.incr("old 500", 60)
    for number in range(600):
        storage.incr(f"new {number}", 60)
    assert len(storage) == 601
    assert storage.get("old 500") == 1


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("not:an:address", "not:an:address"),
    ],
)
def test_a_client_is_an_address_or_a_network(address: str, client: str) -> None:
    assert client_of(address) == client
