"""What a running service does by itself, beside answering.

Where several processes share a database, what needs doing once is done by the one that holds its lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Callable

import structlog

from updater.errors import Failure
from updater.operations.storage import collect, retain
from updater.services import Services

_HOUSEKEEPING_S = 60.0
_COUNTING_S = 5.0
_WATCHING_S = 10.0
_DAY_S = 86_400.0
# How soon a run is looked after whose watching process is gone, or was a command.
_LOOKING_S = 5.0
# A lease outlives two missed renewals; then another process takes over.
LEASE_S, RENEWAL_S = 60.0, 20.0
_log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def background(services: Services) -> AsyncIterator[None]:
    """Do it all for the block."""
    jobs = (refresh_totals, watch_health, count_checks, apply_retention, watch_runs)
    tasks = [asyncio.create_task(job(services), name=job.__name__) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def refresh_totals(services: Services) -> None:
    """Refresh the figures of the store, and write down when keys were used."""
    while True:
        await quietly(services.artifacts.refresh_totals)
        await quietly(services.access.flush_used)
        await asyncio.sleep(_HOUSEKEEPING_S)


async def watch_health(services: Services) -> None:
    """Ask the parts now and then, so that log and metrics tell of an outage that no request has met."""
    while True:
        await services.health.check()
        await asyncio.sleep(_WATCHING_S)


async def count_checks(services: Services) -> None:
    """Write the counts of update checks: a crash loses no more than this long."""
    while True:
        await asyncio.sleep(_COUNTING_S)
        await quietly(services.telemetry.flush_checks)


async def apply_retention(services: Services) -> None:
    """Once a day, and soon after each start, remove what the settings say need not be kept."""
    due_s = time.monotonic() + _HOUSEKEEPING_S
    async for _ in _while_leased(services, "bounds"):
        if time.monotonic() >= due_s:
            await quietly(functools.partial(_forget_reports, services))
            await quietly(functools.partial(_forget_runs, services))
            await quietly(functools.partial(_retire_releases, services))
            due_s = time.monotonic() + _DAY_S


async def watch_runs(services: Services) -> None:
    """Watch the runs of deployments, and bring those to their end whose process was killed.

    Only once the service answers: such a run may restart this very service, and asks whether it is well.
    """
    while True:
        await quietly(services.deployments.runs.start)
        await quietly(services.deployments.runs.recover)
        await asyncio.sleep(_LOOKING_S)


async def quietly(work: Callable[[], object]) -> None:
    """Do housekeeping whose failure must not stop anything."""
    with contextlib.suppress(Failure):
        await work()  # type: ignore[misc]


async def _while_leased(services: Services, name: str) -> AsyncIterator[bool]:
    """Give a turn now and then while this process holds a lease: True for the first one since it has it."""
    held = False
    while True:
        try:
            had, held = held, await services.leases.take(name, for_s=LEASE_S)
        except Failure:
            had, held = False, False
        if held:
            yield not had
        await asyncio.sleep(RENEWAL_S)


async def _forget_reports(services: Services) -> None:
    gone = await services.telemetry.forget_reports(keep_days=services.settings.telemetry.retention_days)
    if gone:
        _log.info("telemetry.reports_removed", reports=gone)


async def _forget_runs(services: Services) -> None:
    rules = services.settings.retention
    gone = await services.deployments.forget(keep_days=rules.deployment_days, keep_runs=rules.deployment_runs)
    if any(gone):
        _log.info("deployments.forgotten", lines=gone.lines, updates=gone.updates)


async def _retire_releases(services: Services) -> None:
    """Apply the rules for releases, and then remove the bytes that nothing uses any more."""
    for operation in (retain, collect) if services.settings.retention.concerns_releases else ():
        async for event in operation(services):
            if event.get("result", {}).get("removed"):
                _log.info(f"retention.{operation.__name__}", removed=len(event["result"]["removed"]))
