"""The use cases of the catalog: what surfaces call, and who swaps what is in memory.

Every write commits, then swaps the index of its application, then returns: whoever was answered finds the
change in the next check.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from updater.artifacts.blobs import Staged
from updater.artifacts.store import ArtifactStore
from updater.catalog.memory import EVERYTHING, CatalogMemory
from updater.catalog.model import (
    CONFIG_DEFAULTS,
    Application,
    ApplicationStats,
    Build,
    BuildQuery,
    Draft,
    ExternalFile,
    HostedFile,
    Page,
    Release,
)
from updater.catalog.platforms import Target
from updater.catalog.retention import Candidate, RetentionPolicy, select_removable
from updater.catalog.rows_store import ACTIVE
from updater.catalog.store import CatalogStore
from updater.catalog.versions import Scheme, Version, parse_version
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.errors import Conflict, Invalid, Malformed, NotFound, Unavailable


class CatalogService(CatalogMemory):
    """Applications, releases and builds: what memory answers, and what needs the database."""

    def __init__(
        self, store: CatalogStore, artifacts: ArtifactStore, database: Database, *, clock: Clock = utc_now
    ) -> None:
        super().__init__(store.index)
        self._store = store
        self._artifacts = artifacts
        self._database = database
        self._clock = clock

    # -- applications

    async def stats(self, application_id: str) -> ApplicationStats:
        """Count over the builds of an application. Raises NotFound."""
        self.index_of(application_id)
        return await self._store.stats(application_id)

    async def list_applications(self, page: Page, only: str | None = None) -> tuple[list[Application], int]:
        """Return one page of applications, and how many there are in all."""
        return await self._store.list_applications(page, only)

    async def create_application(
        self, application_id: str, *, name: str, platforms: tuple[str, ...], extra: Mapping[str, Any]
    ) -> Application:
        """Add an application; `extra` may hold `description`, `config` and `scheme`.

        Raises:
            Conflict: the id is taken. Invalid: a version in `config` does not parse.
        """
        now = self._clock()
        made = Application(
            id=application_id,
            name=name,
            description=extra.get("description", ""),
            platforms=tuple(dict.fromkeys(platforms)),
            config={**CONFIG_DEFAULTS, **extra.get("config", {})},
            scheme=Scheme(extra.get("scheme", Scheme.SEMVER)),
            created_at=now,
            updated_at=now,
        )
        _require_config(made)
        async with self._changing(application_id) as (connection, known):
            if known is not None:
                raise Conflict(f"Application exists already: {application_id}")
            await self._store.insert_application(connection, made)
        return made

    async def ensure_application(self, application_id: str, *, name: str, platforms: tuple[str, ...]) -> bool:
        """Add an application unless it is there; one that is there stays as it is. Return whether it was added."""
        if application_id in self._index:
            return False
        try:
            await self.create_application(application_id, name=name, platforms=platforms, extra={})
        except Conflict:
            # Another process was quicker.
            await self._reload(application_id)
            return False
        return True

    async def update_application(self, application_id: str, changes: Mapping[str, Any]) -> Application:
        """Change the given fields (`name`, `description`, `platforms`, `config`); `config` is merged.

        Raises:
            NotFound: no such application. Invalid: a version in `config` does not parse.
        """
        async with self._changing(application_id) as (connection, known):
            if known is None:
                raise NotFound("application", "Application not found")
            given = {key: changes[key] for key in ("name", "description") if key in changes}
            if "platforms" in changes:
                given["platforms"] = tuple(dict.fromkeys(changes["platforms"]))
            if "config" in changes:
                given["config"] = {**known.config, **changes["config"]}
            changed = dataclasses.replace(known, **given, updated_at=self._clock())
            _require_config(changed)
            await self._store.update_application(connection, changed)
        return changed

    async def delete_application(self, application_id: str) -> None:
        """Remove an application and all it has. Raises NotFound."""
        async with self._changing(application_id) as (connection, known):
            if known is None:
                raise NotFound("application", "Application not found")
            await self._store.delete_application(connection, application_id)

    # -- builds

    async def list_builds(self, application_id: str, query: BuildQuery) -> tuple[list[Build], int]:
        """Return one page of builds, and how many fit in all. Raises NotFound."""
        self.index_of(application_id)
        return await self._store.list_builds(application_id, query)

    async def get_build(self, application_id: str, version: Version, target: Target) -> Build:
        """Return one build that clients may have: from the index when it is there, else from the database.

        Raises:
            NotFound: no such build, or its release is inactive. Unavailable: its bytes are in quarantine.
        """
        found = self.index_of(application_id).builds.get((version.text, target))
        if found is None:
            found = await self._store.find_build(application_id, version.text, target)
        if found is None or not found.active:
            raise _no_release(version, target)
        if found.quarantined:
            raise Unavailable("The stored file is damaged and is not served until it is repaired", retry_after_s=600)
        return found

    async def register_build(self, application_id: str, draft: Draft, file: ExternalFile) -> Build:
        """Add a build whose file somebody else serves.

        Raises:
            NotFound: no such application. Malformed: a platform the application does not list.
            Conflict: the build exists already, or its release is inactive.
        """
        return await self._publish(application_id, draft, file)

    async def publish_build(self, application_id: str, draft: Draft, staged: Staged, suffix: str = "") -> Build:
        """Add a build whose received bytes go into the store. Durable when this returns.

        The very bytes of a build in quarantine repair its file; the build itself stays as it was published.

        Raises:
            As `register_build`; Conflict also when other bytes were ever served under this coordinate.
            StorageFull, Unavailable: nothing is visible.
        """
        file = HostedFile(staged.digest, staged.size_bytes, suffix)
        return await self._publish(application_id, draft, file, staged)

    async def delete_build(self, application_id: str, version: Version, target: Target) -> Build:
        """Remove a build; its address stays bound to its bytes. Raises NotFound."""
        self.index_of(application_id)
        async with self._changing(application_id) as (connection, _):
            found = await self._store.find_build_in(connection, application_id, version.text, target)
            if found is None:
                raise _no_release(version, target)
            await self._store.delete_build(connection, found)
        return found

    async def list_releases(self, application_id: str, page: Page) -> tuple[list[Release], int]:
        """Return one page of the releases desktop clients know, active or not, highest first; and how many in all.

        Raises:
            NotFound: no such application.
        """
        self.index_of(application_id)
        return await self._store.list_releases(application_id, page)

    async def deactivate_release(self, application_id: str, version: Version) -> None:
        """Take a release back: from now on it is neither offered nor downloaded; its bytes stay.

        Raises:
            NotFound: no such release.
        """
        self.index_of(application_id)
        async with self._changing(application_id) as (connection, _):
            if not await self._store.deactivate_release(connection, application_id, version.text):
                raise NotFound("release", f"Release not found: {version.text}")

    @asynccontextmanager
    async def _changing(self, application_id: str) -> AsyncIterator[tuple[Connection, Application | None]]:
        """Give a write transaction, and the application, held; behind it, everybody's index of it is or becomes new."""
        async with self._database.write() as connection:
            yield connection, await self._store.hold_application(connection, application_id)
            await self._database.announce(connection, application_id)
        await self._reload(application_id)

    async def retire(self, application_id: str, policy: RetentionPolicy, *, dry_run: bool = False) -> list[str]:
        """Remove the releases that need not be kept; return their versions, oldest first.

        Their addresses stay bound to their bytes; the bytes go with the next collection. With `dry_run` nothing
        changes. Raises NotFound.
        """
        self.index_of(application_id)
        if not policy:
            return []
        async with self._database.read() as connection:
            gone = await self._select_removable(connection, application_id, policy)
        if gone and not dry_run:
            async with self._changing(application_id) as (connection, _):
                # Again: a deactivation in between may have made one of them the latest.
                gone = await self._select_removable(connection, application_id, policy)
                await self._store.delete_releases(connection, [each.release_id for each in gone])
        return [each.version.text for each in gone]

    async def _select_removable(self, connection: Any, application_id: str, policy: RetentionPolicy) -> list[Candidate]:
        candidates = await self._store.list_candidates(connection, application_id)
        offered = await self._store.index.offered_release_ids(connection, application_id)
        return select_removable(candidates, offered, policy, self._clock())

    async def announce_all(self) -> None:
        """Let every process read the whole index again, after serving states changed in bulk."""
        async with self._database.write() as connection:
            await self._database.announce(connection, EVERYTHING)
        await self.reload_all()

    async def _publish(
        self, application_id: str, draft: Draft, file: ExternalFile | HostedFile, staged: Staged | None = None
    ) -> Build:
        now = self._clock()
        async with self._database.write() as connection:
            known = await self._store.hold_application(connection, application_id)
            _require_platform(known, application_id, draft.target)
            release_id, status = await self._store.ensure_release(connection, application_id, draft.version, now)
            if status != ACTIVE:
                raise Conflict(f"Version {draft.version.text} was deactivated; publish a new version")
            known_build = await self._store.find_build_in(connection, application_id, draft.version.text, draft.target)
            if known_build is not None and not _repairs(known_build, staged):
                raise Conflict(_exists(draft))
            if draft.follows_first:
                draft = await self._following_first(connection, release_id, draft)
            repaired = False
            if staged is not None and isinstance(file, HostedFile):
                await self._require_pin(connection, application_id, draft, file.digest)
                # Claim, then place, then commit: whoever collects this digest waits, or has finished before.
                repaired = await self._artifacts.claim(connection, file.digest, file.size_bytes, now)
                await staged.place()
            if known_build is None:
                await self._store.insert_build(connection, release_id, draft, file, now)
            made = await self._store.find_build_in(connection, application_id, draft.version.text, draft.target)
            await self._database.announce(connection, EVERYTHING if repaired else application_id)
        # Builds of other applications may share the bytes that were repaired.
        await (self.reload_all() if repaired else self._reload(application_id))
        assert made is not None  # noqa: S101 - there or inserted above, in the same transaction
        return made

    async def _following_first(self, connection: Any, release_id: int, draft: Draft) -> Draft:
        first = await self._store.find_first_build(connection, release_id)
        if first is None:
            return draft
        return dataclasses.replace(draft, notes=first.notes, required=first.required, minimum=first.minimum)

    async def _require_pin(self, connection: Any, application_id: str, draft: Draft, digest: str) -> None:
        bound = await self._store.pin(connection, application_id, draft, digest)
        if bound != digest:
            raise Conflict(
                f"Version {draft.version.text} for {draft.target.platform}/{draft.target.architecture} was published "
                "before with other bytes, which caches may still hold; publish a new version"
            )


def _repairs(known: Build, staged: Staged | None) -> bool:
    """Tell whether the received bytes are those of a build whose stored file was found damaged."""
    return staged is not None and known.quarantined and known.digest == staged.digest


def _require_platform(known: Application | None, application_id: str, target: Target) -> None:
    if known is None:
        raise NotFound("application", "Application not found")
    if target.platform not in known.platforms:
        raise Malformed(
            f"Application {application_id} does not list platform {target.platform}; "
            f"it lists {', '.join(known.platforms)}",
            details={"platform": target.platform, "platforms": list(known.platforms)},
        )


def _require_config(each: Application) -> None:
    problems = {}
    for key in ("min_version", "max_version"):
        if each.config[key]:
            try:
                parse_version(each.config[key], each.scheme)
            except ValueError as error:
                problems[f"config.{key}"] = str(error)
    if problems:
        raise Invalid(problems)


def _no_release(version: Version, target: Target) -> NotFound:
    return NotFound("release", f"Release not found: {version.text} for {target.platform}/{target.architecture}")


def _exists(draft: Draft) -> str:
    return (
        f"Version {draft.version.text} for {draft.target.platform}/{draft.target.architecture} exists already; "
        "what is published never changes"
    )
