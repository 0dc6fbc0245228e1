"""Several processes look after the same checkouts: the workers of a service, and commands beside it."""

from __future__ import annotations

import asyncio

from tests.actors import TESTER
from tests.deployments.conftest import OpenService, finish
from tests.deployments.site import Site
from updater.deployments.model import Outcome, UpdateStatus

SLOW = {"steps": [{"name": "dependencies", "command": ["sleep", "1.5"], "timeout_s": 20}]}


async def test_a_run_is_watched_by_one_process(site: Site, open_service: OpenService) -> None:
    one, other = await open_service(**SLOW), await open_service(**SLOW)
    site.push("two")
    run = await one.apply(actor=TESTER)
    for _ in range(5):
        await other.runs.start()
        await other.runs.recover()
        assert run not in other.runs._watches
        await asyncio.sleep(0.1)
    await finish(one, run)
    (update,) = await other.list_updates()
    assert update.status is UpdateStatus.COMPLETED


async def test_a_run_whose_watching_process_ended_is_watched_by_another(site: Site, open_service: OpenService) -> None:
    """So is one that a command began: on PostgreSQL it does not ask the service."""
    one, other = await open_service(**SLOW), await open_service(**SLOW)
    site.push("two")
    run = await one.apply(actor=TESTER)
    await one.runs.stop()
    await other.runs.start()
    state = await finish(other, run)
    assert state.outcome is Outcome.SUCCEEDED
    (update,) = await other.list_updates()
    assert update.status is UpdateStatus.COMPLETED
    assert (await other.list_update_logs(update.id)).logs[0].message.startswith("done: ")


async def test_a_run_is_not_withdrawn_while_another_process_begins_it(site: Site, open_service: OpenService) -> None:
    launcher = ["sh", "-c", 'sleep 1; exec "$@"', "slowly"]
    one, other = await open_service(launcher=launcher), await open_service(launcher=launcher)
    site.push("two")
    await one.check(actor=TESTER)
    (update,) = await one.list_updates()
    beginning = asyncio.create_task(one.apply(update_id=update.id, actor=TESTER))
    while not beginning.done():
        await other.runs.start()
        await asyncio.sleep(0.02)
    state = await finish(one, await beginning)
    assert state.outcome is Outcome.SUCCEEDED
    assert (await other.get_update(update.id)).status is UpdateStatus.COMPLETED


async def test_two_that_look_at_once_record_one_update(site: Site, open_service: OpenService) -> None:
    services = [await open_service() for _ in range(3)]
    for version in ("two", "three", "four"):
        head = site.push(version)
        found = await asyncio.gather(*(each.check(actor=TESTER) for each in services))
        assert {each.latest for each in found} == {head}
    assert len(await services[0].list_updates()) == 3
