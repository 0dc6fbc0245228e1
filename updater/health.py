"""How the parts of this process do, as one value: healthy, degraded or unhealthy."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from updater.artifacts.service import ArtifactService
from updater.database.engine import Database
from updater.errors import Failure

LOW_SPACE_BYTES = 256 * 1024 * 1024
HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"
ANSWER_S = 2.0
"""How long a part may take to answer: who balances load asks with limits of a few seconds."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Component:
    """One part."""

    status: str
    message: str


@dataclass(frozen=True, slots=True)
class HealthReport:
    """All parts, and the worst of them."""

    components: Mapping[str, Component]

    @property
    def status(self) -> str:
        """Return the worst status of all parts."""
        found = {part.status for part in self.components.values()}
        return next((each for each in (UNHEALTHY, DEGRADED) if each in found), HEALTHY)


class HealthService:
    """Asks each part. Without the database, or an object store, checks go on from memory: degraded, not down.

    `elsewhere` says that the files are in an object store. Without their own disk a process cannot work: unhealthy.
    """

    def __init__(self, database: Database, artifacts: ArtifactService, *, elsewhere: bool) -> None:
        self._database = database
        self._artifacts = artifacts
        no_storage = Component(DEGRADED if elsewhere else UNHEALTHY, "Storage backend does not respond")
        no_database = Component(DEGRADED, "The database does not answer; nothing can be written")
        self._parts = {
            "storage": _Part(self._ask_storage, no_storage),
            "database": _Part(self._ask_database, no_database),
        }
        self._last: dict[str, Component] = {}

    async def check(self) -> HealthReport:
        """Ask all parts now; one that takes too long does not answer. The log tells what changed."""
        answers = await asyncio.gather(*(part.answer() for part in self._parts.values()))
        report = HealthReport(dict(zip(self._parts, answers, strict=True)))
        for name, component in report.components.items():
            before = self._last.get(name, Component(HEALTHY, ""))
            self._last[name] = component
            if component.status != before.status:
                say = _log.info if component.status == HEALTHY else _log.error
                say("health.changed", component=name, status=component.status, message=component.message)
        return report

    def is_healthy(self, name: str) -> bool:
        """Tell how a part did when it was last asked."""
        return name not in self._last or self._last[name].status == HEALTHY

    async def close(self) -> None:
        """Let go of questions that nobody has answered."""
        for part in self._parts.values():
            await part.close()

    async def _ask_database(self) -> Component:
        await self._database.ping()
        return Component(HEALTHY, "Database responding")

    async def _ask_storage(self) -> Component:
        free = await self._artifacts.blobs.probe()
        if free is not None and free < LOW_SPACE_BYTES:
            return Component(DEGRADED, "Little free space left")
        return Component(HEALTHY, "Storage backend responding")


class _Part:
    """A part that is asked once at a time, however many want to know: each question may hold a connection."""

    def __init__(self, ask: Callable[[], Awaitable[Component]], silent: Component) -> None:
        self._ask = ask
        self._silent = silent
        self._asking: asyncio.Task[Component] | None = None

    async def answer(self) -> Component:
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._question())
        asking = self._asking
        await asyncio.wait({asking}, timeout=ANSWER_S)
        return asking.result() if asking.done() and not asking.cancelled() else self._silent

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def _question(self) -> Component:
        try:
            return await self._ask()
        except Failure:
            return self._silent
        except Exception as error:
            _log.error("health.failed", exc_info=error)
            return self._silent
