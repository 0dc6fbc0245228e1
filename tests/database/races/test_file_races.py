"""Files and drafts by two processes at once; each test is red without its lock or its order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

from tests.actors import TESTER
from tests.builds import LINUX, companions_of, drafts_of
from tests.database.races.conftest import LAST, Process, Processes
from tests.database.races.interleaving import Interleaving
from tests.rollouts_of import changes_of
from updater.catalog.companions import FiledUnder
from updater.catalog.drafts import PublishedRelease
from updater.catalog.file_store import FileStore
from updater.catalog.model import BuildFile, ReleaseStatus
from updater.catalog.requests import FileRequest, PublishRequest, ReceivedFile
from updater.errors import Conflict


async def receive(stack: AsyncExitStack, process: Process, content: bytes, name: str) -> ReceivedFile:
    async def once() -> AsyncIterator[bytes]:
        yield content

    return ReceivedFile(await stack.enter_async_context(process.artifacts.receive(once())), name)


async def upload(process: Process, *contents: bytes, application_id: str = "my-app", **said: Any) -> None:
    """Publish a build with companions, in the order in which they are given."""
    async with AsyncExitStack() as stack:
        file, *others = [
            await receive(stack, process, content, f"{number}.bin") for number, content in enumerate(contents)
        ]
        request = PublishRequest(application_id, said.pop("version", "1.0.0"), LINUX, **said)
        await process.publishing.publish(request, file, TESTER, others)


async def add(process: Process, name: str, content: bytes = b"a companion") -> FiledUnder:
    async with AsyncExitStack() as stack:
        file = await receive(stack, process, content, name)
        request = FileRequest("my-app", "1.0.0", LINUX, name)
        return await companions_of(process.database, process.artifacts.blobs).add(request, file, TESTER)


async def publish(process: Process) -> PublishedRelease:
    drafts = drafts_of(process.database, changes_of(process.database).open_rollout)
    return await drafts.publish("my-app", "1.0.0", actor=TESTER)


async def files_of(process: Process) -> list[BuildFile]:
    async with process.database.read() as connection:
        listed = await FileStore().list_files(connection, range(1, 100))
    return [each for files in listed.values() for each in files]


async def test_publishers_of_the_same_bytes_in_other_orders_do_not_wait_for_each_other(processes: Processes) -> None:
    """Claimed in the order of the uploads, the rows of the two blobs would be locked crosswise."""
    one, two = processes
    await one.catalog.create_application("other", name="x", platforms=("linux",), extra={}, actor=TESTER)
    for number in range(12):
        version, first, second = f"1.0.{number}", b"first" * (number + 1), b"second" * (number + 1)
        await asyncio.gather(
            upload(one, first, second, version=version),
            upload(two, second, first, version=version, application_id="other"),
        )


async def test_a_companion_of_a_draft_that_is_being_published(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await upload(one, b"primary", draft=True)
    published, filed = await meet.run(publish(one), before=LAST, second=add(two, "late.bin"))
    assert published.release.status is ReleaseStatus.ACTIVE
    assert filed.build.status is ReleaseStatus.ACTIVE, "it waited, and found a live release"
    refused = (await asyncio.gather(add(one, "late.bin", b"other bytes"), return_exceptions=True))[0]
    assert isinstance(refused, Conflict)


async def test_a_draft_that_is_published_while_a_companion_comes_in(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await upload(one, b"primary", draft=True)
    filed, published = await meet.run(add(one, "early.bin"), before=LAST, second=publish(two))
    assert filed.build.status is ReleaseStatus.DRAFT
    assert [each.name for files in published.files.values() for each in files] == ["0.bin", "early.bin"]
    refused = (await asyncio.gather(add(one, "early.bin", b"other bytes"), return_exceptions=True))[0]
    assert isinstance(refused, Conflict), "its name was bound by publishing"


async def test_two_companions_of_one_name(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await upload(one, b"primary")
    filed, refused = await meet.run(add(one, "a.bin"), before=LAST, second=add(two, "A.bin", b"other bytes"))
    assert filed.is_new
    assert isinstance(refused, Conflict)
    assert [each.name for each in await files_of(one)] == ["0.bin", "a.bin"]


async def test_a_draft_is_published_once(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await upload(one, b"primary", draft=True)
    first, second = await meet.run(publish(one), before=LAST, second=publish(two))
    assert first.release.published_at == second.release.published_at
