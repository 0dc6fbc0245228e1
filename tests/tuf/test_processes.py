"""Several processes on one database: what one publishes, the others serve, though they keep metadata in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.actors import TESTER
from tests.conftest import settings_tree
from tests.servers.postgres import Postgres
from tests.tuf.developer import Developer
from updater.composition import open_services
from updater.config import load
from updater.errors import NotFound
from updater.services import Services


async def files_of(files: dict[str, bytes]) -> AsyncIterator[tuple[str, bytes]]:
    for each in files.items():
        yield each


@asynccontextmanager
async def two_processes(postgres: Postgres, root: Path) -> AsyncIterator[tuple[Services, Services]]:
    url = postgres.create_database()
    async with AsyncExitStack() as stack:
        settings = load(None, settings_tree(root, storage={"database_url": url}))
        first = await stack.enter_async_context(open_services(settings))
        second = await stack.enter_async_context(open_services(settings))
        yield first, second
    postgres.take_back(url)


async def test_what_one_publishes_the_others_serve(postgres: Postgres, tmp_path: Path) -> None:
    async with two_processes(postgres, tmp_path / "storage") as (one, other):
        await one.catalog.create_application("my-app", name="x", platforms=("linux",), extra={}, actor=TESTER)
        developer = Developer()
        for number in range(3):
            # The end of the roots is remembered, too.
            with pytest.raises(NotFound):
                await other.tuf.get_metadata("my-app", "stable", f"{number + 1}.root.json")
            if number:
                developer.rotate_root()
                developer.do_timestamp(force=True)
            await one.tuf_publishing.publish("my-app", "stable", files_of(developer.taken()), TESTER)
            async with asyncio.timeout(2):
                while True:
                    try:
                        served = await other.tuf.get_metadata("my-app", "stable", f"{number + 1}.root.json")
                        break
                    except NotFound:
                        await asyncio.sleep(0.01)
            assert served.body == developer.files[f"{number + 1}.root.json"]
            timestamp = await other.tuf.get_metadata("my-app", "stable", "timestamp.json")
            assert timestamp.body == developer.files["timestamp.json"]
            assert {each.role for each in other.tuf.expiries()} == {"root", "timestamp", "snapshot", "targets"}
        await one.catalog.delete_application("my-app", actor=TESTER)
        async with asyncio.timeout(2):
            while other.tuf.expiries():
                await asyncio.sleep(0.01)
        with pytest.raises(NotFound):
            await other.tuf.get_metadata("my-app", "stable", "timestamp.json")


async def test_two_processes_publish_at_once(postgres: Postgres, tmp_path: Path) -> None:
    """Both have version 2 of the root: one is published, the other is refused."""
    async with two_processes(postgres, tmp_path / "storage") as processes:
        await processes[0].catalog.create_application("my-app", name="x", platforms=("linux",), extra={}, actor=TESTER)
        sets = [
            {
                f"{number}.root.json": f'{{"signed":{{"_type":"root","version":{number},"x":"{who}"}}}}'.encode()
                for number in range(1, 30)
            }
            for who in "ab"
        ]
        done = await asyncio.gather(
            *(
                process.tuf_publishing.publish("my-app", "stable", files_of(files), TESTER)
                for process, files in zip(processes, sets, strict=True)
            ),
            return_exceptions=True,
        )
        kinds = [type(each).__name__ for each in done]
        assert sorted(kinds) == ["Conflict", "list"]
        winner = sets[kinds.index("list")]
        for process in processes:
            for name, body in winner.items():
                assert (await process.tuf.get_metadata("my-app", "stable", name)).body == body
