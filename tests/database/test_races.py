"""Where transactions of several processes meet on one PostgreSQL, stepped so that each test is red without its lock."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text

from tests.database.interleaving import Interleaving, pauses
from tests.servers.postgres import Postgres
from updater.artifacts.local import LocalBlobStore
from updater.artifacts.service import ArtifactService
from updater.artifacts.store import ArtifactStore
from updater.catalog.model import Checksum, Draft, ExternalFile
from updater.catalog.platforms import Target
from updater.catalog.retention import RetentionPolicy
from updater.catalog.service import CatalogService
from updater.catalog.store import CatalogStore
from updater.catalog.versions import parse_version
from updater.database.engine import Database
from updater.database.opening import open_database
from updater.database.tables import report as reports
from updater.errors import NotFound
from updater.telemetry.model import Download, Report
from updater.telemetry.rollup_store import RollupStore
from updater.telemetry.rollups import KEPT_LABELS, OTHER, SLACK_LABELS, Key, Measure, Place
from updater.telemetry.spans import Span, Window
from updater.telemetry.store import TelemetryStore

LINUX, WINDOWS = Target("linux", "amd64"), Target("windows", "amd64")
FILE = ExternalFile("https://example.com/x", Checksum("sha256", "0" * 64), 1)
NOW = datetime(2026, 5, 1, tzinfo=UTC)
# The last statement of a transaction that others hear of.
LAST = "UPDATE revision"


@dataclass
class Process:
    """What one process has of its own."""

    database: Database
    catalog: CatalogService
    artifacts: ArtifactService
    telemetry: TelemetryStore


Processes = tuple[Process, Process]


@pytest.fixture
async def url(postgres: Postgres) -> str:
    return postgres.create_database()


@pytest.fixture
async def processes(url: str, tmp_path: Path) -> AsyncIterator[Processes]:
    """Two processes that know an application."""
    async with AsyncExitStack() as stack:
        both = []
        for _ in range(2):
            database = await stack.enter_async_context(open_database(url, tmp_path))
            store = ArtifactStore(database)
            blobs = LocalBlobStore(tmp_path)
            stack.callback(blobs.close)
            catalog = CatalogService(CatalogStore(database), store, database, clock=lambda: NOW)
            artifacts = ArtifactService(blobs, store, database, max_bytes=1000)
            both.append(Process(database, catalog, artifacts, TelemetryStore(database)))
        await both[0].catalog.create_application("my-app", name="", platforms=("linux", "windows"), extra={})
        for each in both:
            await each.catalog.load()
        yield both[0], both[1]


@pytest.fixture
def meet(url: str) -> Iterator[Interleaving]:
    with pauses():
        yield Interleaving(url)


def draft(version: str, target: Target = LINUX) -> Draft:
    return Draft(parse_version(version), target)


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


def report(target_version: str = "2.0.0", **more: object) -> Report:
    return Report("my-app", "1.0.0", target_version, "linux", "amd64", "completed", NOW, **more)  # type: ignore[arg-type]


async def installs(process: Process) -> dict[str, int]:
    window = Window(NOW - timedelta(days=30), NOW + timedelta(days=40), Span.MONTH)
    return (await process.telemetry.totals("my-app", window)).get(Measure.INSTALL, {})


async def test_reports_are_taken_while_a_build_is_published(processes: Processes, meet: Interleaving) -> None:
    """Its bytes may be on their way within an object store for a while."""
    one, two = processes
    await meet.run(
        one.catalog.register_build("my-app", draft("1.0.0"), FILE),
        before="INSERT INTO build",
        second=two.telemetry.write([report()]),
    )
    assert not meet.waited


async def test_a_report_for_an_application_that_is_being_deleted_is_left_out(
    processes: Processes, meet: Interleaving
) -> None:
    one, two = processes
    assert await meet.run(
        one.catalog.delete_application("my-app"), before=LAST, second=two.telemetry.write([report()])
    ) == [None, None]


@pytest.mark.parametrize("gone", ["application", "build"])
async def test_what_is_deleted_while_its_downloads_are_counted(
    processes: Processes, meet: Interleaving, gone: str
) -> None:
    one, two = processes
    build = await one.catalog.register_build("my-app", draft("1.0.0"), FILE)
    deleting = {
        "application": two.catalog.delete_application("my-app"),
        "build": two.catalog.delete_build("my-app", build.version, LINUX),
    }
    second = deleting.pop(gone)
    for each in deleting.values():
        each.close()
    download = Download(build.id, True, True, NOW)
    outcomes = await meet.run(one.telemetry.write([download]), before="INSERT INTO rollup", second=second)
    assert not any(isinstance(each, BaseException) for each in outcomes)


@pytest.mark.parametrize("gone", ["application", "build"])
async def test_downloads_of_what_is_being_deleted_are_left_out(
    processes: Processes, meet: Interleaving, gone: str
) -> None:
    one, two = processes
    build = await one.catalog.register_build("my-app", draft("1.0.0"), FILE)
    download = Download(build.id, True, True, NOW)
    deleting = {
        "application": one.catalog.delete_application("my-app"),
        "build": one.catalog.delete_build("my-app", build.version, LINUX),
    }
    first = deleting.pop(gone)
    for each in deleting.values():
        each.close()
    outcomes = await meet.run(first, before=LAST, second=two.telemetry.write([download, report()]))
    assert not any(isinstance(each, BaseException) for each in outcomes)


MONTH = Place("my-app", Span.MONTH, Measure.INSTALL, NOW)
MANY = [f"0.{number}.0" for number in range(KEPT_LABELS[Measure.INSTALL] + SLACK_LABELS + 1)]


async def count(process: Process, *labels: str) -> None:
    """Add one to each label of a place, without cutting back."""
    async with process.database.write() as connection:
        await RollupStore(process.database).add(connection, {Key(*MONTH, label): 1 for label in labels})


def cut_back(process: Process) -> Coroutine[Any, Any, None]:
    return RollupStore(process.database).bound({Key(*MONTH, MANY[0]): 1})


async def test_what_is_counted_while_counts_are_cut_back_is_not_lost(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await count(one, *MANY)
    assert await meet.run(cut_back(one), before="DELETE FROM rollup", second=count(two, *MANY)) == [None, None]
    assert sum((await installs(one)).values()) == 2 * len(MANY)


async def test_two_that_cut_back_at_once_keep_every_count(processes: Processes, meet: Interleaving) -> None:
    one, two = processes
    await count(one, *MANY)

    async def more() -> None:
        await count(two, *(f"1.{number}.0" for number in range(len(MANY))))
        await cut_back(two)

    assert await meet.run(cut_back(one), before="DELETE FROM rollup", second=more()) == [None, None]
    found = await installs(one)
    assert sum(found.values()) == 2 * len(MANY)
    assert len(found) <= KEPT_LABELS[Measure.INSTALL] + SLACK_LABELS + 1
    assert found[OTHER] > 0


async def test_a_writer_and_who_cuts_back_do_not_wait_for_each_other(processes: Processes, meet: Interleaving) -> None:
    """Both add to the sum of all reports: a cut-back that still held it would wait for the writer that waits for it."""
    one, two = (each.telemetry for each in processes)
    await two.write([report("0.0.0")])
    many = [report(label) for label in MANY]
    again = two.write([report("0.0.0")])
    assert await meet.run(one.write(many), before="SELECT rollup.label", second=again) == [None, None]
    assert not meet.waited


@pytest.mark.parametrize("labels", [(MANY[0], OTHER), (OTHER, "x")])
async def test_cutting_back_waits_with_nothing_in_its_hands(
    processes: Processes, meet: Interleaving, labels: tuple[str, str]
) -> None:
    """A writer has added to one count, and is about to add to a later one."""
    one, two = processes
    await count(one, *MANY, OTHER, "x")

    async def write() -> None:
        async with one.database.write() as connection:
            rollups = RollupStore(one.database)
            await rollups.add(connection, {Key(*MONTH, labels[0]): 1})
            await connection.execute(text("SELECT 'half'"))
            await rollups.add(connection, {Key(*MONTH, labels[1]): 1})

    assert await meet.run(write(), before="SELECT 'half'", second=cut_back(two)) == [None, None]
    found = await installs(one)
    assert sum(found.values()) == len(MANY) + 4
    assert len(found) < len(MANY)


@pytest.mark.parametrize("what", ["counts", "reports"])
async def test_two_writers_of_the_same_rows_never_wait_in_a_circle(
    processes: Processes, meet: Interleaving, what: str
) -> None:
    """One has `a` and waits for `m`, the other begins with `z`: it must wait for `a` before it has anything."""
    one, two = (each.telemetry for each in processes)
    keys = [Key("my-app", Span.DAY, Measure.INSTALL, NOW, label) for label in "amz"]

    async def write(store: TelemetryStore, order: str) -> None:
        if what == "reports":
            await store.write([report(report_id=name) for name in order])
            return
        async with processes[order == "za"].database.write() as connection:
            await RollupStore(processes[0].database).add(
                connection, {key: 1 for label in order for key in keys if key.label == label}
            )

    async with processes[0].database.write() as connection:
        if what == "reports":
            await connection.execute(insert(reports).values(**dataclasses.asdict(report(report_id="m"))))
        else:
            await RollupStore(processes[0].database).add(connection, {keys[1]: 1})
        first = asyncio.create_task(write(one, "zma" if what == "reports" else "amz"))
        assert await meet.wait_for_lock(first)
        second = asyncio.create_task(write(two, "az" if what == "reports" else "za"))
        assert await meet.wait_for_lock(first, second)
    assert await asyncio.gather(first, second, return_exceptions=True) == [None, None]
