"""How the parts of this process do, as one value: healthy, degraded or unhealthy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from updater.artifacts.service import ArtifactService
from updater.database.engine import Database
from updater.errors import Failure

LOW_SPACE_BYTES = 256 * 1024 * 1024
HEALTHY, DEGRADED, UNHEALTHY = "healthy", "degraded", "unhealthy"


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
    """Asks each part."""

    def __init__(self, database: Database, artifacts: ArtifactService) -> None:
        self._database = database
        self._artifacts = artifacts

    async def check(self) -> HealthReport:
        """Ask all parts now."""
        return HealthReport({"storage": await self._storage(), "database": await self._ask_database()})

    async def _ask_database(self) -> Component:
        """Without the database, checks and downloads go on from memory: degraded, not down."""
        try:
            await self._database.ping()
        except Failure:
            return Component(DEGRADED, "The database does not answer; nothing can be written")
        return Component(HEALTHY, "Database responding")

    async def _storage(self) -> Component:
        try:
            free = await self._artifacts.blobs.probe()
        except Failure:
            return Component(UNHEALTHY, "Storage backend does not respond")
        if free is not None and free < LOW_SPACE_BYTES:
            return Component(DEGRADED, "Little free space left")
        return Component(HEALTHY, "Storage backend responding")
