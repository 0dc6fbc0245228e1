"""Rate limits count in fixed windows, and their upkeep stays small."""

from __future__ import annotations

import time

import pytest

from updater.access.limits import NETWORK_TIMES, Allowance, RateLimits, Traffic, client_of, network_of
from updater.access.windows import WindowStorage
from updater.settings import RateLimitSettings


def limits_of(**settings: int) -> RateLimits:
    return RateLimits(RateLimitSettings(**settings))


def ask(limits: RateLimits, client: str = "192.0.2.1", traffic: Traffic = Traffic.GENERAL) -> Allowance:
    return limits.count(limits.of_address(client, traffic))


def test_the_window_is_used_up_and_tells_so() -> None:
    limits = limits_of(anonymous_per_minute=2)
    before = time.time()
    first, second, third = (ask(limits) for _ in range(3))
    assert (first.allowed, first.remaining, first.retry_after_s) == (True, 1, 0)
    assert (second.allowed, second.remaining) == (True, 0)
    assert (third.allowed, third.remaining, third.limit) == (False, 0, 2)
    assert before + 60 <= third.reset_at <= before + 62
    assert 59 <= third.retry_after_s <= 61


def test_clients_and_kinds_do_not_share_a_window() -> None:
    limits = limits_of(anonymous_per_minute=1, authenticated_per_minute=1)
    assert ask(limits).allowed
    assert ask(limits, "192.0.2.2").allowed
    assert ask(limits, traffic=Traffic.DOWNLOAD).allowed
    for client in (None, "192.0.2.1", "192.0.2.2"):
        windows = limits.of_principal("key:1", client, Traffic.GENERAL)
        assert [limits.count(windows).allowed for _ in range(2)] == [True, False]
    assert not ask(limits).allowed


def test_new_limits_hold_at_once_and_equal_ones_go_on_counting() -> None:
    limits = limits_of(anonymous_per_minute=1)
    assert ask(limits).allowed
    limits.configure(RateLimitSettings(anonymous_per_minute=1))
    assert not ask(limits).allowed
    limits.configure(RateLimitSettings(anonymous_per_minute=3))
    assert ask(limits).remaining == 2


def test_an_id_has_its_own_window_and_is_no_way_around_that_of_its_address() -> None:
    limits = limits_of(anonymous_per_minute=2, checks_per_minute=5)

    def check(client_id: str, client: str = "192.0.2.1") -> bool:
        return limits.count(limits.of_client_id(client, client_id)).allowed

    assert [check("a") for _ in range(3)] == [True, True, False]
    assert [check(f"other {number}") for number in range(4)] == [True, True, True, False]
    assert check("a", "192.0.2.2"), "nobody uses up the window of another client by its id"


def test_invented_ids_of_an_address_that_has_nothing_left_take_no_memory() -> None:
    limits = limits_of(anonymous_per_minute=2, checks_per_minute=5)
    allowed = [limits.count(limits.of_client_id("192.0.2.1", f"new {number}")).allowed for number in range(200)]
    assert allowed == [True] * 5 + [False] * 195
    assert len(limits._storage) == 5 + 1  # type: ignore[arg-type]


def test_a_network_has_several_times_the_limit_of_a_client() -> None:
    limits = limits_of(anonymous_per_minute=1)
    clients = [client_of(f"2001:db8:1:{number:x}::1") for number in range(NETWORK_TIMES + 1)]
    assert [ask(limits, clients[0]).allowed for _ in range(20)] == [True] + [False] * 19, "its own refusals cost nobody"
    assert [ask(limits, each).allowed for each in clients[1:]] == [True] * (NETWORK_TIMES - 1) + [False]
    assert ask(limits, client_of("2001:db8:2::1")).allowed
    assert not limits.peek(clients[-1]).allowed


def test_downloads_are_bounded_by_bytes_and_at_once() -> None:
    limits = limits_of(downloads_at_once=2, download_bytes_per_minute=100)
    assert [limits.begin_download("a") is None for _ in range(3)] == [True, True, False]
    assert limits.begin_download("b") is None
    limits.end_download("a", 60)
    assert limits.begin_download("a") is None
    limits.end_download("a", 60)
    limits.end_download("a", 0)
    refusal = limits.begin_download("a")
    assert refusal is not None
    assert (refusal.allowed, refusal.limit) == (False, 100)
    assert 59 <= refusal.retry_after_s <= 61


def test_a_clock_that_is_set_back_refuses_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = limits_of(anonymous_per_minute=1)
    now = time.time()
    assert ask(limits).allowed
    monkeypatch.setattr(time, "time", lambda: now - 86_400)
    refused = ask(limits)
    assert not refused.allowed
    assert refused.retry_after_s <= 61
    assert abs(refused.reset_at - (now - 86_400 + 60)) <= 2
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert ask(limits).allowed


def test_windows_end_and_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    storage = WindowStorage()
    assert [storage.hit("a", 60) for _ in range(2)] == [(1, 60.0), (2, 60.0)]
    now = 1_059.5
    assert (storage.hit("a", 60), storage.peek("a", 60)) == ((3, 0.5), (3, 0.5))
    now = 1_060.0
    assert storage.peek("a", 60) == (0, 60)
    storage.give_back("a")
    assert storage.hit("a", 60) == (1, 60.0)
    storage.give_back("a")
    storage.give_back("a")
    assert storage.peek("a", 60) == (0, 60.0)


def test_windows_that_are_over_go_while_new_ones_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    storage = WindowStorage()
    for number in range(1_000):
        storage.hit(f"old {number}", 60)
    now = 60.0
    storage.hit("old 500", 60)
    for number in range(600):
        storage.hit(f"new {number}", 60)
    assert len(storage) == 601
    assert storage.peek("old 500", 60)[0] == 1


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


@pytest.mark.parametrize(
    ("client", "network"),
    [("2001:db8:1:2::/64", "2001:db8:1::/48"), ("192.0.2.1", "192.0.2.1"), ("not:an:address", "not:an:address")],
)
def test_a_network_is_a_48(client: str, network: str) -> None:
    assert network_of(client) == network
