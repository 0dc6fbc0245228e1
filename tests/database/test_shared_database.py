"""Several processes on one PostgreSQL: what one acknowledged, all obey within a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from tests.actors import TESTER
from tests.conftest import Service
from tests.servers.postgres import Postgres
from updater.clock import utc_now
from updater.database.changes import ASK_EVERY_S, CATCH_UP_S
from updater.database.leases import Leases
from updater.database.opening import open_database
from updater.database.tables import lease
from updater.errors import ConfigurationError, Unavailable
from updater.health import ANSWER_S

ASK = "/api/v1/updates/my-app/check?platform=linux&architecture=amd64&current_version=0.1.0"


@pytest.fixture
async def database_url(postgres: Postgres) -> str:
    return postgres.create_migrated()


@pytest.fixture
async def pair(start_service: Any) -> tuple[Service, Service]:
    first = await start_service()
    await first.application()
    return first, await start_service()


async def within(seconds: float, condition: Callable[[], Any]) -> float:
    """Wait for a condition; return after how long it was so. A turn that a busy machine prolongs counts 20 ms."""
    waited_s = 0.0
    while True:
        began_s = time.monotonic()
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return waited_s
        assert waited_s < seconds, "too late"
        await asyncio.sleep(0.01)
        waited_s += min(time.monotonic() - began_s, 0.02)


async def test_a_release_is_offered_by_all_and_a_deletion_obeyed(pair: tuple[Service, Service]) -> None:
    first, second = pair
    await first.publish(b"x", "1.0.0")

    async def offered() -> bool:
        return bool((await second.call("GET", ASK))["update_available"])

    assert await within(1, offered) < 1
    await first.call("DELETE", "/api/v1/updates/my-app/releases/1.0.0/linux/amd64", key="admin", status=200)

    async def gone() -> bool:
        return not (await second.call("GET", ASK))["update_available"]

    assert await within(1, gone) < 1


async def test_an_application_is_there_for_whoever_is_asked_next(pair: tuple[Service, Service]) -> None:
    """A build machine creates an application and uploads at once, and may meet another process."""
    for number in range(10):
        await pair[number % 2].application(f"app-{number}")
        path = f"/api/v1/updates/app-{number}/builds/1.0.0/linux/amd64"
        await pair[1 - number % 2].call("PUT", path, key="write", data=b"x", status=201)
    await pair[0].call("GET", "/api/v1/updates/none/releases", key="read", status=404)


async def test_clients_of_an_application_that_is_gone_cost_the_others_nothing(pair: tuple[Service, Service]) -> None:
    """Clients go on asking for deleted releases; all requests that wait share one question to the database."""
    first, _ = pair
    questions = 0
    asking = first.services.catch_up
    assert asking is not None
    watcher = asking.__self__  # type: ignore[attr-defined]
    ask = watcher._changes

    async def count(since: int | None) -> Any:
        nonlocal questions
        questions += 1
        return await ask(since)

    watcher._changes = count
    gone = ASK.replace("my-app", "gone")
    began_s = time.monotonic()
    for _ in range(10):
        await asyncio.gather(*(first.call("GET", gone, status=404) for _ in range(50)))
    assert questions <= 30 + (time.monotonic() - began_s) / ASK_EVERY_S


async def test_an_unknown_application_is_503_in_time_when_nobody_can_know(
    pair: tuple[Service, Service], postgres: Postgres
) -> None:
    postgres.freeze()
    try:
        began_s = time.monotonic()
        refused = [pair[0].call("GET", ASK.replace("my-app", "unknown"), status=503) for _ in range(30)]
        await asyncio.gather(*refused)
        assert time.monotonic() - began_s < 2 * CATCH_UP_S
    finally:
        postgres.thaw()


async def test_a_revoked_key_is_unknown_to_all(pair: tuple[Service, Service]) -> None:
    first, second = pair
    key, text = await first.services.access.create_key("new", "read", actor=TESTER)

    async def known() -> bool:
        response, _ = await second.exchange("GET", "/api/v1/applications", key=text)
        return response.status == 200

    await within(1, known)
    assert key.id is not None
    await first.services.access.revoke_key(key.id, actor=TESTER)

    async def unknown() -> bool:
        response, _ = await second.exchange("GET", "/api/v1/applications", key=text)
        return response.status == 401

    await within(1, unknown)


async def test_changes_arrive_when_nobody_could_listen(
    pair: tuple[Service, Service], postgres: Postgres, database_url: str
) -> None:
    """The connection that listens is cut; what is said before it is back is found by its revision."""
    import asyncpg

    first, second = pair
    name = urlsplit(database_url).path[1:]
    killer = await asyncpg.connect(postgres.url("postgres"))
    listening = "FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'LISTEN%'"

    async def both_listen() -> bool:
        return bool(await killer.fetchval(f"SELECT count(*) = 2 {listening}", name))

    await within(5, both_listen)
    await killer.execute(f"SELECT pg_terminate_backend(pid) {listening}", name)
    await killer.close()
    await first.publish(b"x", "1.0.0")

    async def offered() -> bool:
        return bool((await second.call("GET", ASK))["update_available"])

    assert await within(1, offered) < 1


async def test_without_the_database_clients_are_served_and_writes_wait(
    pair: tuple[Service, Service], postgres: Postgres
) -> None:
    first, second = pair
    await first.publish(b"the bytes", "1.0.0")
    path = "/api/v1/updates/my-app/download/1.0.0/linux/amd64"
    postgres.stop()
    try:
        assert (await first.call("GET", ASK, status=200))["update_available"]
        _, body = await first.exchange("GET", path, status=200)
        assert body == b"the bytes"
        assert (await first.call("GET", "/health", status=200))["status"] == "degraded"
        refused, _ = await first.exchange(
            "PUT", "/api/v1/updates/my-app/builds/1.1.0/linux/amd64", key="write", data=b"new", status=503
        )
        assert "Retry-After" in refused.headers
        report = {
            "current_version": "0.1.0",
            "target_version": "1.0.0",
            "platform": "linux",
            "architecture": "amd64",
            "status": "completed",
        }
        await first.call("POST", "/api/v1/updates/my-app/status", json=report, status=503)
    finally:
        postgres.start()

    async def writes() -> bool:
        response, _ = await first.exchange(
            "PUT", "/api/v1/updates/my-app/builds/1.2.0/linux/amd64", key="write", data=b"newer"
        )
        return response.status in (201, 409)

    assert await within(2, writes) < 2

    async def offered() -> bool:
        return (await second.call("GET", ASK)).get("latest_version") == "1.2.0"

    await within(2, offered)


async def test_the_log_is_told_once_that_nobody_listens(start_service: Any, postgres: Postgres) -> None:
    """An outage may take days; each process tries twice a second."""
    with capture_logs() as logs:
        await start_service()
        postgres.stop()
        await asyncio.sleep(4 * ASK_EVERY_S)
        postgres.start()
        await within(10, lambda: "changes.listening" in [each["event"] for each in logs])
    said = [each["event"] for each in logs if each["event"].startswith("changes.")]
    assert said == ["changes.not_listening", "changes.listening"]


async def test_health_is_told_in_time_when_the_database_is_silent(start_service: Any, postgres: Postgres) -> None:
    """A balancer asks with a limit of seconds, again and again, and each question could hold a connection."""
    service = await start_service()
    assert b"\nupdater_database_healthy 1.0\n" in (await service.exchange("GET", "/metrics"))[1]
    postgres.freeze()
    try:
        began_s = time.monotonic()
        answers = await asyncio.gather(*(service.call("GET", "/health", status=200) for _ in range(30)))
        assert time.monotonic() - began_s < 2 * ANSWER_S
        assert {each["status"] for each in answers} == {"degraded"}
        assert service.services.health._database._reader.pool.checkedout() <= 2  # the watcher of changes has one
        assert b"\nupdater_database_healthy 0.0\n" in (await service.exchange("GET", "/metrics"))[1]
    finally:
        postgres.thaw()

    async def healthy() -> bool:
        return bool((await service.call("GET", "/health"))["status"] == "healthy")

    assert await within(5, healthy) < 5


async def test_one_coordinate_is_taken_once_by_many_processes(pair: tuple[Service, Service]) -> None:
    path = "/api/v1/updates/my-app/builds/1.0.0/linux/amd64"

    async def put(number: int) -> int:
        response, _ = await pair[number % 2].exchange("PUT", path, key="write", data=b"bytes %d" % number)
        return response.status

    statuses = await asyncio.gather(*(put(number) for number in range(16)))
    assert sorted(statuses) == [201] + [409] * 15


async def test_siblings_of_a_release_are_published_at_once(pair: tuple[Service, Service]) -> None:
    """A build matrix publishes all targets of one version at the same time: none may be refused for it."""

    async def put(number: int, platform: str, version: str) -> int:
        path = f"/api/v1/updates/my-app/builds/{version}/{platform}/amd64"
        response, _ = await pair[number % 2].exchange("PUT", path, key="write", data=b"bytes")
        return response.status

    for version in ("1.0.0", "1.1.0", "1.2.0"):
        platforms = ("linux", "windows", "darwin")
        statuses = await asyncio.gather(*(put(n, platform, version) for n, platform in enumerate(platforms)))
        assert statuses == [201, 201, 201]


async def test_a_build_is_not_lost_to_the_deletion_of_its_sibling(pair: tuple[Service, Service]) -> None:
    first, second = pair
    for number in range(10):
        version = f"1.0.{number}"
        await first.publish(b"x", version)
        delete = first.exchange("DELETE", f"/api/v1/updates/my-app/releases/{version}/linux/amd64", key="admin")
        put = second.exchange("PUT", f"/api/v1/updates/my-app/builds/{version}/windows/amd64", key="write", data=b"y")
        (deleted, _), (made, _) = await asyncio.gather(delete, put)
        assert (deleted.status, made.status) == (200, 201)
        found = await first.call("GET", f"/api/v1/updates/my-app/releases?version={version}", key="read")
        assert [each["platform"] for each in found["releases"]] == ["windows"]


async def test_a_lease_has_one_holder(database_url: str, tmp_path: Path) -> None:
    async with open_database(database_url, tmp_path) as database:
        mine, yours = Leases(database, "a"), Leases(database, "b")
        assert await mine.take("work", for_s=60)
        assert not await yours.take("work", for_s=60)
        assert mine.holds("work") and not yours.holds("work") and not mine.holds("other work")
        assert await mine.take("work", for_s=-1)
        assert not mine.holds("work"), "as after a standstill: nobody was asked"
        assert await yours.take("work", for_s=60)


async def test_a_lease_that_a_wrong_clock_gave_does_not_outlive_its_holder(database_url: str, tmp_path: Path) -> None:
    """The clock was an hour ahead when it was taken, and is right when the holder has died."""
    async with open_database(database_url, tmp_path) as database:
        assert await Leases(database, "a").take("work", for_s=0.5)
        async with database.write() as connection:
            await connection.execute(update(lease).values(expires_at=utc_now() + timedelta(hours=1)))
        await asyncio.sleep(0.6)
        assert await Leases(database, "b").take("work", for_s=0.5)
        assert not await Leases(database, "a").take("work", for_s=0.5)


async def opening_fails(url: str, folder: Path) -> ConfigurationError | Unavailable:
    with pytest.raises((ConfigurationError, Unavailable)) as caught:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(open_database(url, folder))
    text = str(caught.value)
    assert text.startswith("storage.database_url: ")
    assert "sesame" not in text
    assert "\n" not in text
    assert isinstance(caught.value, (ConfigurationError, Unavailable))
    return caught.value


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("u:sesame@127.0.0.1:1/none", "127.0.0.1:1/none does not answer: "),
        ("u:sesame@no-such-host.invalid/none", "no-such-host.invalid/none does not answer: "),
    ],
)
async def test_no_server_is_a_clear_failure(tmp_path: Path, place: str, said: str) -> None:
    failure = await opening_fails(f"postgresql://{place}", tmp_path)
    assert isinstance(failure, Unavailable)
    assert said in str(failure)


@pytest.mark.parametrize("place", ["u:sesame@127.0.0.1:port/none", "u:sesame@127.0.0.1/none?sslmode=perhaps"])
async def test_an_address_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path, place: str) -> None:
    assert isinstance(await opening_fails(f"postgresql://{place}", tmp_path), ConfigurationError)


async def test_what_the_server_refuses_is_a_wrong_setting(postgres: Postgres, tmp_path: Path) -> None:
    """A wrong role, database or option, and no right to make tables, which other roles never have."""
    import asyncpg

    url = postgres.create_database()
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE ROLE guest LOGIN PASSWORD 'sesame'")
    await connection.close()
    name = urlsplit(url).path[1:]
    for address, said in (
        (url.replace("postgres:@", "nobody:sesame@"), 'role "nobody" does not exist'),
        (url.replace(f"/{name}?", "/none?"), 'database "none" does not exist'),
        (f"{url}&ssl=require", 'parameter "ssl" cannot be changed now'),
        (f"{url}&sslmod=require", 'unrecognized configuration parameter "sslmod"'),
        (url.replace("postgres:@", "guest:sesame@"), "permission denied for schema public"),
    ):
        failure = await opening_fails(address, tmp_path)
        assert isinstance(failure, ConfigurationError)
        assert said in str(failure)


async def test_the_address_takes_the_options_of_libpq(database_url: str, tmp_path: Path) -> None:
    """Every provider's address has `sslmode`."""
    async with open_database(f"{database_url}&sslmode=prefer", tmp_path) as database:
        await database.ping()


async def test_a_database_that_is_gone_is_no_error_of_ours(postgres: Postgres, tmp_path: Path) -> None:
    """Dropped, as here, or with another password, or failed over to a standby: 503, not 500."""
    import asyncpg

    url = postgres.create_database()
    name = urlsplit(url).path[1:]
    async with open_database(url, tmp_path) as database:
        keeper = await asyncpg.connect(postgres.url("postgres"))
        await keeper.execute(f"DROP DATABASE {name} (FORCE)")
        with pytest.raises(Unavailable):
            await database.ping()
        await keeper.close()
