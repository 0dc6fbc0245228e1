"""Several processes count together in Redis; without it each counts for itself, and no request waits or is refused."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.conftest import KEYS, StartService
from tests.servers.redis import Redis, redis_server  # noqa: F401 - a fixture
from updater.access import shared
from updater.access.limits import Allowance, RateLimits, Traffic, Window, open_limits
from updater.access.shared import SharedWindows
from updater.errors import ConfigurationError
from updater.settings import RateLimitSettings

LIMIT = 300
SHIPPED_ANSWER_S, ANSWER_S = shared.ANSWER_S, 1.0


@pytest.fixture
def server(redis_server: Redis, monkeypatch: pytest.MonkeyPatch) -> Redis:  # noqa: F811
    """Give a Redis that may be slow: tests share their machine."""
    monkeypatch.setattr(shared, "PAUSE_S", 0.2)
    monkeypatch.setattr(shared, "ANSWER_S", ANSWER_S)
    return redis_server


@asynccontextmanager
async def processes(
    url: str, count: int = 2, anonymous: int = LIMIT, downloads: int = 1 << 30
) -> AsyncIterator[list[RateLimits]]:
    """Give limits as so many processes have them: each with its own connection and memory."""
    async with AsyncExitStack() as stack:
        settings = RateLimitSettings(
            anonymous_per_minute=anonymous,
            sign_in_per_minute=5,
            download_bytes_per_minute=downloads,
            storage_url=url,
        )
        opened = [await stack.enter_async_context(open_limits(settings)) for _ in range(count)]
        yield [each for each in opened if each is not None]


async def ask(limits: RateLimits, client: str = "192.0.2.1") -> Allowance:
    windows = limits.of_address(client, Traffic.GENERAL)
    await limits.prefetch(windows)
    return limits.count(windows)


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.01)


def windows(limits: RateLimits) -> SharedWindows:
    assert limits.shared is not None
    return limits.shared


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_all_processes_together_allow_the_limit_and_hardly_less(server: Redis, count: int) -> None:
    async with processes(server.url, count) as each:

        async def flood(limits: RateLimits) -> int:
            return sum([(await ask(limits)).allowed for _ in range(60)])

        allowed = sum(await asyncio.gather(*(flood(limits) for limits in each for _ in range(16))))
        assert 0.9 * LIMIT <= allowed <= LIMIT
        # All windows are known to be used up, or will be with what is left of their shares.
        async with asyncio.timeout(30):
            while any([(await ask(limits)).allowed for limits in each]):
                allowed += 1
        assert allowed <= LIMIT


async def test_one_after_the_other_processes_give_out_the_limit_to_the_last(server: Redis) -> None:
    async with processes(server.url, 1, anonymous=40) as (limits,):
        answers = [await ask(limits) for _ in range(42)]
        assert [each.remaining for each in answers] == [*range(39, -1, -1), 0, 0]
        assert [each.allowed for each in answers] == [True] * 40 + [False] * 2
        assert 55 <= answers[-1].retry_after_s <= 61
        assert time.time() + 55 <= answers[0].reset_at <= time.time() + 62


async def test_a_busy_client_costs_few_commands_and_a_refused_one_none(server: Redis) -> None:
    async with processes(server.url, 1, anonymous=1000) as (limits,):
        for _ in range(1000):
            assert (await ask(limits)).allowed
        calls = (await commands(server))["calls"]
        assert calls < 250
        for _ in range(1000):
            assert not (await ask(limits)).allowed
        assert (await commands(server))["calls"] <= calls + 1


async def test_many_clients_at_once_go_in_one_command(server: Redis) -> None:
    async with processes(server.url, 1) as (limits,):
        before = (await commands(server))["calls"]
        answers = await asyncio.gather(*(ask(limits, f"192.0.2.{number}") for number in range(200)))
        assert all(each.remaining == LIMIT - 1 for each in answers)
        assert (await commands(server))["calls"] <= before + 2


async def test_kinds_of_limits_are_apart_and_sign_in_is_shared(server: Redis) -> None:
    async def count(limits: RateLimits, windows: Sequence[Window]) -> Allowance:
        await limits.prefetch(windows)
        return limits.count(windows)

    async with processes(server.url) as (one, other):
        tried = [
            (await count(limits, [(limits.sign_in_address, "192.0.2.1")])).allowed
            for _ in range(3)
            for limits in (one, other)
        ]
        assert tried == [True] * 5 + [False]
        assert (await count(one, one.of_principal("key 1", None, Traffic.GENERAL))).remaining == 1199
        assert (await count(one, one.of_principal("key 1", "192.0.2.1", Traffic.GENERAL))).remaining == 1199
        assert (await count(one, one.of_principal("key 1", None, Traffic.DOWNLOAD))).remaining == 29_999
        assert (await count(one, one.of_client_id("192.0.2.1", "a"))).remaining == LIMIT - 1
        tried = [
            (await count(limits, limits.of_unknown("192.0.2.1", guessed=True))).limit
            for _ in range(3)
            for limits in (one, other)
        ]
        assert tried == [LIMIT] * 5 + [5]


async def test_what_is_taken_back_and_what_is_charged_later_count_for_all(server: Redis) -> None:
    async with processes(server.url, downloads=1000) as (one, other):
        window = [one.bytes_of("192.0.2.1")]

        async def download(limits: RateLimits) -> bool:
            await limits.prefetch(window)
            if limits.begin_download("192.0.2.1") is not None:
                return False
            limits.end_download("192.0.2.1", 300)
            return True

        # Each learns of the other's bytes when it asks Redis the next time.
        started = [await download(limits) for _ in range(4) for limits in (one, other)]
        assert 4 <= started.count(True) <= 6
        assert started[-2:] == [False, False]
        sign_in = [(one.sign_in_address, "192.0.2.1")]
        for _ in range(12):
            await one.prefetch(sign_in)
            assert one.count(sign_in).allowed
            one.sign_in_address.give_back("192.0.2.1")


@pytest.mark.parametrize("fault", ["freeze", "stop"])
async def test_without_redis_each_process_counts_for_itself_until_it_is_back(server: Redis, fault: str) -> None:
    assert 0.01 <= SHIPPED_ANSWER_S <= 0.05
    with capture_logs() as logs:
        async with processes(server.url, anonymous=100) as (one, other):
            assert (await ask(one)).remaining == 99
            assert (await ask(other)).remaining <= 98
            getattr(server, fault)()
            began = time.monotonic()
            # Enough to use up what was fetched ahead; everything after that is counted here.
            answers = [await ask(one, "192.0.2.9") for _ in range(100)]
            assert all(each.allowed for each in answers)
            assert time.monotonic() - began < 20 * ANSWER_S, "one wait for all: that would be 100"
            assert not windows(one).available
            assert not (await ask(one, "192.0.2.9")).allowed
            assert (await ask(other, "192.0.2.9")).remaining == 99
            # While no count is known, no request waits.
            began = time.monotonic()
            await asyncio.gather(*(ask(one, f"198.51.100.{number}") for number in range(100)))
            assert time.monotonic() - began < ANSWER_S
            await asyncio.sleep(0.5)
            server.thaw() if fault == "freeze" else server.start()
            await until(lambda: windows(one).available and windows(other).available)
            assert (await ask(one, "203.0.113.1")).remaining == 99
            assert (await ask(other, "203.0.113.1")).remaining == 98
    assert [each["event"] for each in logs].count("rate_limit.alone") == 2, "one warning for each process"
    assert all(server.url not in str(each) for each in logs)


async def test_a_loop_that_was_busy_does_not_blame_redis(server: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "ANSWER_S", 0.3)
    async with processes(server.url, 1) as (limits,):
        asked = asyncio.create_task(ask(limits))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(1)
        assert (await asked).allowed
        assert windows(limits).available


async def test_services_share_and_say_so_in_their_metrics(start_service: StartService, server: Redis) -> None:
    limit = {"enabled": True, "anonymous_per_minute": 20, "storage_url": server.url}
    first = await start_service(rate_limit=limit)
    second = await start_service(rate_limit=limit, storage={"root": f"{first.services.settings.storage.root}-2"})
    statuses = []
    for _ in range(15):
        for service in (first, second):
            response, _ = await service.exchange("GET", "/api/v1/openapi.json")
            statuses.append(response.status)
    assert statuses.count(200) == 20
    assert response.status == 429
    assert 50 <= int(response.headers["Retry-After"]) <= 61
    key = KEYS["admin"]
    _, text = await first.exchange("GET", "/metrics", key=key)
    assert b"updater_rate_limit_shared 1.0" in text
    server.stop()
    await first.exchange("GET", "/api/v1/applications", key=KEYS["write"], status=200)
    _, text = await first.exchange("GET", "/metrics", key=key)
    assert b"updater_rate_limit_shared 0.0" in text
    response, _ = await first.exchange("GET", "/api/v1/openapi.json")
    assert (response.status, response.headers["X-RateLimit-Remaining"]) == (200, "19")


async def test_a_service_starts_without_its_redis(start_service: StartService, server: Redis) -> None:
    server.stop()
    service = await start_service(rate_limit={"enabled": True, "storage_url": server.url})
    response, _ = await service.exchange("GET", "/api/v1/openapi.json", status=200)
    assert response.headers["X-RateLimit-Remaining"] == "1199"


@pytest.mark.parametrize("url", ["http://x", "redis://", "unix://host", "redis://h/0#x", ""])
def test_a_wrong_address_is_one_line_without_the_address(make_settings: Any, url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_settings(rate_limit={"storage_url": url})
    assert "rate_limit.storage_url: the given value does not fit; expected redis://" in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("//:canary@", "//:sesame@", "refused: invalid username-password pair"),
        ("//guest:canary@", "//:sesame@", "refused: invalid username-password pair"),
        ("//", "//:sesame@", "credentials are missing"),
        ("//:sesame@/99", "//:sesame@", "DB index is out of range"),
        ("//:sesame@/0?timeot=3", "//:sesame@", "unknown option 'timeot'"),
    ],
)
async def test_a_redis_that_refuses_for_good_stops_the_start(server: Redis, wrong: str, right: str, said: str) -> None:
    def url(change: str) -> str:
        login, slash, rest = change.partition("@")
        return server.url.replace("//", login + slash).replace("/0", rest or "/0")

    from redis.asyncio import Redis as Client

    async with Client.from_url(server.url) as client:
        await client.config_set("requirepass", "sesame")
    async with processes(url(right), 1) as (one,):
        assert windows(one).available
    with pytest.raises(ConfigurationError) as caught:
        async with processes(url(wrong), 1):
            pass
    text = str(caught.value)
    assert text.startswith(f"rate_limit.storage_url: 127.0.0.1:{server.port}: ")
    assert said in text
    assert "canary" not in text
    assert "sesame" not in text


async def test_the_log_says_why_redis_is_not_asked(server: Redis) -> None:
    server.stop()
    with capture_logs() as logs:
        async with processes(server.url, 1):
            pass
    (line,) = [each for each in logs if each["event"] == "rate_limit.alone"]
    assert line["redis"] == f"127.0.0.1:{server.port}"
    assert "Connection refused" in line["cause"] or "Connect call failed" in line["cause"]


async def commands(server: Redis) -> dict[str, int]:
    """Return what Redis counted of scripts."""
    from redis.asyncio import Redis as Client

    async with Client.from_url(server.url) as client:
        stats = await client.info("commandstats")
    return {
        "calls": sum(value["calls"] for name, value in stats.items() if name in ("cmdstat_evalsha", "cmdstat_eval"))
    }
