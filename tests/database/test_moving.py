"""Out of the embedded database into PostgreSQL: everything goes along, as a whole or not at all."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, text

from tests.actors import TESTER
from tests.conftest import OwnServer, Service
from tests.servers.postgres import Postgres
from updater.app import build_app, make_runner
from updater.composition import open_services
from updater.database.all_tables import metadata
from updater.database.engine import Database
from updater.database.moving import move_rows
from updater.database.opening import open_database
from updater.errors import Conflict
from updater.processes.folder import claim_folder
from updater.settings import Settings

Serve = Callable[[str | None], Any]
FIGURES = "/api/v1/applications/my-app/figures?from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z&bucket=day"
REPORT = {
    "current_version": "0.9.0",
    "target_version": "1.0.0",
    "platform": "linux",
    "architecture": "amd64",
    "status": "completed",
}


@pytest.fixture
def serve(make_settings: Callable[..., Settings], aiohttp_client: Any) -> Serve:
    @asynccontextmanager
    async def serving(url: str | None) -> AsyncIterator[Service]:
        settings = make_settings(storage={"database_url": url})
        with claim_folder(settings.storage):
            async with open_services(settings) as services:
                client = await aiohttp_client(OwnServer(make_runner(build_app(services), settings)))
                yield Service(services, client.session, str(client.make_url("")).rstrip("/"))
                await client.close()

    return serving


async def migrate(root: Path, url: str | None) -> tuple[int, str, str]:
    environment = {**os.environ, "UPDATER_STORAGE__ROOT": str(root)}
    if url is not None:
        environment["UPDATER_STORAGE__DATABASE_URL"] = url
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "updater", "migrate-database", "--json"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode or 0, out.decode(), err.decode()


async def rows(database: Database) -> dict[str, int]:
    async with database.read() as connection:
        return {
            table.name: await connection.scalar(select(func.count()).select_from(table)) or 0
            for table in metadata.sorted_tables
        }


async def fill(service: Service) -> str:
    """Keep something of each kind; return a key's text."""
    await service.application()
    await service.application("other-app", config={"max_version": "2.0.0"})
    for version in ("1.0.0", "1.1.0"):
        await service.publish(f"bytes of {version}".encode(), version)
    await service.call("DELETE", "/api/v1/updates/my-app/releases/1.1.0/linux/amd64", key="admin", status=200)
    for number in range(1_200):
        report = {**REPORT, "error_message": f"Fehler {number} \u2713", "report_id": f"r{number}"}
        await service.call("POST", "/api/v1/updates/my-app/status", json=report, status=200)
    await service.exchange("GET", "/api/v1/updates/my-app/download/1.0.0/linux/amd64", status=200)
    await service.services.people.create_user("anna", "staff", "a long enough password", actor=TESTER)
    return (await service.services.access.create_key("ci", "write", actor=TESTER))[1]


async def test_every_table_is_known(tmp_path: Path) -> None:
    """In a process that imports nothing else: a table that is not known stays behind without a word."""
    code = "from updater.database.moving import metadata; print(*(each.name for each in metadata.sorted_tables))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    async with open_database(None, tmp_path) as database, database.read() as connection:
        found = await connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'"))
        there = {name for (name,) in found if not name.startswith("sqlite_")}
    assert there - set(out.decode().split()) == {"alembic_version"}


async def test_everything_goes_along(serve: Serve, postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.create_database()
    async with serve(None) as before:
        key = await fill(before)
        figures = await before.call("GET", FIGURES, key="read", status=200)
    status, out, err = await migrate(tmp_path / "storage", url)
    assert status == 0, err
    moved = json.loads(out)["rows"]
    assert (moved["application"], moved["release"], moved["build"], moved["report"]) == (2, 1, 1, 1_200)
    assert (moved["pinned_digest"], moved["user_account"]) == (4, 1)
    async with serve(url) as after:
        assert await after.call("GET", FIGURES, key="read", status=200) == figures
        assert await after.services.telemetry.download_counts(1) == (1, 1)
        _, body = await after.exchange("GET", "/api/v1/updates/my-app/download/1.0.0/linux/amd64", status=200)
        assert body == b"bytes of 1.0.0"
        # What was ever published stays bound to its bytes, a report sent again counts once, numbers go on.
        path = "/api/v1/updates/my-app/builds/{}/linux/amd64"
        await after.call("PUT", path.format("1.1.0"), key=key, data=b"other bytes", status=409)
        await after.call("PUT", path.format("1.2.0"), key=key, data=b"new", status=201)
        await after.call(
            "POST", "/api/v1/updates/my-app/status", json={**REPORT, "report_id": "r7"}, key="read", status=200
        )
        assert (await after.call("GET", FIGURES, key="read"))["reports"] == figures["reports"]
        await after.services.access.create_key("another", "read", actor=TESTER)
        await after.services.people.create_user("berta", "user", "a long enough password", actor=TESTER)
    status, _, err = await migrate(tmp_path / "storage", url)
    assert status != 0
    assert "holds rows already" in err


async def test_it_is_whole_or_not_at_all(serve: Serve, postgres: Postgres, tmp_path: Path) -> None:
    async with serve(None) as before:
        await fill(before)
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(open_database(None, tmp_path / "storage"))
        target = await stack.enter_async_context(open_database(postgres.create_database(), tmp_path))
        empty = await rows(target)
        halves = move_rows(source, target)
        async for each in halves:
            if each.table == "report":
                break
        await halves.aclose()
        assert await rows(target) == empty
        before_rows = await rows(source)
        assert [each async for each in move_rows(source, target)][-1].done == sum(before_rows.values()) - 1
        assert await rows(target) == before_rows
        with pytest.raises(Conflict):
            await anext(move_rows(source, target))


async def test_what_does_not_fit_is_said(serve: Serve, postgres: Postgres, tmp_path: Path) -> None:
    root = tmp_path / "storage"
    status, _, err = await migrate(root, None)
    assert (status != 0, "storage.database_url is not set" in err) == (True, True)
    url = postgres.create_database()
    status, _, err = await migrate(root, url)
    assert (status != 0, "there is no data folder at" in err) == (True, True)
    async with serve(None):
        status, _, err = await migrate(root, url)
        assert (status != 0, "in use by another process" in err) == (True, True)
