"""Which windows a request counts in, by the names that processes share in Redis, and where a key stands in them."""

from __future__ import annotations

import time
from typing import Any

import pytest

import updater.access.limits as module
from updater.access.limits import (
    NETWORK_TIMES,
    RETRY_DOWNLOAD_S,
    Allowance,
    RateLimits,
    Traffic,
    Window,
    WindowLimit,
    client_of,
    open_limits,
)
from updater.access.shared import QuotaRequest
from updater.access.windows import WindowStorage
from updater.settings import RateLimitSettings

V4, V6, NET = "192.0.2.1", "2001:db8:1:2::/64", "2001:db8:1::/48"
AMOUNTS = {
    "anonymous_per_minute": 3,
    "authenticated_per_minute": 5,
    "checks_per_minute": 7,
    "downloads_per_minute": 11,
    "download_bytes_per_minute": 13,
    "downloads_at_once": 2,
    "sign_in_per_minute": 9,
}


@pytest.fixture
def limits() -> RateLimits:
    return RateLimits(RateLimitSettings(**AMOUNTS))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stand both clocks still: the wall clock at the second, the monotonic one 40 seconds later."""
    at = [1_000.0]
    monkeypatch.setattr(time, "time", lambda: at[0])
    monkeypatch.setattr(time, "monotonic", lambda: at[0] + 40)
    return at


def names(windows: Any) -> list[str]:
    return [limit.quota(key).key for limit, key in windows]


def anonymous(client: str) -> list[str]:
    return [f"anonymous/{client}/3/1/minute"]


def test_windows_of_an_address(limits: RateLimits) -> None:
    for traffic in Traffic:
        kind = "downloads/{}/11" if traffic in (Traffic.DOWNLOAD, Traffic.FEED, Traffic.PIECE) else "anonymous/{}/3"
        name = kind.format(V4) + "/1/minute"
        assert names(limits.of_address(V4, traffic)) == [name]
    network = f"anonymous-network/{NET}/{3 * NETWORK_TIMES}/1/minute"
    assert names(limits.of_address(V6, Traffic.GENERAL)) == [f"anonymous/{V6}/3/1/minute", network]


def test_windows_of_a_client_id(limits: RateLimits) -> None:
    checks = f"checks/{V4}/7/1/minute"
    for client_id in ("c", "x" * 40):
        assert names(limits.of_client_id(V4, client_id)) == [f"client-id/{V4} ={client_id}/3/1/minute", checks]
    long, other = (names(limits.of_client_id(V4, text)) for text in ("x" * 41, "\u00e4"))
    assert long == [f"client-id/{V4} 1f69e542a2b7279c5fee29a8/3/1/minute", checks]
    assert other == [f"client-id/{V4} 8543639b4defee29b97a2164/3/1/minute", checks]
    assert len(names(limits.of_client_id(V4, "\udc80"))) == 2
    assert len(names(limits.of_client_id(V6, "c"))) == 3


def test_windows_of_an_unknown_credential(limits: RateLimits) -> None:
    assert names(limits.of_unknown(V4, guessed=False)) == anonymous(V4)
    assert names(limits.of_unknown(V4, guessed=True)) == [*anonymous(V4), f"wrong-credential/{V4}/9/1/minute"]


def test_windows_of_a_principal(limits: RateLimits) -> None:
    general, download = Traffic.GENERAL, Traffic.PIECE
    assert names(limits.of_principal("key:1", None, general)) == ["key/key:1/5/1/minute"]
    assert names(limits.of_principal("key:1", None, download)) == ["downloads/key:1/11/1/minute"]
    assert names(limits.of_principal("key:1", V4, general)) == [f"key/key:1 {V4}/5/1/minute"]
    assert names(limits.of_principal("key:1", V6, download)) == [
        f"downloads/key:1 {V6}/11/1/minute",
        f"downloads-network/key:1 {NET}/{11 * NETWORK_TIMES}/1/minute",
    ]


@pytest.mark.parametrize(("amount", "place"), [(9, 4), (2, 1), (1, 1), (4, 2)])
def test_windows_of_signing_in(amount: int, place: int) -> None:
    limits = RateLimits(RateLimitSettings(sign_in_per_minute=amount))
    found = [limits.sign_in_address, limits.sign_in_name, limits.sign_in_place, limits.sign_in_device]
    assert names((each, "k") for each in found) == [
        f"sign-in/k/{amount}/1/minute",
        f"sign-in-name/k/{amount}/1/minute",
        f"sign-in-place/k/{place}/1/minute",
        f"sign-in-device/k/{amount}/1/minute",
    ]


def test_where_a_key_stands(now: list[float]) -> None:
    limit = WindowLimit("n", 2, WindowStorage())
    assert limit.peek("k") == Allowance(True, 2, 2, 1_061, 0)
    assert limit.hit("k") == Allowance(True, 2, 1, 1_061, 0)
    now[0] += 9.5
    assert limit.peek("k") == Allowance(True, 2, 1, 1_061, 0)
    assert not limit.is_used_up("k")
    assert limit.find_refusal("k") is None
    assert limit.is_used_up("k")
    assert limit.peek("k") == Allowance(False, 2, 0, 1_061, 51)
    assert limit.find_refusal("k") == limit.hit("k") == Allowance(False, 2, 0, 1_061, 51)
    for _ in range(3):
        limit.give_back("k")
    assert limit.peek("k").remaining == 1
    limit.charge("k", 4)
    assert limit.is_used_up("k")
    limit.give_back("other")
    assert limit.peek("other") == Allowance(True, 2, 2, 1_070, 0)
    limit.charge("other", 1)
    assert limit.peek("other").remaining == 1
    now[0] += 60
    assert limit.peek("k") == Allowance(True, 2, 2, 1_130, 0)


def test_one_is_counted_in_each_window_or_in_none(now: list[float]) -> None:
    limits = RateLimits(RateLimitSettings())
    storage = WindowStorage()
    few, some, many = (WindowLimit(name, amount, storage) for name, amount in (("few", 1), ("some", 2), ("many", 9)))
    windows: list[Window] = [(many, "k"), (some, "k"), (few, "k")]

    def left() -> list[int]:
        return [limit.peek(key).remaining for limit, key in windows]

    assert limits.count(windows) == Allowance(True, 9, 8, 1_061, 0)
    assert left() == [8, 1, 0]
    assert limits.count(windows) == Allowance(False, 1, 0, 1_061, 61)
    assert left() == [8, 1, 0], "one that is used up keeps the others from counting"
    assert limits.count(windows[1:2]) == Allowance(True, 2, 0, 1_061, 0)
    assert limits.count(windows[1:2]) == Allowance(False, 2, 0, 1_061, 61)
    assert limits.count([(few, "other"), (many, "k")]).remaining == 0
    assert limits.count([(few, "other"), (many, "k")]) == Allowance(False, 1, 0, 1_061, 61)
    assert left() == [7, 0, 0], "the first one refused: the others do not count"


def test_a_window_that_is_used_up_in_between_refuses(now: list[float]) -> None:
    limits = RateLimits(RateLimitSettings())
    storage = WindowStorage()
    first, second = WindowLimit("a", 5, storage), WindowLimit("b", 1, storage)
    assert limits.count([(first, "k"), (second, "k"), (second, "k")]) == Allowance(False, 1, 0, 1_061, 61)


def test_where_an_address_stands(limits: RateLimits, now: list[float]) -> None:
    assert limits.peek(V4) == Allowance(True, 3, 3, 1_061, 0)
    network = limits.of_address(V6, Traffic.GENERAL)[1]
    network[0].charge(network[1], 3 * NETWORK_TIMES - 1)
    assert limits.peek(V6) == Allowance(True, 3, 3, 1_061, 0)
    network[0].charge(network[1], 1)
    assert limits.peek(V6) == Allowance(False, 3 * NETWORK_TIMES, 0, 1_061, 61)


def test_downloads_at_once_and_their_bytes(limits: RateLimits, now: list[float]) -> None:
    limit, key = limits.bytes_of("a")
    assert (names([(limit, key)]), key) == (["download-bytes/a/13/1/minute"], "a")
    assert [limits.begin_download("a") for _ in range(2)] == [None, None]
    refused = Allowance(False, 2, 0, 1_000 + RETRY_DOWNLOAD_S, RETRY_DOWNLOAD_S)
    assert limits.begin_download("a") == refused
    limits.end_download("a", 0)
    assert limits._running == {"a": 1}
    assert len(limits._storage) == 0, "nothing was sent"  # type: ignore[arg-type]
    limits.end_download("a", 1)
    assert limits._running == {}
    limits.end_download("a", 11)
    assert limits._running == {}
    assert limits.begin_download("a") is None
    limits.end_download("a", 1)
    assert limits.begin_download("a") == Allowance(False, 13, 0, 1_061, 61)
    assert limits.begin_download("b") is None


async def test_shares_are_fetched_for_each_window() -> None:
    asked: list[Any] = []

    class Shared(WindowStorage):
        async def prefetch(self, requests: Any) -> None:
            asked.extend(requests)

    shared: Any = Shared()
    limits = RateLimits(RateLimitSettings(**AMOUNTS), shared)
    assert limits.shared is shared
    await limits.prefetch(limits.of_client_id(V4, "c"))
    assert asked == [QuotaRequest(f"client-id/{V4} =c/3/1/minute", 3), QuotaRequest(f"checks/{V4}/7/1/minute", 7)]
    limits.count(limits.of_client_id(V4, "c"))
    assert len(shared) == 2
    await RateLimits(RateLimitSettings()).prefetch(limits.of_client_id(V4, "c"))
    assert len(asked) == 2


async def test_limits_are_given_for_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    class Shared(WindowStorage):
        def __init__(self, url: str) -> None:
            super().__init__()
            log.append(url)

        async def start(self) -> None:
            log.append("started")

        async def close(self) -> None:
            log.append("closed")

    monkeypatch.setattr(module, "SharedWindows", Shared)
    async with open_limits(RateLimitSettings(enabled=False, storage_url="redis://x")) as limits:
        assert limits is None
    async with open_limits(RateLimitSettings(anonymous_per_minute=1)) as limits:
        assert limits is not None
        assert limits.shared is None
        assert limits.peek(V4).limit == 1
    assert log == []
    with pytest.raises(ZeroDivisionError):
        async with open_limits(RateLimitSettings(anonymous_per_minute=2, storage_url="redis://x")) as limits:
            assert limits is not None
            assert isinstance(limits.shared, Shared)
            assert limits.peek(V4).limit == 2
            assert log == ["redis://x", "started"]
            raise ZeroDivisionError
    assert log == ["redis://x", "started", "closed"]


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("::1", "::/64"),
        ("2001:db8::1%a%b", "2001:db8::/64"),
        ("::ffff:192.0.2.1%x", "192.0.2.1"),
        ("", ""),
        ("unix:", "unix:"),
    ],
)
def test_further_addresses(address: str, client: str) -> None:
    assert client_of(address) == client


def test_a_window_takes_several_at_once_and_ends_at_its_second(now: list[float]) -> None:
    storage = WindowStorage()
    assert storage.hit("a", 60, 5) == (5, 60.0)
    storage.charge("a", 60, 2)
    assert storage.peek("a", 60) == (7, 60.0)
    assert storage.peek("b", 30) == (0, 30)
    now[0] += 60
    assert storage.hit("a", 10) == (1, 10.0)
    now[0] += 10
    storage.give_back("a")
    assert storage._windows["a"].count == 1, "what is over is left"


def test_a_new_window_drops_two_that_are_over_and_none_that_is_not(now: list[float]) -> None:
    storage = WindowStorage()
    for number in range(5):
        storage.hit(f"old {number}", 60)
    now[0] += 59
    storage.hit("young", 60)
    now[0] += 1
    storage.hit("new", 60)
    assert list(storage._windows) == ["old 2", "old 3", "old 4", "young", "new"]
    storage.hit("old 3", 60)
    assert list(storage._windows) == ["young", "new", "old 3"]
    storage.hit("newer", 60)
    assert list(storage._windows) == ["young", "new", "old 3", "newer"]
