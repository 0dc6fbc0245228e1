"""The gate: what it says of requests that end badly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from tests.conftest import KEYS


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_client_that_hangs_up_is_logged_quietly(start_service: Any) -> None:
    service = await start_service(logging={"access": True})
    await service.application()
    host, port = service.url.removeprefix("http://").split(":")
    with structlog.testing.capture_logs() as lines:
        _, writer = await asyncio.open_connection(host, int(port))
        head = (
            "PUT /api/v1/updates/my-app/builds/1.0.0/linux/amd64 HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {KEYS['write']}\r\nContent-Length: 1000000\r\n\r\n"
        )
        writer.write(head.encode() + b"x" * 1000)
        await writer.drain()
        await until(lambda: any(service.services.artifacts.blobs._incoming.iterdir()))
        writer.transport.abort()
        await until(lambda: any(line["event"] == "request" and line["lines"][-1]["status"] == 499 for line in lines))
    ended = [each for line in lines if line["event"] == "request" for each in line["lines"] if each["method"] == "PUT"]
    assert [line["status"] for line in ended] == [499]
    assert not [line for line in lines if line["log_level"] in ("error", "critical")]
    assert list(service.services.artifacts.blobs._incoming.iterdir()) == []


async def test_who_is_led_to_the_sign_in_page_is_no_bad_request(start_service: Any) -> None:
    service = await start_service(logging={"access": True})
    with structlog.testing.capture_logs() as lines:
        async with service.session.get(f"{service.url}/admin/dashboard/", allow_redirects=False) as answer:
            assert answer.status == 303
        await until(lambda: any(line["event"] == "request" for line in lines))
    assert [each["outcome"] for line in lines for each in line.get("lines", ())] == ["SIGN_IN_FIRST"]
