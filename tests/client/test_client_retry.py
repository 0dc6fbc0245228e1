"""Trying again: when it helps, how long to wait, and that a repeated call counts once."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.conftest import LINUX, QUICK
from tests.faults import CutAnswer, CutRequest, FaultProxy, LoseAnswer, Refuse
from updater_client import FileChanged, InstallReport, NewApplication, RetryPolicy, UpdateClient, UpdateError
from updater_client.retry import Attempts, parse_retry_after


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
async def test_a_passing_refusal_is_tried_again(server, client, status: int) -> None:
    async with FaultProxy(server.port, [Refuse(status)] * 2) as proxy:
        async with UpdateClient(proxy.url, retry=QUICK) as faulty:
            assert (await faulty.check("my-app", "1.0.0", LINUX)).update_available is False
        assert proxy.connections == 3


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 500, 507])
async def test_a_final_refusal_is_not(server, client, status: int) -> None:
    async with FaultProxy(server.port, [Refuse(status)]) as proxy:
        async with UpdateClient(proxy.url, retry=QUICK) as faulty:
            with pytest.raises(UpdateError) as caught:
                await faulty.check("my-app", "1.0.0", LINUX)
        assert (caught.value.status, proxy.connections) == (status, 1)


async def test_attempts_end(server, client) -> None:
    async with FaultProxy(server.port, [Refuse(503)] * 9) as proxy:
        async with UpdateClient(proxy.url, retry=QUICK) as faulty:
            with pytest.raises(UpdateError) as caught:
                await faulty.check("my-app", "1.0.0", LINUX)
        assert (caught.value.status, proxy.connections) == (503, QUICK.attempts)


async def test_the_servers_wish_to_wait_is_kept(server, client) -> None:
    async with (
        FaultProxy(server.port, [Refuse(429, ("Retry-After: 1",))]) as proxy,
        UpdateClient(proxy.url, retry=QUICK) as faulty,
    ):
        began_at = time.monotonic()
        await faulty.check("my-app", "1.0.0", LINUX)
        assert time.monotonic() - began_at >= 1.0


async def test_a_wait_beyond_patience_ends_the_call_at_once(server, client) -> None:
    async with FaultProxy(server.port, [Refuse(429, ("Retry-After: 3600",))]) as proxy:
        async with UpdateClient(proxy.url, retry=QUICK) as faulty:
            with pytest.raises(UpdateError) as caught:
                await faulty.check("my-app", "1.0.0", LINUX)
        assert (caught.value.retry_after_s, proxy.connections) == (3600, 1)


def test_retry_after_is_a_number_or_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert parse_retry_after("7") == 7
    assert 28 <= (parse_retry_after(soon) or 0) <= 30
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [parse_retry_after(v) for v in (None, "", "soon", "-1", "٣")] == [None] * 5


async def test_waits_double_up_to_the_longest_and_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def sleep(delay_s: float) -> None:
        waits.append(delay_s)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    attempts = Attempts(RetryPolicy(attempts=6, first_delay_s=1, longest_delay_s=5))
    for _ in range(5):
        await attempts.pause(UpdateError("busy", status=503))
    for wait, longest in zip(waits, (1, 2, 4, 5, 5), strict=True):
        assert longest / 2 <= wait <= longest
    with pytest.raises(UpdateError):
        await attempts.pause(UpdateError("busy", status=503))


@pytest.mark.parametrize("fault", [CutRequest(2_000_000), CutAnswer(0), LoseAnswer(), Refuse(503)])
async def test_a_publication_survives_one_fault_and_is_there_once(server, client, build, fault) -> None:
    async with (
        FaultProxy(server.port, [fault]) as proxy,
        UpdateClient(proxy.url, server.key, retry=QUICK) as faulty,
    ):
        published = await faulty.publish("my-app", build)
    assert published.repeated is isinstance(fault, LoseAnswer)
    page = await client.list_releases("my-app")
    assert [r.checksum for r in page.items] == [published.checksum]
    assert published.id == page.items[0].id


async def test_a_lost_answer_does_not_hide_that_other_bytes_are_there(server, client, build) -> None:
    await client.publish("my-app", build)
    other = dataclasses.replace(build, path=build.path.with_name("other.bin"))
    other.path.write_bytes(b"something else")
    async with (
        FaultProxy(server.port, [LoseAnswer()]) as proxy,
        UpdateClient(proxy.url, server.key, retry=QUICK) as faulty,
    ):
        with pytest.raises(UpdateError) as caught:
            await faulty.publish("my-app", other)
    assert (caught.value.status, caught.value.uncertain) == (409, True)


async def test_a_file_that_changes_between_two_attempts_is_noticed(server, client, build) -> None:
    def touch(done: int, total: int | None) -> None:
        build.path.write_bytes(b"new bytes")

    async with (
        FaultProxy(server.port, [CutRequest(1_000_000)]) as proxy,
        UpdateClient(proxy.url, server.key, retry=QUICK) as faulty,
    ):
        with pytest.raises(FileChanged):
            await faulty.publish("my-app", build, progress=touch)
    assert (await client.list_releases("my-app")).items == ()


async def test_a_deletion_whose_answer_was_lost_is_done(server, client, build) -> None:
    await client.publish("my-app", build)
    async with (
        FaultProxy(server.port, [LoseAnswer()]) as proxy,
        UpdateClient(proxy.url, server.key, retry=QUICK) as faulty,
    ):
        await faulty.delete_release("my-app", "1.1.0", LINUX)
    assert (await client.list_releases("my-app")).items == ()


async def test_a_creation_whose_answer_was_lost_is_done(server, client) -> None:
    async with (
        FaultProxy(server.port, [LoseAnswer()]) as proxy,
        UpdateClient(proxy.url, server.key, retry=QUICK) as faulty,
    ):
        assert (await faulty.create_application(NewApplication("new", "New"))).id == "new"


async def test_a_404_after_a_refusal_that_did_nothing_is_still_an_error(server, client) -> None:
    async with (
        FaultProxy(server.port, [Refuse(429)]) as proxy,
        UpdateClient(proxy.url, server.key, retry=QUICK) as faulty,
    ):
        with pytest.raises(UpdateError) as caught:
            await faulty.delete_application("missing")
    assert caught.value.status == 404


async def test_a_report_whose_answer_was_lost_is_sent_under_the_same_id(server, client, build) -> None:
    await client.publish("my-app", build)
    async with FaultProxy(server.port, [LoseAnswer(), Refuse(503, ("Retry-After: 0",))]) as proxy:
        async with UpdateClient(proxy.url, retry=QUICK) as faulty:
            await faulty.report("my-app", InstallReport("1.0.0", "1.1.0", LINUX, "completed"))
        assert proxy.connections == 3
