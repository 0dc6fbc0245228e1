"""Changes of one application by two processes at once; each test is red without its lock."""

from __future__ import annotations

from collections.abc import AsyncIterator

from tests.database.races.conftest import (
    FILE,
    LAST,
    LINUX,
    WINDOWS,
    Process,
    Processes,
    draft,
)
from tests.database.races.interleaving import Interleaving
from updater.catalog.model import Build
from updater.catalog.retention import RetentionPolicy
from updater.catalog.versions import parse_version
from updater.errors import NotFound


async def targets(process: Process, version: str) -> set[str]:
    found = [await process.catalog._store.find_build("my-app", version, each) for each in (LINUX, WINDOWS)]
    return {each.target.platform for each in found if each is not None}


async def test_two_changes_of_an_application_are_both_kept(processes: Processes, meet: Interleaving) -> None:
    one, two = (each.catalog for each in processes)
    await meet.run(
        one.update_application("my-app", {"config": {"min_version": "1.0.0"}}),
        before="UPDATE application",
        second=two.update_application("my-app", {"config": {"max_version": "9.0.0"}}),
    )
    await one.load()
    config = one.get_application("my-app").config
    assert (config["min_version"], config["max_version"]) == ("1.0.0", "9.0.0")


async def test_a_build_is_published_while_its_sibling_is_deleted(processes: Processes, meet: Interleaving) -> None:
    one, two = (each.catalog for each in processes)
    version = parse_version("1.0.0")
    await one.register_build("my-app", draft("1.0.0"), FILE)
    _, deleted = await meet.run(
        one.register_build("my-app", draft("1.0.0", WINDOWS), FILE),
        before="INSERT INTO build",
        second=two.delete_build("my-app", version, LINUX),
    )
    assert not isinstance(deleted, BaseException)
    assert await targets(processes[0], "1.0.0") == {"windows"}


async def test_a_sibling_is_deleted_while_a_build_is_published(processes: Processes, meet: Interleaving) -> None:
    one, two = (each.catalog for each in processes)
    await one.register_build("my-app", draft("1.0.0"), FILE)
    outcomes = await meet.run(
        one.register_build("my-app", draft("1.0.0", WINDOWS), FILE),
        before=LAST,
        second=two.delete_build("my-app", parse_version("1.0.0"), LINUX),
    )
    assert not any(isinstance(each, BaseException) for each in outcomes)
    assert await targets(processes[0], "1.0.0") == {"windows"}


async def test_retention_spares_what_is_published_while_it_decides(processes: Processes, meet: Interleaving) -> None:
    """The only build for Windows is one that clients can be offered, so its release has to stay."""
    one, two = (each.catalog for each in processes)
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await one.register_build("my-app", draft(version), FILE)
    removed, made = await meet.run(
        one.retire("my-app", RetentionPolicy(keep_releases=1)),
        before="DELETE FROM release",
        second=two.register_build("my-app", draft("2.0.0", WINDOWS), FILE),
    )
    assert removed == ["1.0.0", "2.0.0"]
    assert made.target == WINDOWS
    assert await targets(processes[0], "2.0.0") == {"windows"}


async def test_an_application_that_is_being_deleted_takes_no_build(processes: Processes, meet: Interleaving) -> None:
    one, two = (each.catalog for each in processes)
    _, refused = await meet.run(
        one.delete_application("my-app"),
        before=LAST,
        second=two.register_build("my-app", draft("1.0.0"), FILE),
    )
    assert isinstance(refused, NotFound)


async def publish(process: Process, content: bytes, version: str) -> Build:
    async def once() -> AsyncIterator[bytes]:
        yield content

    async with process.artifacts.receive(once()) as staged:
        return await process.catalog.publish_build("my-app", draft(version), staged)


async def collect(process: Process) -> list[str]:
    return [digest async for digest in process.artifacts.collect(grace_s=-60)]


async def held_bytes(process: Process, build: Build) -> bytes:
    assert build.digest is not None
    return b"".join([piece async for piece in process.artifacts.blobs.read(build.digest)])


async def test_bytes_that_are_being_published_are_not_collected(processes: Processes, meet: Interleaving) -> None:
    """They lie there unused from an earlier build, and are published again."""
    one, two = processes
    earlier = await publish(one, b"bytes", "1.0.0")
    await one.catalog.delete_build("my-app", earlier.version, LINUX)
    build, removed = await meet.run(publish(one, b"bytes", "1.1.0"), before="INSERT INTO build", second=collect(two))
    assert removed == []
    assert await held_bytes(one, build) == b"bytes"


async def test_bytes_that_are_being_collected_are_published_anew(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    earlier = await publish(one, b"bytes", "1.0.0")
    await one.catalog.delete_build("my-app", earlier.version, LINUX)
    removed, build = await meet.run(collect(one), before="DELETE FROM blob", second=publish(two, b"bytes", "1.1.0"))
    assert removed == [build.digest]
    assert await held_bytes(two, build) == b"bytes"
