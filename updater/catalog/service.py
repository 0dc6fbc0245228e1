"""The use cases of what exists: applications, releases and builds. What comes in goes through `publishing`.

Every write takes an actor, leaves an audit row in its transaction, and announces its application: whatever holds
snapshots reads it again before the write returns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from updater.audit.model import Actor, AuditRow
from updater.audit.service import APPLICATION_DELETED, AuditService
from updater.catalog.changes import (
    describe_application,
    describe_build,
    describe_changes,
    describe_deleted_release,
)
from updater.catalog.changing import Changes
from updater.catalog.channels import require_channel_moves, require_channels_kept
from updater.catalog.file_store import FileStore
from updater.catalog.model import (
    CONFIG_DEFAULTS,
    DEFAULT_CHANNELS,
    Application,
    ApplicationStats,
    Build,
    BuildFile,
    BuildQuery,
    Page,
    Release,
    ReleaseFamily,
    ReleaseQuery,
)
from updater.catalog.platforms import Target
from updater.catalog.release_store import KnownRelease, ReleaseStore
from updater.catalog.retention import Candidate, RetentionPolicy, select_removable
from updater.catalog.signing import require_keys
from updater.catalog.spellings import find_spellings
from updater.catalog.store import CatalogStore
from updater.catalog.versions import Scheme, parse_field, parse_version
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.errors import Conflict, Invalid, NotFound

StillOffered = Callable[[Connection, str], Awaitable[set[int]]]
"""Answers which releases of an application, by id, some client is offered, as a transaction sees it."""


class CatalogService:
    """Applications, releases and builds, as publishers and administrators see them."""

    def __init__(
        self,
        store: CatalogStore,
        releases: ReleaseStore,
        changes: Changes,
        audit: AuditService,
        database: Database,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._releases = releases
        self._changes = changes
        self._files = FileStore()
        self._audit = audit
        self._database = database
        self._clock = clock

    # -- applications

    async def stats(self, application_id: str) -> ApplicationStats:
        """Count over the builds of an application; all counts are 0 for one that has none."""
        return await self._store.stats(application_id)

    async def list_applications(self, page: Page, only: str | None = None) -> tuple[list[Application], int]:
        """Return one page of applications in the order of their ids, and how many there are in all."""
        return await self._store.list_applications(page, only)

    async def create_application(
        self, application_id: str, *, name: str, platforms: tuple[str, ...], extra: Mapping[str, Any], actor: Actor
    ) -> Application:
        """Add an application.

        `extra` may hold `description`, `config`, `scheme`, `private`, `channels`, `default_rollout`, `keys` and
        `feeds`.

        Raises:
            Conflict: the id is taken. Invalid: a version in `config` does not parse, or a key is none.
        """
        now = self._clock()
        made = Application(
            id=application_id,
            name=name,
            description=extra.get("description", ""),
            platforms=tuple(dict.fromkeys(platforms)),
            config={**CONFIG_DEFAULTS, **extra.get("config", {})},
            scheme=Scheme(extra.get("scheme", Scheme.SEMVER)),
            private=extra.get("private", False),
            created_at=now,
            updated_at=now,
            channels=tuple(extra.get("channels") or DEFAULT_CHANNELS),
            default_rollout=extra.get("default_rollout"),
            keys=_keys_of(extra.get("keys", {})),
            feeds=dict(extra.get("feeds", {})),
        )
        _require_config(made)
        try:
            async with self._changes.begin(made, actor) as change:
                change.record("application.created", after=describe_application(made))
        except Conflict:
            # Whoever is told that it is there may use it at once, also while the one who made it is not yet answered.
            await self._database.tell({application_id})
            raise
        return made

    async def ensure_application(
        self, application_id: str, *, name: str, platforms: tuple[str, ...], private: bool, actor: Actor
    ) -> bool:
        """Add an application unless it is there; one that is there stays as it is. Return whether it was added."""
        if await self._store.find_application(application_id) is not None:
            return False
        try:
            extra = {"private": private}
            await self.create_application(application_id, name=name, platforms=platforms, extra=extra, actor=actor)
        except Conflict:
            return False  # another process was quicker
        return True

    async def update_application(self, application_id: str, changes: Mapping[str, Any], *, actor: Actor) -> Application:
        """Change the given fields; `config` is merged, all others are replaced.

        The fields are `name`, `description`, `platforms`, `config`, `private`, `channels`, `keys`, `feeds` and
        `default_rollout`, a canonical plan or None.

        Raises:
            NotFound: no such application. Invalid: a version in `config` does not parse, or a key is none.
            Conflict: the channels would lose or reorder releases.
        """
        async with self._changes.open(application_id, actor) as change:
            known, connection = change.application, change.connection
            plain = ("name", "description", "private", "default_rollout", "feeds")
            given = {key: changes[key] for key in plain if key in changes}
            if "channels" in changes:
                given["channels"] = tuple(changes["channels"])
            if "platforms" in changes:
                given["platforms"] = tuple(dict.fromkeys(changes["platforms"]))
            if "keys" in changes:
                given["keys"] = _keys_of(changes["keys"])
            if "config" in changes:
                given["config"] = {**known.config, **changes["config"]}
            changed = dataclasses.replace(known, **given, updated_at=self._clock())
            _require_config(changed)
            if changed.channels != known.channels:
                used = await self._releases.list_channels_in_use(connection, application_id)
                require_channel_moves(known.channels, changed.channels, used)
                require_channels_kept(changed.channels, await self._store.list_tuf_channels(connection, application_id))
                await self._releases.number_channels(connection, application_id, changed.channels)
            await self._store.update_application(connection, changed)
            for name in ("channels", "default_rollout", "keys", "feeds"):
                was, now = ({name: getattr(each, name)} for each in (known, changed))
                if was != now:
                    change.record(f"{name}.set", before=was, after=now)
            before, after = describe_changes(known, changed)
            if after:
                change.record("application.updated", before=before, after=after)
        return changed

    async def delete_application(self, application_id: str, *, actor: Actor) -> None:
        """Remove an application and all it has; its addresses stay bound to their bytes. Raises NotFound."""
        async with self._changes.open(application_id, actor) as change:
            await self._store.delete_application(change.connection, application_id)
            change.record(APPLICATION_DELETED, before=describe_application(change.application))

    # -- releases and builds

    async def list_builds(self, application: Application, query: BuildQuery) -> tuple[list[Build], int]:
        """Return one page of builds, and how many fit in all; a version may be spelt in any way.

        Raises:
            Invalid: `query.version` is no version of the application's scheme.
        """
        version = query.version
        key = None if version is None else parse_field(version, application.scheme, "version").sort_key
        return await self._store.list_builds(application.id, query, key)

    async def list_files(self, builds: Sequence[Build]) -> dict[int, list[BuildFile]]:
        """Return the files of builds by the build's id, the primary one first, then by name. Raises Unavailable."""
        async with self._database.read() as connection:
            return await self._files.list_files(connection, [each.id for each in builds])

    async def list_history(self, application_id: str, version: str | None, page: Page) -> tuple[list[AuditRow], int]:
        """Return one page of an application's history, newest first, and how many entries fit in all.

        A version may be spelt in any way, and may be gone.

        Raises:
            NotFound: no such application. Invalid: `version` is no version of its scheme.
        """
        application = _present(await self._store.find_application(application_id))
        spellings = None
        if version is not None:
            wanted = parse_field(version, application.scheme, "version")
            spellings = await find_spellings(self._audit, wanted.text, (application.scheme,), application_id)
        return await self._audit.list_history(application_id, spellings=spellings, limit=page.limit, offset=page.offset)

    async def list_known_releases(
        self, application_id: str, query: ReleaseQuery
    ) -> tuple[list[tuple[KnownRelease, list[Build]]], int]:
        """Return one page of releases in any status with their builds, the newest first; and how many fit in all."""
        found, total = await self._store.list_known_releases(application_id, query)
        builds: dict[int, list[Build]] = {each.id: [] for each in found}
        for build in await self._store.list_builds_of(builds):
            builds[build.release_id].append(build)
        return [(each, builds[each.id]) for each in found], total

    async def list_releases(self, application_id: str, family: ReleaseFamily, page: Page) -> tuple[list[Release], int]:
        """Return one page of a family's releases, active or withdrawn, highest first; and how many in all."""
        return await self._store.list_releases(application_id, family, page)

    async def delete_build(self, application_id: str, version: str, target: Target, *, actor: Actor) -> Build:
        """Remove a build, and its release with the last one; the address stays bound to its bytes.

        Raises:
            NotFound: no such application or build. Invalid: not a version.
        """
        async with self._changes.open(application_id, actor) as change:
            wanted = parse_field(version, change.application.scheme, "version")
            found = await self._store.get_build_in(change.connection, application_id, wanted, target)
            with_release = await self._releases.delete_build(change.connection, found)
            change.record("build.deleted", found.version.text, target, before=describe_build(found))
            if with_release:
                before = describe_deleted_release(found.channel, found.status)
                change.record("release.deleted", found.version.text, before=before)
        return found

    async def retire(
        self,
        application_id: str,
        policy: RetentionPolicy,
        still_offered: StillOffered,
        *,
        actor: Actor,
        dry_run: bool = False,
    ) -> list[str]:
        """Remove the releases that need not be kept; return their versions, oldest first.

        What `still_offered` names stays. Addresses stay bound to their bytes; the bytes go with the next collection.
        With `dry_run` nothing changes. Raises NotFound for an unknown application.
        """
        if not policy:
            return []
        _present(await self._store.find_application(application_id))
        async with self._database.read() as connection:
            gone = await self._select_removable(connection, application_id, policy, still_offered)
        if gone and not dry_run:
            async with self._changes.open(application_id, actor) as change:
                # Again: a withdrawal in between may have made one of them the latest.
                gone = await self._select_removable(change.connection, application_id, policy, still_offered)
                await self._releases.delete_releases(change.connection, [each.release_id for each in gone])
                for each in gone:
                    before = describe_deleted_release(each.channel, each.status)
                    change.record("release.deleted", each.version.text, before=before)
        return [each.version.text for each in gone]

    async def _select_removable(
        self, connection: Connection, application_id: str, policy: RetentionPolicy, still_offered: StillOffered
    ) -> list[Candidate]:
        candidates = await self._releases.list_candidates(connection, application_id)
        offered = await still_offered(connection, application_id)
        return select_removable(candidates, offered, policy, self._clock())


def _present(known: Application | None) -> Application:
    if known is None:
        raise NotFound("application", "Application not found")
    return known


def _keys_of(given: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Return public keys by scheme, each once. Raises Invalid."""
    require_keys(given)
    return {scheme: tuple(dict.fromkeys(each)) for scheme, each in given.items() if each}


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
