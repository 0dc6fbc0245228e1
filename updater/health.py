"""The health of this process as one value: healthy, degraded or unhealthy."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from updater.artifacts.blobs import StoreReadOnly
from updater.artifacts.service import ArtifactService
from updater.database.engine import Database
from updater.errors import Failure, StorageFull
from updater.logs.loggers import get_logger
from updater.processes.jobs import Jobs

LOW_SPACE_BYTES = 256 * 1024 * 1024
HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
KEPT_S = 1.0
"""How long an answer is kept: a flood of questions costs no more than one a second."""
ANSWER_S = 2.0
"""How long a component may take to answer: load balancers ask with limits of a few seconds."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Component:
    """The state of one component; `message` is for people."""

    status: str
    message: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All components by name, in a fixed order, and the worst status among them."""

    components: Mapping[str, Component]

    @property
    def status(self) -> str:
        """Return the worst status of all components, in the order unhealthy, degraded, healthy."""
        found = {part.status for part in self.components.values()}
        return next((each for each in (UNHEALTHY, DEGRADED) if each in found), HEALTHY)


class HealthService:
    """Probes each component.

    Without the database or an object store update checks continue from memory: degraded, not down.

    `elsewhere` says that the files are in an object store. A process without its own disk cannot work: unhealthy.
    """

    def __init__(self, database: Database, artifacts: ArtifactService, jobs: Jobs, *, elsewhere: bool) -> None:
        self._database = database
        self._artifacts = artifacts
        self._jobs = jobs
        no_storage = Component(DEGRADED if elsewhere else UNHEALTHY, "Storage backend does not respond")
        no_database = Component(DEGRADED, "The database does not answer; nothing can be written")
        self._parts = {
            "storage": _Part(self._ask_storage, no_storage),
            "database": _Part(self._ask_database, no_database),
            "background": _Part(self._ask_jobs, Component(DEGRADED, "Background jobs are not known")),
        }
        self._last: dict[str, Component] = {}
        self._report: HealthReport | None = None
        self._probed_s = 0.0

    async def check(self) -> HealthReport:
        """Probe all components and log what changed; an answer is kept for `KEPT_S` seconds.

        A component silent for `ANSWER_S` seconds counts as not answering.

        Raises nothing: an unexpected error is logged, and its component counts as not answering.
        """
        if self._report is not None and time.monotonic() - self._probed_s < KEPT_S:
            return self._report
        answers = await asyncio.gather(*(part.answer() for part in self._parts.values()))
        report = HealthReport(dict(zip(self._parts, answers, strict=True)))
        for name, component in report.components.items():
            before = self._last.get(name, Component(HEALTHY, ""))
            self._last[name] = component
            if component.status != before.status:
                say = _log.info if component.status == HEALTHY else _log.error
                say("health.changed", component=name, status=component.status, message=component.message)
        self._report, self._probed_s = report, time.monotonic()
        return report

    def is_healthy(self, name: str) -> bool:
        """Tell whether a component was healthy at its last probe; True before the first one."""
        return name not in self._last or self._last[name].status == HEALTHY

    async def close(self) -> None:
        """Cancel probes that have not been answered, and wait for their end."""
        for part in self._parts.values():
            await part.close()

    async def _ask_database(self) -> Component:
        try:
            await self._database.ping()
        except StorageFull:
            return Component(DEGRADED, "No room left; nothing can be written")
        return Component(HEALTHY, "Database responding")

    async def _ask_jobs(self) -> Component:
        failing = self._jobs.failing
        if failing:
            return Component(DEGRADED, f"Background jobs fail, the log says why: {', '.join(failing)}")
        return Component(HEALTHY, "Background jobs at work")

    async def _ask_storage(self) -> Component:
        try:
            free = await self._artifacts.blobs.probe()
            await self._artifacts.find_room()
        except StoreReadOnly as failure:
            return Component(DEGRADED, failure.message)
        damaged = self._artifacts.totals.damaged
        if damaged:
            return Component(DEGRADED, f"{damaged} stored files are damaged; see `updater verify`")
        if free is not None and free < LOW_SPACE_BYTES:
            return Component(DEGRADED, "Little free space left")
        return Component(HEALTHY, "Storage backend responding")


class _Part:
    """A component that is probed once at a time, however many callers wait: each probe may hold a connection."""

    def __init__(self, ask: Callable[[], Awaitable[Component]], silent: Component) -> None:
        self._ask = ask
        self._silent = silent
        self._asking: asyncio.Task[Component] | None = None

    async def answer(self) -> Component:
        """Return the probe's answer, or `silent` when it failed or takes longer than `ANSWER_S` seconds."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._question())
        asking = self._asking
        await asyncio.wait({asking}, timeout=ANSWER_S)
        return asking.result() if asking.done() and not asking.cancelled() else self._silent

    async def close(self) -> None:
        """Cancel the probe under way and wait for its end. Raises nothing."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _question(self) -> Component:
        try:
            return await self._ask()
        except Failure as failure:
            return Component(self._silent.status, failure.message)
        except Exception as error:
            _log.error("health.failed", exc_info=error)
            return self._silent
