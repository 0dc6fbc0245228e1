"""Each class of requests has its own limits: what a fleet, an office or a monitor does refuses nobody else."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, UnixConnector, web

from tests.conftest import KEYS, Service, StartService
from updater.access.addresses import AddressReader
from updater.access.limits import open_limits
from updater.app import build_app, make_runner

CHECK = "/api/v1/updates/my-app/check?current_version=1.0.0&platform=linux&architecture=amd64"


async def start(start_service: StartService, **limits: Any) -> Service:
    service = await start_service(rate_limit={"enabled": True, **limits}, server={"trusted_proxies": ["127.0.0.1"]})
    await service.application()
    await service.publish(b"0123456789" * 100)
    return service


async def ask(service: Service, path: str, *, address: str = "203.0.113.1", **headers: str) -> int:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    async with service.session.get(service.url + path, headers={"X-Forwarded-For": address, **headers}) as answer:
        await answer.read()
        return answer.status


async def download_path(service: Service) -> str:
    answer = await service.call("GET", CHECK.replace("1.0.0&", "0.9.0&"), status=200)
    path: str = answer["download_url"].removeprefix(service.url)
    return path


async def test_health_and_metrics_are_never_refused(start_service: StartService) -> None:
    service = await start(start_service, anonymous_per_minute=1)
    assert [await ask(service, "/api/v1/applications") for _ in range(2)] == [401, 429]
    for path in ("/health", "/metrics"):
        assert [await ask(service, path) for _ in range(5)] == [200] * 5


async def test_a_client_that_fetches_thousands_of_ranges_gets_them(start_service: StartService) -> None:
    service = await start(start_service, anonymous_per_minute=3, downloads_per_minute=40)
    path = await download_path(service)
    statuses = [await ask(service, path, Range=f"bytes={number}-{number}") for number in range(41)]
    assert statuses == [206] * 40 + [429]
    assert await ask(service, CHECK) == 200, "checks have their own"
    assert await ask(service, path, address="203.0.113.2") == 200
    key = {"Authorization": f"Bearer {KEYS['read']}"}
    assert await ask(service, path, **key) == 200


async def test_downloads_are_bounded_by_bytes(start_service: StartService) -> None:
    service = await start(start_service, download_bytes_per_minute=2_500)
    path = await download_path(service)
    assert [await ask(service, path) for _ in range(4)] == [200, 200, 200, 429]
    assert await ask(service, path, address="203.0.113.2") == 200


async def test_downloads_at_once_are_counted_out_however_they_end(start_service: StartService) -> None:
    service = await start(start_service, downloads_at_once=2)
    await service.publish(io.BytesIO(b"x" * 30_000_000), version="2.0.0")
    path = await download_path(service)
    headers = {"X-Forwarded-For": "203.0.113.1"}
    first, second = [await service.session.get(service.url + path, headers=headers) for _ in range(2)]
    assert [first.status, second.status] == [200, 200]
    assert await ask(service, path) == 429
    assert await ask(service, path, address="203.0.113.2") == 200
    first.close()
    second.close()
    async with asyncio.timeout(20):
        while await ask(service, path, Range="bytes=0-1") != 206:
            await asyncio.sleep(0.05)
    assert [await ask(service, path, Range="bytes=0-1") for _ in range(5)] == [206] * 5


async def test_desktops_of_an_office_have_a_window_each(start_service: StartService) -> None:
    service = await start(start_service, anonymous_per_minute=2, checks_per_minute=9)
    assert [await ask(service, CHECK, x_client_id="a") for _ in range(3)] == [200, 200, 429]
    assert await ask(service, CHECK, x_user_staging_id="e") == 200
    assert [await ask(service, f"{CHECK}&client_id=b") for _ in range(3)] == [200, 200, 429]
    assert [await ask(service, f"{CHECK}&stagingId=c") for _ in range(3)] == [200, 200, 429]
    ids = [await ask(service, CHECK, x_client_id=f"d{number}") for number in range(5)]
    assert ids.count(429) >= 1, "new ids are no way around the limit of their address"
    assert ids[0] == 200
    assert await ask(service, CHECK) == 200, "without an id the address counts"
    assert await ask(service, CHECK, address="203.0.113.2", x_client_id="d9") == 200


async def test_a_read_key_of_a_fleet_counts_for_each_address(start_service: StartService) -> None:
    service = await start(start_service, authenticated_per_minute=4)
    read = {"Authorization": f"Bearer {KEYS['read']}"}
    write = {"Authorization": f"Bearer {KEYS['admin']}"}
    assert [await ask(service, CHECK, **read) for _ in range(5)] == [200, 200, 200, 200, 429]
    assert await ask(service, CHECK, address="203.0.113.2", **read) == 200
    addresses = [f"203.0.113.{number}" for number in range(1, 6)]
    assert [await ask(service, CHECK, address=each, **write) for each in addresses] == [200, 200, 200, 200, 429]


@pytest.mark.parametrize(
    ("trusted", "peer", "believed"),
    [
        (["unix"], "", True),
        (["unix"], "/run/client.sock", True),
        (["unix"], "127.0.0.1", False),
        (["unix"], "::1", False),
        (["unix"], None, False),
        (["127.0.0.1"], "", False),
        (["unix", "127.0.0.1"], "127.0.0.1", True),
        ([], "", False),
    ],
)
def test_who_is_believed(trusted: list[str], peer: str | None, believed: bool) -> None:
    reader = AddressReader(trusted)
    assert reader.believes(peer) is believed
    assert reader.client_address(peer, "203.0.113.1") == ("203.0.113.1" if believed else peer or "")


async def test_clients_behind_a_trusted_unix_socket_are_told_apart(start_service: StartService, tmp_path: Path) -> None:
    service = await start_service(
        rate_limit={"enabled": True, "anonymous_per_minute": 1}, server={"trusted_proxies": ["unix"]}
    )
    settings = service.services.settings
    async with open_limits(settings.rate_limit) as limits:
        runner = make_runner(build_app(service.services, limits), settings)
        await runner.setup()
        socket = str(tmp_path / "socket")
        await web.UnixSite(runner, socket).start()
        async with ClientSession(connector=UnixConnector(socket)) as session:

            async def nope(address: str) -> int:
                async with session.get("http://localhost/nope", headers={"X-Forwarded-For": address}) as answer:
                    return answer.status

            asked = ["203.0.113.1", "203.0.113.1", "203.0.113.2"]
            assert [await nope(each) for each in asked] == [404, 429, 404]
        await runner.cleanup()
