"""The jobs that a running service does beside answering requests.

Where several processes share a database, a job that must run once runs in the process that holds its lease. What a
failure means is decided by `processes.jobs`.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from updater.audit.model import RETENTION, SYSTEM
from updater.catalog.backlog import Backlog
from updater.logs.loggers import get_logger
from updater.operations.facts import tell_facts
from updater.operations.storage import collect, retain
from updater.processes.jobs import Work
from updater.services import Services

_HOUSEKEEPING_S = 60.0
_COUNTING_S = 5.0
_WATCHING_S = 10.0
_HOUR_S, _DAY_S = 3_600.0, 86_400.0
# How often all files are asked for what they lack; how soon after a start, and after a change: others often follow it.
_LACKING_S, _LACKING_FIRST_S, _LACKING_SOON_S = 600.0, 3.0, 2.0
# How soon a process takes over the watching of a run that a command started, or whose watcher has ended.
_LOOKING_S = 5.0
# How often stages are looked at, and how soon another process looks when this one is gone.
_STAGES_S, _STAGES_LEASE_S = 2.0, 8.0
# A lease outlives two missed renewals; then another process takes over.
LEASE_S, RENEWAL_S = 60.0, 20.0
_log = get_logger(__name__)


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
        derive_files,
        roll_up_old,
        scrub_files,
        advance_rollouts,
        renew_countries,
        expire_uploads,
        deliver_webhooks,
        watch_facts,
        watch_certificate,
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
    works: tuple[tuple[str, Work], ...] = (
        ("totals", services.artifacts.refresh_totals),
        ("key_use", services.access.flush_used),
        ("clock", services.timekeeping.look),
    )
    # One task: of several in a gather, some would still use the database when the first has ended and it is closed.
    turns = _Turns(services, works, every_s=_HOUSEKEEPING_S)
    while True:
        await turns.take()
        await asyncio.sleep(_HOUSEKEEPING_S)


async def watch_health(services: Services) -> None:
    """Probe the components every 10 seconds, so that log and metrics show an outage before a request meets it."""
    await services.jobs.repeat("health", services.health.check, every_s=_WATCHING_S)


async def count_checks(services: Services) -> None:
    """Write the counts of update checks every 5 seconds: a crash loses no more than that."""
    flush = services.telemetry.flush_checks
    await services.jobs.repeat("check_counts", flush, every_s=_COUNTING_S, first_s=_COUNTING_S)


async def renew_countries(services: Services) -> None:
    """Every minute take up a renewed database of countries, where there is one."""
    await services.jobs.repeat("countries", services.telemetry.renew_countries, every_s=_HOUSEKEEPING_S)


async def apply_retention(services: Services) -> None:
    """Once a day, and a minute after each start, remove what the settings no longer keep, under the lease `bounds`.

    Order: reports, deployments, releases, audit; a failure of one does not skip the next, and it is tried again soon.
    While the clock is not believed nothing is removed; the day's work follows within a minute of its confirmation.
    """
    works: tuple[tuple[str, Work], ...] = (
        ("retention_reports", functools.partial(_forget_reports, services)),
        ("retention_runs", functools.partial(_forget_runs, services)),
        ("retention_releases", functools.partial(_retire_releases, services)),
        ("retention_drafts", functools.partial(_retire_drafts, services)),
        ("retention_audit", functools.partial(_cut_audit, services)),
    )
    turns = _Turns(services, works, every_s=_DAY_S, first_s=_HOUSEKEEPING_S)
    async for _ in _while_leased(services, "bounds"):
        if await _is_clock_believed(services):
            await turns.take()


async def fill_digests(services: Services) -> None:
    """Soon after each change compute digests that feeds lack, one file at a time, under the lease `digests`."""
    await _fill(services, "digests", services.derived.digests)


async def derive_files(services: Services) -> None:
    """Soon after each change make block maps and zsync files that are missing, one at a time, under `derived`."""
    await _fill(services, "derived", services.derived.files)


async def roll_up_old(services: Services) -> None:
    """Once after a start, under the lease `rollups`, count the reports that a version without roll-ups stored."""
    over = False

    async def roll_up() -> None:
        nonlocal over
        counted = await services.telemetry.roll_up_old()
        over = True
        if counted:
            _log.info("telemetry.old_reports_counted", reports=counted)

    turns = _Turns(services, (("rollups", roll_up),), every_s=RENEWAL_S)
    async for _ in _while_leased(services, "rollups"):
        await turns.take()  # after a failure the next one goes on where it stopped
        if over:
            return


async def scrub_files(services: Services) -> None:
    """Each minute verify the stored files whose turn it is, so that each is hashed once in `storage.scrub_days`."""
    days = services.settings.storage.scrub_days
    if days is None:
        return
    scrub = functools.partial(services.artifacts.scrub, actor=SYSTEM, within_s=days * _DAY_S, elapsed_s=_HOUSEKEEPING_S)
    turns = _Turns(services, (("scrub", scrub),), every_s=_HOUSEKEEPING_S, first_s=_HOUSEKEEPING_S)
    async for _ in _while_leased(services, "scrub"):
        await turns.take()


async def advance_rollouts(services: Services) -> None:
    """Every two seconds move the rollouts whose time has come, under the lease `rollouts`."""
    turns = _Turns(services, (("rollouts", services.rollouts.advance),), every_s=_STAGES_S)
    async for _ in _while_leased(services, "rollouts", lease_s=_STAGES_LEASE_S, every_s=_STAGES_S):
        await turns.take()


async def deliver_webhooks(services: Services) -> None:
    """Deliver events soon after they happened, while this process holds the lease `webhooks` for certain."""
    run = functools.partial(services.webhooks.delivery.run, lambda: services.leases.holds("webhooks"))
    leases = _leases(services, "webhooks", lease_s=_STAGES_LEASE_S, every_s=_STAGES_S)
    await _run_while(leases, functools.partial(services.jobs.repeat, "webhooks", run, every_s=_STAGES_S))


async def watch_facts(services: Services) -> None:
    """Every minute tell of keys that expire soon and of releases that fail, under the lease `facts`."""
    turns = _Turns(services, (("facts", functools.partial(tell_facts, services)),), every_s=_HOUSEKEEPING_S)
    async for _ in _while_leased(services, "facts"):
        await turns.take()


async def watch_certificate(services: Services) -> None:
    """Every hour look until when the certificate of the public address holds, first a minute after the start."""
    look = services.overview.certificate.look
    await services.jobs.repeat("certificate", look, every_s=_HOUR_S, first_s=_HOUSEKEEPING_S)


async def expire_uploads(services: Services) -> None:
    """Every minute forget uploads that expired, of this machine, while the clock is believed."""

    async def expire() -> None:
        if await _is_clock_believed(services):
            gone = await services.uploads.expire()
            if gone:
                _log.info("uploads.expired", uploads=gone)

    await services.jobs.repeat("uploads", expire, every_s=_HOUSEKEEPING_S, first_s=_HOUSEKEEPING_S)


async def watch_runs(services: Services) -> None:
    """Every 5 seconds watch the runs of deployments, and finish those whose process was killed.

    It starts only when the service answers: such a run may restart this very service and probe its health.
    """
    runs = services.deployments.runs
    turns = _Turns(services, (("runs_watch", runs.start), ("runs_recover", runs.recover)), every_s=_LOOKING_S)
    while True:
        await turns.take()
        await asyncio.sleep(_LOOKING_S)


class _Turns:
    """Works that are done in a fixed order, each when it is due: one that fails neither stops nor hurries others."""

    def __init__(
        self, services: Services, works: Sequence[tuple[str, Work]], *, every_s: float, first_s: float = 0.0
    ) -> None:
        self._jobs = services.jobs
        self._works = works
        self._every_s = every_s
        self._due_s = dict.fromkeys((job for job, _ in works), time.monotonic() + first_s)

    async def take(self) -> None:
        """Attempt what is due. Raises nothing."""
        for job, work in self._works:
            if time.monotonic() >= self._due_s[job]:
                pause_s = await self._jobs.attempt(job, work, every_s=self._every_s)
                # A little sooner, so that a work that is due with each turn misses none.
                self._due_s[job] = time.monotonic() + 0.9 * pause_s


async def _while_leased(
    services: Services, name: str, *, lease_s: float | None = None, every_s: float | None = None
) -> AsyncIterator[bool]:
    """Yield every `every_s` seconds while this process holds a lease; True for the first time since it got it.

    None: a lease of `LEASE_S`, every `RENEWAL_S`.
    """
    had = False
    async for held in _leases(services, name, lease_s=lease_s, every_s=every_s):
        if held:
            yield not had
        had = held


async def _leases(
    services: Services, name: str, *, lease_s: float | None = None, every_s: float | None = None
) -> AsyncIterator[bool]:
    """Ask for a lease every `every_s` seconds, and yield whether this process holds it. None: as `_while_leased`."""
    lease_s, every_s, held = lease_s or LEASE_S, every_s or RENEWAL_S, False

    async def take() -> None:
        nonlocal held
        held = await services.leases.take(name, for_s=lease_s)

    while True:
        held = False
        await services.jobs.attempt(f"lease_{name}", take, every_s=every_s)
        yield held
        await asyncio.sleep(every_s)


async def _fill(services: Services, name: str, backlog: Backlog) -> None:
    """Under a lease, work on a backlog soon after each change; it ends with the lease, however long it takes."""

    async def fill() -> None:
        await asyncio.sleep(_LACKING_FIRST_S)
        due_s = time.monotonic()
        while True:
            everything = time.monotonic() >= due_s
            work = functools.partial(backlog.work_off, actor=SYSTEM, everything=everything)
            pause_s = await services.jobs.attempt(name, work, every_s=_LACKING_SOON_S)
            if name in services.jobs.failing:
                due_s = time.monotonic()  # what it was about to do is not known any more
            elif everything:
                due_s = time.monotonic() + _LACKING_S
            if name not in services.jobs.failing:
                await backlog.wait(max(due_s - time.monotonic(), 0.0))
            await asyncio.sleep(pause_s)

    await _run_while(_leases(services, name), fill)


async def _run_while(leases: AsyncIterator[bool], work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a work while a lease is held: it is cancelled when the lease is lost, and begun anew with the next one."""
    running: asyncio.Task[None] | None = None
    try:
        async for held in leases:
            if held and running is None:
                running = asyncio.create_task(work())
            elif not held and running is not None:
                await _end(running)
                running = None
    finally:
        if running is not None:
            await _end(running)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _is_clock_believed(services: Services) -> bool:
    believed = False

    async def look() -> None:
        nonlocal believed
        believed = await services.timekeeping.look() is None

    await services.jobs.attempt("clock", look, every_s=_HOUSEKEEPING_S)
    return believed


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
        gone = await services.audit.cut(
            keep_days=keep_days, keep_after=services.webhooks.find_oldest_wanted, actor=RETENTION
        )
        if gone:
            _log.info("audit.cut", rows=gone)


async def _retire_drafts(services: Services) -> None:
    gone = await services.drafts.retire(keep_days=services.settings.retention.draft_days, actor=RETENTION)
    if gone:
        _log.info("retention.drafts_removed", drafts=gone)


async def _retire_releases(services: Services) -> None:
    """Apply the rules for releases, then remove the blobs that nothing uses any more."""
    for operation in (retain, collect) if services.settings.retention.concerns_releases else ():
        async for event in operation(services, RETENTION):
            if event.get("result", {}).get("removed"):
                _log.info(f"retention.{operation.__name__}", removed=len(event["result"]["removed"]))
