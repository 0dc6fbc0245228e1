"""Reports and counts, while others count the same, cut back, publish or delete; each test is red without its lock."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text, update

from tests.actors import TESTER
from tests.builds import LINUX, register
from tests.database.races.conftest import LAST, NOW, Process, Processes, report
from tests.database.races.interleaving import Interleaving
from updater.access.keys import ApiKey
from updater.access.principals import Permission
from updater.database.tables import api_key, rollup
from updater.database.tables import report as reports
from updater.telemetry.model import Download
from updater.telemetry.rollup_store import RollupStore
from updater.telemetry.rollups import KEPT_LABELS, OTHER, SLACK_LABELS, Key, Measure, RollupSeries
from updater.telemetry.spans import Span, Window
from updater.telemetry.store import row_of


async def installs(process: Process) -> dict[str, int]:
    window = Window(NOW - timedelta(days=30), NOW + timedelta(days=40), Span.MONTH)
    return (await process.telemetry.totals("my-app", window)).get(Measure.INSTALL, {})


async def test_reports_are_taken_while_a_build_is_published(processes: Processes, meet: Interleaving) -> None:
    """Its bytes may be on their way within an object store for a while."""
    one, two = processes
    await meet.run(
        register(one.publishing, "1.0.0"),
        before="INSERT INTO build",
        second=two.telemetry.write([report()]),
    )
    assert not meet.waited


async def test_a_report_for_an_application_that_is_being_deleted_is_left_out(
    processes: Processes, meet: Interleaving
) -> None:
    one, two = processes
    assert await meet.run(
        one.catalog.delete_application("my-app", actor=TESTER), before=LAST, second=two.telemetry.write([report()])
    ) == [None, None]


@pytest.mark.parametrize("gone", ["application", "build"])
async def test_what_is_deleted_while_its_downloads_are_counted(
    processes: Processes, meet: Interleaving, gone: str
) -> None:
    one, two = processes
    build = await register(one.publishing, "1.0.0")
    deleting = {
        "application": two.catalog.delete_application("my-app", actor=TESTER),
        "build": two.catalog.delete_build("my-app", build.version.text, LINUX, actor=TESTER),
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
    build = await register(one.publishing, "1.0.0")
    download = Download(build.id, True, True, NOW)
    deleting = {
        "application": one.catalog.delete_application("my-app", actor=TESTER),
        "build": one.catalog.delete_build("my-app", build.version.text, LINUX, actor=TESTER),
    }
    first = deleting.pop(gone)
    for each in deleting.values():
        each.close()
    outcomes = await meet.run(first, before=LAST, second=two.telemetry.write([download, report()]))
    assert not any(isinstance(each, BaseException) for each in outcomes)


MONTH = RollupSeries("my-app", Span.MONTH, Measure.INSTALL, NOW)
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


@pytest.mark.parametrize("what", ["counts", "reports", "keys"])
async def test_two_writers_of_the_same_rows_never_wait_in_a_circle(
    processes: Processes, meet: Interleaving, what: str
) -> None:
    """One has `a` and waits for `m`, the other begins with `z`: it must wait for `a` before it has anything."""
    keys = {label: Key("my-app", Span.DAY, Measure.INSTALL, NOW, label) for label in "amz"}
    for label in "amz" if what == "keys" else "":
        async with processes[0].database.write() as connection:
            await processes[0].keys.insert_key(connection, ApiKey(None, label, label, Permission.READ, None, NOW, None))

    async def write(process: Process, order: str) -> None:
        if what == "reports":  # written from the last to the first
            await process.telemetry.write([report(report_id=name) for name in reversed(order)])
        elif what == "keys":
            await process.keys.note_used(dict.fromkeys(order, NOW))
        else:
            async with process.database.write() as connection:
                await RollupStore(process.database).add(connection, {keys[label]: 1 for label in order})

    if what != "keys":
        await write(processes[0], "m")
    held = {
        "counts": update(rollup).where(rollup.c.label == "m").values(amount=2),
        "reports": insert(reports).values(**row_of(report(report_id="n"))),
        "keys": update(api_key).where(api_key.c.digest == "m").values(name="m"),
    }
    middle = "n" if what == "reports" else "m"
    async with processes[0].database.write() as connection:
        await connection.execute(held[what])
        first = asyncio.create_task(write(processes[0], f"a{middle}z"))
        assert await meet.wait_for_lock(first)
        second = asyncio.create_task(write(processes[1], "za"))
        assert await meet.wait_for_lock(first, second)
    assert await asyncio.gather(first, second, return_exceptions=True) == [None, None]
