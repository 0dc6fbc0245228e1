"""The jobs that a running service does beside answering requests.

Where several processes share a database, a job that must run once runs in the process that holds its lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable

import structlog

from updater.audit.model import RETENTION, SYSTEM
from updater.errors import Failure
from updater.operations.storage import collect, retain
from updater.services import Services

_HOUSEKEEPING_S = 60.0
_COUNTING_S = 5.0
_WATCHING_S = 10.0
_DAY_S = 86_400.0
# How often, and how soon after a start, stored files that lack a digest are looked for.
_DIGESTS_S = 300.0
# How soon a process takes over the watching of a run that a command started, or whose watcher has ended.
_LOOKING_S = 5.0
# How often stages are looked at, and how soon another process looks when this one is gone.
_STAGES_S, _STAGES_LEASE_S = 2.0, 8.0
# A lease outlives two missed renewals; then another process takes over.
LEASE_S, RENEWAL_S = 60.0, 20.0
_log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def background(services: Services) -> AsyncIterator[None]:
    """Run all jobs for the block; at its end they are cancelled and awaited. Raises nothing of theirs."""
    jobs = (
        refresh_totals,
        watch_health,
        count_checks,
        apply_retention,
        watch_runs,
        fill_digests,
        roll_up_old,
        scrub_files,
        advance_rollouts,
    )
    tasks = [asyncio.create_task(job(services), name=job.__name__) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def refresh_totals(services: Services) -> None:
    """Every 60 seconds refresh the totals of the blob store, store when keys were used, and look at the clock.

    A failure of one skips neither the others nor the next time.
    """
    while True:
        await quietly(services.artifacts.refresh_totals)
        await quietly(services.access.flush_used)
        await quietly(services.timekeeping.look)
        await asyncio.sleep(_HOUSEKEEPING_S)


async def watch_health(services: Services) -> None:
    """Probe the components every 10 seconds, so that log and metrics show an outage before a request meets it."""
    while True:
        await services.health.check()
        await asyncio.sleep(_WATCHING_S)


async def count_checks(services: Services) -> None:
    """Write the counts of update checks every 5 seconds: a crash loses no more than that."""
    while True:
        await asyncio.sleep(_COUNTING_S)
        await quietly(services.telemetry.flush_checks)


async def apply_retention(services: Services) -> None:
    """Once a day, and a minute after each start, remove what the settings no longer keep, under the lease `bounds`.

    Order: reports, deployments, releases; a failure of one does not skip the next. While the clock is not believed
    nothing is removed; the day's work follows within a minute of its confirmation.
    """
    due_s = time.monotonic() + _HOUSEKEEPING_S
    async for _ in _while_leased(services, "bounds"):
        if time.monotonic() >= due_s and await _is_clock_believed(services):
            await quietly(functools.partial(_forget_reports, services))
            await quietly(functools.partial(_forget_runs, services))
            await quietly(functools.partial(_retire_releases, services))
            await quietly(functools.partial(_cut_audit, services))
            due_s = time.monotonic() + _DAY_S


async def fill_digests(services: Services) -> None:
    """Compute the further digests of stored files that lack them, one file at a time."""
    due_s = time.monotonic() + _DIGESTS_S
    async for _ in _while_leased(services, "digests"):
        if time.monotonic() >= due_s:
            await quietly(services.artifacts.fill_digests)
            due_s = time.monotonic() + _DIGESTS_S


async def roll_up_old(services: Services) -> None:
    """Once after a start, under the lease `rollups`, count the reports that a version without roll-ups stored."""
    async for _ in _while_leased(services, "rollups"):
        with contextlib.suppress(Failure):  # the next renewal goes on where it stopped
            counted = await services.telemetry.roll_up_old()
            if counted:
                _log.info("telemetry.old_reports_counted", reports=counted)
            return


async def scrub_files(services: Services) -> None:
    """Each minute verify the stored files whose turn it is, so that each is hashed once in `storage.scrub_days`."""
    days = services.settings.storage.scrub_days
    if days is None:
        return
    scrub = functools.partial(services.artifacts.scrub, actor=SYSTEM, within_s=days * _DAY_S, elapsed_s=_HOUSEKEEPING_S)
    due_s = time.monotonic() + _HOUSEKEEPING_S
    async for _ in _while_leased(services, "scrub"):
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + _HOUSEKEEPING_S
            await quietly(scrub)


async def advance_rollouts(services: Services) -> None:
    """Every two seconds move the rollouts whose time has come, under the lease `rollouts`."""
    async for _ in _while_leased(services, "rollouts", lease_s=_STAGES_LEASE_S, every_s=_STAGES_S):
        await quietly(services.rollouts.advance)


async def watch_runs(services: Services) -> None:
    """Every 5 seconds watch the runs of deployments, and finish those whose process was killed.

    It starts only when the service answers: such a run may restart this very service and probe its health.
    """
    while True:
        await quietly(services.deployments.runs.start)
        await quietly(services.deployments.runs.recover)
        await asyncio.sleep(_LOOKING_S)


async def quietly(work: Callable[[], object]) -> None:
    """Await `work()` and drop a `Failure`: housekeeping must not stop the service. Raises other errors."""
    with contextlib.suppress(Failure):
        await work()  # type: ignore[misc]


async def _while_leased(
    services: Services, name: str, *, lease_s: float = LEASE_S, every_s: float = RENEWAL_S
) -> AsyncIterator[bool]:
    """Yield every `every_s` seconds while this process holds a lease; True for the first time since it got it."""
    held = False
    while True:
        try:
            had, held = held, await services.leases.take(name, for_s=lease_s)
        except Failure:
            had, held = False, False
        if held:
            yield not had
        await asyncio.sleep(every_s)


async def _is_clock_believed(services: Services) -> bool:
    try:
        return await services.timekeeping.look() is None
    except Failure:
        return False


async def _forget_reports(services: Services) -> None:
    gone = await services.telemetry.forget_reports(keep_days=services.settings.telemetry.retention_days)
    if gone:
        _log.info("telemetry.reports_removed", reports=gone)


async def _forget_runs(services: Services) -> None:
    rules = services.settings.retention
    gone = await services.deployments.forget(keep_days=rules.deployment_days, keep_runs=rules.deployment_runs)
    if any(gone):
        _log.info("deployments.forgotten", lines=gone.lines, updates=gone.updates)


async def _cut_audit(services: Services) -> None:
    keep_days = services.settings.retention.audit_days
    if keep_days is not None:
        gone = await services.audit.cut(keep_days=keep_days, actor=RETENTION)
        if gone:
            _log.info("audit.cut", rows=gone)


async def _retire_releases(services: Services) -> None:
    """Apply the rules for releases, then remove the blobs that nothing uses any more."""
    for operation in (retain, collect) if services.settings.retention.concerns_releases else ():
        async for event in operation(services, RETENTION):
            if event.get("result", {}).get("removed"):
                _log.info(f"retention.{operation.__name__}", removed=len(event["result"]["removed"]))
