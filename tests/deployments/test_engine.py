"""Apply and roll back on a real site: real git, a real service that is really restarted."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from tests.actors import TESTER
from tests.deployments.conftest import OpenService, finish
from tests.deployments.site import Site, git
from updater.deployments.model import LogLevel, Outcome, StepStatus, UpdateStatus
from updater.deployments.service import BUSY
from updater.errors import Conflict, Invalid, NotFound, Unavailable


async def test_check_apply_and_roll_back(site: Site, open_service: OpenService) -> None:
    service = await open_service()
    assert (await service.check(actor=TESTER)).commits == ()
    site.push("two", "Second")
    head = site.push("three", "Third")
    found = await service.check(actor=TESTER)
    assert (found.current, found.latest, found.has_update) == (site.first, head, True)
    assert [each.message for each in found.commits] == ["Third", "Second"]
    (update,) = await service.list_updates()
    assert (update.version, update.title, update.status) == (head[:12], "Third", UpdateStatus.PENDING)
    assert update.description == "Third\nSecond"

    state = await finish(service, await service.apply(actor=TESTER))
    assert state.outcome is Outcome.SUCCEEDED
    assert [(each.name, each.status) for each in state.steps] == [
        (name, StepStatus.COMPLETED) for name in ("git_fetch", "git_pull", "dependencies", "restart", "health")
    ]
    assert (site.serving(), site.head()) == ("three", head)
    (update,) = await service.list_updates()
    assert (update.status, update.previous_commit) == (UpdateStatus.COMPLETED, site.first)
    assert update.applied_at is not None
    page = await service.list_update_logs(update.id)
    assert page.logs[0].message == f"done: {head} is in place"
    assert page.total_count == len(page.logs)

    state = await finish(service, await service.rollback(actor=TESTER))
    assert state.outcome is Outcome.SUCCEEDED
    assert (site.serving(), site.head(), site.clean()) == ("one", site.first, True)
    (update,) = await service.list_updates()
    assert (update.status, update.applied_at) == (UpdateStatus.PENDING, None)

    await finish(service, await service.apply(update_id=update.id, actor=TESTER))
    assert site.serving() == "three"


async def test_a_version_that_is_sick_is_taken_back(site: Site, open_service: OpenService) -> None:
    service = await open_service()
    site.push("sick", added="new file")
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, state.failed_step) == (Outcome.RESTORED, "health")
    assert [each.name for each in state.recovery] == ["git_reset", "dependencies", "restart", "health"]
    assert (site.serving(), site.head(), site.clean()) == ("one", site.first, True)
    (update,) = await service.list_updates()
    assert update.status is UpdateStatus.FAILED
    errors = await service.list_update_logs(update.id, level=LogLevel.ERROR)
    assert "answers 500" in errors.logs[0].message
    with pytest.raises(Conflict, match="it cannot be applied"):
        await service.apply(update_id=update.id, actor=TESTER)
    site.push("four")
    await finish(service, await service.apply(actor=TESTER))
    assert site.serving() == "four"


async def test_a_second_run_is_refused_while_one_is_on(site: Site, open_service: OpenService) -> None:
    service = await open_service(steps=[{"name": "slow", "command": ["sleep", "1"]}])
    site.push("two")
    outcomes = await asyncio.gather(*(service.apply(actor=TESTER) for _ in range(4)), return_exceptions=True)
    runs = [each for each in outcomes if isinstance(each, str)]
    assert len(runs) == 1
    assert {str(each) for each in outcomes if not isinstance(each, str)} == {"Another update is in progress"}
    with pytest.raises(Conflict, match="Another update is in progress"):
        await service.apply(actor=TESTER)
    assert (await service.status()).running == runs[0]
    await finish(service, runs[0])
    assert (await service.status()).running is None
    assert site.serving() == "two"


async def test_busy_puts_it_off(site: Site, open_service: OpenService) -> None:
    flag = site.folder / "busy"
    service = await open_service(busy=[{"command": ["test", "-e", str(flag)]}])
    site.push("two")
    flag.touch()
    with pytest.raises(Conflict) as caught:
        await service.apply(actor=TESTER)
    assert caught.value.message == BUSY
    flag.unlink()
    await finish(service, await service.apply(actor=TESTER))
    assert site.serving() == "two"


async def test_a_probe_nobody_can_ask_refuses(site: Site, open_service: OpenService) -> None:
    service = await open_service(busy=[{"command": ["/does/not/exist"]}])
    with pytest.raises(Unavailable, match="not known whether work is in progress"):
        await service.apply(actor=TESTER)
    assert site.serving() == "one"


async def test_events_come_live_and_in_order(site: Site, open_service: OpenService) -> None:
    service = await open_service(
        steps=[{"name": "talk", "command": ["sh", "-c", "echo first; sleep 1; echo $PATH_OF_SECRETS second"]}]
    )
    site.push("two")
    run = await service.apply(actor=TESTER)
    loop = asyncio.get_running_loop()
    seen = [(event, loop.time()) async for event in service.runs.follow(run)]
    assert [event.number for event, _ in seen] == list(range(1, len(seen) + 1))
    times = {event.data.get("message"): at for event, at in seen if event.kind == "log"}
    assert times["second"] - times["first"] > 0.5
    assert seen[-1][0].kind == "end"
    assert seen[-1][0].data["outcome"] == "succeeded"
    half = len(seen) // 2
    again = [event async for event in service.runs.follow(run, after=half)]
    assert again == [event for event, _ in itertools.islice(seen, half, None)]
    await finish(service, run)


async def test_announced_versions(site: Site, open_service: OpenService) -> None:
    service = await open_service()
    two = site.push("two")
    git(site.work, "tag", "v2")
    git(site.work, "push", "--quiet", "origin", "v2")
    site.push("three")
    by_tag = await service.announce(version="2.0.0", ref="v2", irreversible=True, actor=TESTER)
    by_head = await service.announce("web", version="3.0.0", title="Third", description="All new", actor=TESTER)
    with pytest.raises(Conflict, match="announced already"):
        await service.announce(version="2.0.0", actor=TESTER)
    assert await service.check(actor=TESTER)
    assert [each.id for each in await service.list_updates()] == [by_head.id, by_tag.id]

    await finish(service, await service.apply(update_id=by_tag.id, actor=TESTER))
    assert (site.serving(), site.head()) == ("two", two)
    with pytest.raises(Conflict, match="cannot be rolled back"):
        await service.rollback(update_id=by_tag.id, actor=TESTER)
    await finish(service, await service.apply(actor=TESTER))
    assert site.serving() == "three"
    assert (await service.get_update(by_head.id)).status is UpdateStatus.COMPLETED
    with pytest.raises(Conflict, match="Only the newest"):
        await service.rollback(update_id=by_tag.id, actor=TESTER)
    await finish(service, await service.rollback(update_id=by_head.id, actor=TESTER))
    assert site.serving() == "two"


async def test_versions_passed_over_are_completed_and_come_back(site: Site, open_service: OpenService) -> None:
    service = await open_service()
    site.push("two")
    await service.check(actor=TESTER)
    site.push("three")
    await service.check(actor=TESTER)
    newer, older = await service.list_updates()
    await finish(service, await service.apply(update_id=newer.id, actor=TESTER))
    assert [each.status for each in await service.list_updates()] == [UpdateStatus.COMPLETED] * 2
    await finish(service, await service.rollback(update_id=newer.id, actor=TESTER))
    assert [each.status for each in await service.list_updates()] == [UpdateStatus.PENDING] * 2
    await finish(service, await service.apply(update_id=older.id, actor=TESTER))
    assert site.serving() == "two"


async def test_up_to_date_repeats_the_steps_and_the_restart(site: Site, open_service: OpenService) -> None:
    service = await open_service()
    before = site.pid_file.read_text()
    state = await finish(service, await service.apply(actor=TESTER))
    assert (state.outcome, state.from_commit) == (Outcome.SUCCEEDED, state.to_commit)
    assert site.pid_file.read_text() != before
    assert await service.list_updates() == []
    assert (await service.list_logs(limit=1)).logs[0].message == f"done: {site.first} is in place"
    with pytest.raises(Conflict, match="no applied update"):
        await service.rollback(actor=TESTER)


async def test_unknown_things(site: Site, open_service: OpenService) -> None:
    service = await open_service()
    for call in (
        service.apply("other", actor=TESTER),
        service.apply(update_id=7, actor=TESTER),
        service.check("other", actor=TESTER),
        service.get_update(7),
    ):
        with pytest.raises(NotFound):
            await call
    for ref in ("--upload-pack=touch x", "a..b", "@{-1}", "a b", "x\n", "ext::sh"):
        with pytest.raises(Invalid):
            await service.announce(version="1", ref=ref, actor=TESTER)
    with pytest.raises(NotFound):
        service.runs.get_run("../../etc")
