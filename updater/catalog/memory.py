"""What the catalog holds in memory: every application's index, and the questions that it answers.

No SQL and no await on the way of a question; `CatalogService` swaps an index whole when something changed.
"""

from __future__ import annotations

import asyncio

import updater.catalog.decision as decision
from updater.catalog.decision import Compatibility, NoUpdate, Offer, UpdateQuery
from updater.catalog.index import ApplicationIndex
from updater.catalog.index_store import IndexStore
from updater.catalog.model import Application, Build, Release
from updater.catalog.platforms import Target
from updater.catalog.versions import Version, parse_version
from updater.errors import Conflict, Invalid, NotFound

EVERYTHING = "*"
"""A topic of `refresh`; no application id holds an asterisk."""


class CatalogMemory:
    """The present snapshots of all applications. Call `load` once before use."""

    def __init__(self, store: IndexStore) -> None:
        self._index_store = store
        self._index: dict[str, ApplicationIndex] = {}
        self._reloading = asyncio.Lock()

    async def load(self) -> None:
        """Read the whole index."""
        self._index = await self._index_store.load()

    def index_of(self, application_id: str) -> ApplicationIndex:
        """Return the present snapshot of an application.

        Raises:
            NotFound: no such application.
        """
        found = self._index.get(application_id)
        if found is None:
            raise NotFound("application", "Application not found")
        return found

    def application_ids(self) -> list[str]:
        """Return the ids of all applications."""
        return sorted(self._index)

    def check(self, application_id: str, question: UpdateQuery) -> Offer | NoUpdate:
        """Decide which build a client gets. Raises NotFound for an unknown application."""
        return decision.decide(self.index_of(application_id), question)

    def get_latest(self, application_id: str, target: Target, *, allow_prerelease: bool = False) -> Build:
        """Return the highest active build for a target. Raises NotFound."""
        found = decision.latest(self.index_of(application_id), target, allow_prerelease=allow_prerelease)
        if found is None:
            raise NotFound("release", f"No release for {target.platform}/{target.architecture}")
        return found

    def assess(self, application_id: str, current: Version, target: Target | None = None) -> Compatibility:
        """Tell which release a desktop client belongs on. Raises NotFound for an unknown application."""
        return decision.assess(self.index_of(application_id), current, target)

    def get_newest_release(
        self, application_id: str, target: Target | None = None, *, current: Version | None = None
    ) -> Release:
        """Return the highest active release, or the highest a client on `current` may move to or stay on.

        Raises:
            NotFound: there is none.
        """
        index = self.index_of(application_id)
        if current is None:
            found = decision.newest_release(index, target)
        else:
            found = decision.assess(index, current, target).release
        if found is None:
            raise NotFound("release", f"No release{f' for a client on {current.text}' if current else ''}")
        return found

    def require_upgrade_path(self, build: Build, current: Version) -> None:
        """Hold a download to what its client may install. Raises Conflict."""
        hindrance = decision.find_upgrade_block(build, current)
        if hindrance is None:
            return
        raise Conflict(
            f"Version {build.version.text} is not for a client on {current.text}: {hindrance}",
            details={
                "version": build.version.text,
                "current_version": current.text,
                "minimum_version": build.minimum.text if build.minimum else None,
            },
        )

    def requires_updates(self, application_id: str) -> bool:
        """Tell whether an application forces all its updates. Raises NotFound."""
        return bool(self.index_of(application_id).application.config["required_update"])

    def parse(self, application_id: str, text: str, field: str) -> Version:
        """Parse a version by the application's scheme.

        Raises:
            NotFound: no such application. Invalid: not a version; names `field`.
        """
        try:
            return parse_version(text, self.index_of(application_id).application.scheme)
        except ValueError as error:
            raise Invalid({field: str(error)}) from None

    def get_application(self, application_id: str) -> Application:
        """Return one application. Raises NotFound."""
        return self.index_of(application_id).application

    async def refresh(self, topics: set[str]) -> None:
        """Read again what other processes changed: ids of applications, or `EVERYTHING`."""
        if EVERYTHING in topics:
            await self.reload_all()
            return
        for application_id in topics:
            await self._reload(application_id)

    async def reload_all(self) -> None:
        """Read the whole index again, after something changed serving states in bulk."""
        async with self._reloading:
            self._index = await self._index_store.load()

    async def _reload(self, application_id: str) -> None:
        """Swap one application's snapshot. One at a time, so that an older reading never wins."""
        async with self._reloading:
            fresh = (await self._index_store.load(application_id)).get(application_id)
            index = dict(self._index)
            if fresh is None:
                index.pop(application_id, None)
            else:
                index[application_id] = fresh
            self._index = index
