"""Changes of one application by two processes at once; each test is red without its lock."""

from __future__ import annotations

from tests.actors import TESTER
from tests.builds import LINUX, digest_of, publish_bytes, register
from tests.database.races.conftest import LAST, WINDOWS, Process, Processes
from tests.database.races.interleaving import Interleaving
from updater.catalog.model import Build
from updater.catalog.retention import RetentionPolicy
from updater.catalog.versions import parse_version
from updater.errors import NotFound


async def targets(process: Process, version: str) -> set[str]:
    found = [
        await process.catalog._store.find_build("my-app", parse_version(version), each) for each in (LINUX, WINDOWS)
    ]
    return {each.target.platform for each in found if each is not None}


async def test_two_changes_of_an_application_are_both_kept(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await meet.run(
        one.catalog.update_application("my-app", {"config": {"min_version": "1.0.0"}}, actor=TESTER),
        before="UPDATE application",
        second=two.catalog.update_application("my-app", {"config": {"max_version": "9.0.0"}}, actor=TESTER),
    )
    await one.offers.load()
    config = one.offers.get_application("my-app").config
    assert (config["min_version"], config["max_version"]) == ("1.0.0", "9.0.0")


async def test_a_build_is_published_while_its_sibling_is_deleted(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await register(one.publishing, "1.0.0")
    _, deleted = await meet.run(
        register(one.publishing, "1.0.0", WINDOWS),
        before="INSERT INTO build",
        second=two.catalog.delete_build("my-app", "1.0.0", LINUX, actor=TESTER),
    )
    assert not isinstance(deleted, BaseException)
    assert await targets(processes[0], "1.0.0") == {"windows"}


async def test_a_sibling_is_deleted_while_a_build_is_published(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await register(one.publishing, "1.0.0")
    outcomes = await meet.run(
        register(one.publishing, "1.0.0", WINDOWS),
        before=LAST,
        second=two.catalog.delete_build("my-app", "1.0.0", LINUX, actor=TESTER),
    )
    assert not any(isinstance(each, BaseException) for each in outcomes)
    assert await targets(processes[0], "1.0.0") == {"windows"}


async def test_retention_spares_what_is_published_while_it_decides(processes: Processes, meet: Interleaving) -> None:
    """The only build for Windows is one that clients can be offered, so its release has to stay."""
    one, two = processes
    for version in ("1.0.0", "2.0.0", "3.0.0"):
        await register(one.publishing, version)
    removed, made = await meet.run(
        one.catalog.retire("my-app", RetentionPolicy(keep_releases=1), one.offers.still_offered, actor=TESTER),
        before="DELETE FROM release",
        second=register(two.publishing, "2.0.0", WINDOWS),
    )
    assert removed == ["1.0.0", "2.0.0"]
    assert made.target == WINDOWS
    assert await targets(processes[0], "2.0.0") == {"windows"}


async def test_an_application_that_is_being_deleted_takes_no_build(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    _, refused = await meet.run(
        one.catalog.delete_application("my-app", actor=TESTER),
        before=LAST,
        second=register(two.publishing, "1.0.0"),
    )
    assert isinstance(refused, NotFound)


async def publish(process: Process, content: bytes, version: str) -> Build:
    return await publish_bytes(process.publishing, process.artifacts, content, version)


async def collect(process: Process) -> list[str]:
    return [digest async for digest in process.artifacts.collect(actor=TESTER, grace_s=-60)]


async def held_bytes(process: Process, build: Build) -> bytes:
    return b"".join([piece async for piece in process.artifacts.blobs.read(digest_of(build))])


async def test_bytes_that_are_being_published_are_not_collected(processes: Processes, meet: Interleaving) -> None:
    """They lie there unused from an earlier build, and are published again."""
    one, two = processes
    earlier = await publish(one, b"bytes", "1.0.0")
    await one.catalog.delete_build("my-app", earlier.version.text, LINUX, actor=TESTER)
    build, removed = await meet.run(publish(one, b"bytes", "1.1.0"), before="INSERT INTO build", second=collect(two))
    assert removed == []
    assert await held_bytes(one, build) == b"bytes"


async def test_bytes_that_are_being_collected_are_published_anew(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    earlier = await publish(one, b"bytes", "1.0.0")
    await one.catalog.delete_build("my-app", earlier.version.text, LINUX, actor=TESTER)
    removed, build = await meet.run(collect(one), before="DELETE FROM blob", second=publish(two, b"bytes", "1.1.0"))
    assert removed == [digest_of(build)]
    assert await held_bytes(two, build) == b"bytes"
