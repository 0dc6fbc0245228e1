"""A draft goes live as one step, or goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from updater.audit.model import Actor
from updater.catalog.changes import describe_build, describe_deleted_release, describe_release
from updater.catalog.changing import Change, Changes
from updater.catalog.companions import require_draft
from updater.catalog.file_store import DEVELOPER, FileStore
from updater.catalog.files import name_key
from updater.catalog.filing import Filing
from updater.catalog.model import Application, Build, BuildFile, ReleaseStatus
from updater.catalog.publishing import OpenRollout, announced_digest
from updater.catalog.release_store import KnownRelease, ReleaseStore
from updater.catalog.versions import parse_field
from updater.clock import Clock, utc_now
from updater.database.engine import Database
from updater.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True)
class PublishedRelease:
    """A release that is live, with its builds in the order of their upload, and their files by build."""

    application: Application
    release: KnownRelease
    builds: tuple[Build, ...]
    files: Mapping[int, Sequence[BuildFile]]


class Drafts:
    """Publishes and deletes drafts, and deletes releases."""

    def __init__(
        self,
        releases: ReleaseStore,
        files: FileStore,
        changes: Changes,
        filing: Filing,
        open_rollout: OpenRollout,
        database: Database,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._releases = releases
        self._files = files
        self._changes = changes
        self._filing = filing
        self._open_rollout = open_rollout
        self._database = database
        self._clock = clock

    async def publish(
        self,
        application_id: str,
        version: str,
        *,
        require: Sequence[str] = (),
        plan: Mapping[str, Any] | None = None,
        actor: Actor,
        reason: str | None = None,
    ) -> PublishedRelease:
        """Make a draft active with all its builds, in its rollout from the first second. A live one stays as it is.

        Args:
            application_id: the application.
            version: that of the release, in any spelling.
            require: what must be there: targets such as `linux/amd64`, and files such as `linux/amd64/app.zip`.
            plan: the canonical plan of its rollout; None: the application's default.
            actor: who publishes it.
            reason: why, for the history.

        Raises:
            NotFound: no such application or release. Invalid: not a version.
            Conflict: something that must be there is missing (`details.missing`), a build has no primary file, there
                are no builds, a name is bound to other bytes, the release is withdrawn or live with another plan.
        """
        async with self._changes.open(application_id, actor) as change:
            release = await self._get_release(change, version)
            if release.status is ReleaseStatus.WITHDRAWN:
                raise Conflict(f"Version {release.version} is withdrawn; restore it", details={"status": "withdrawn"})
            builds = await self._releases.list_builds_of(change.connection, release.id)
            files = await self._files.list_files(change.connection, [each.id for each in builds])
            _require_complete(release, builds, files, require)
            if release.status is ReleaseStatus.DRAFT:
                await self._make_live(change, release, builds, files, plan, reason)
                release = await self._get_release(change, version)
                builds = await self._releases.list_builds_of(change.connection, release.id)
            elif plan is not None:  # held to the plan that it has
                platform = builds[0].target.platform
                await self._open_rollout(change.connection, change.application, release, platform, plan, is_new=False)
        return PublishedRelease(change.application, release, tuple(builds), files)

    async def delete_release(self, application_id: str, version: str, actor: Actor, *, published_too: bool) -> str:
        """Remove a release with all its builds; addresses that were live stay bound to their bytes.

        Without `published_too` only drafts are removed.

        Returns: the version as the release spelt it.

        Raises:
            NotFound: no such application or release. Invalid: not a version. Forbidden: it is no draft.
        """
        async with self._changes.open(application_id, actor) as change:
            release = await self._get_release(change, version)
            require_draft(release.status, published_too=published_too)
            builds = await self._releases.list_builds_of(change.connection, release.id)
            for each in builds:
                await self._releases.delete_build(change.connection, each)
                change.record("build.deleted", release.version, each.target, before=describe_build(each))
            if not builds:
                await self._releases.delete_releases(change.connection, [release.id])
            before = describe_deleted_release(release.channel, release.status)
            change.record("release.deleted", release.version, before=before)
            return release.version

    async def retire(self, *, keep_days: int, actor: Actor) -> int:
        """Remove the drafts that nothing was uploaded to for so many days; return their number. Raises Unavailable."""
        before = self._clock() - timedelta(days=keep_days)
        gone = 0
        for application_id, version in await self._list_idle(before):
            gone += await self._retire(application_id, version, before, actor)
        return gone

    async def _list_idle(self, before: datetime) -> list[tuple[str, str]]:
        async with self._database.read() as connection:
            return await self._releases.list_idle_drafts(connection, before)

    async def _retire(self, application_id: str, version: str, before: datetime, actor: Actor) -> bool:
        """Remove one draft, unless it was published or used meanwhile."""
        try:
            async with self._changes.open(application_id, actor) as change:
                if (application_id, version) not in await self._releases.list_idle_drafts(change.connection, before):
                    return False
                release = await self._get_release(change, version)
                await self._releases.delete_releases(change.connection, [release.id])
                deleted = describe_deleted_release(release.channel, release.status)
                change.record("release.deleted", release.version, before=deleted)
        except NotFound:
            return False
        return True

    async def _make_live(
        self,
        change: Change,
        release: KnownRelease,
        builds: Sequence[Build],
        files: Mapping[int, Sequence[BuildFile]],
        plan: Mapping[str, Any] | None,
        reason: str | None,
    ) -> None:
        for build in builds:
            await self._bind(change, build, files.get(build.id, ()))
        await self._releases.set_published(change.connection, release.id, change.at)
        live = await self._get_release(change, release.version)
        platforms = list(dict.fromkeys(each.target.platform for each in builds))
        opened = await self._open_rollout(change.connection, change.application, live, platforms[0], plan, is_new=True)
        for platform in platforms[1:]:
            await self._open_rollout(change.connection, change.application, live, platform, None, is_new=False)
        after = describe_release(live.channel, opened.percent)
        change.record("release.published", live.version, after=after, reason=reason)
        if opened.plan is not None:
            change.record("rollout.set", live.version, after=opened.plan, reason=reason)
        for build in builds:
            change.record("build.published", live.version, build.target, after=describe_build(build))

    async def _bind(self, change: Change, build: Build, files: Sequence[BuildFile]) -> None:
        """Bind the addresses of a build and its files to their bytes. Raises Conflict."""
        if build.url is not None:
            await self._filing.bind(change, build.version, build.target, announced_digest(build.checksum))
        for each in files:
            if each.made_by == DEVELOPER:
                if each.primary:
                    await self._filing.bind(change, build.version, build.target, each.digest)
                await self._filing.bind(change, build.version, build.target, each.digest, each.name)

    async def _get_release(self, change: Change, version: str) -> KnownRelease:
        wanted = parse_field(version, change.application.scheme, "version")
        found = await self._releases.find_release(change.connection, change.application.id, wanted)
        if found is None:
            raise NotFound("release", f"Release not found: {wanted.text}")
        return found


def _require_complete(
    release: KnownRelease, builds: Sequence[Build], files: Mapping[int, Sequence[BuildFile]], require: Sequence[str]
) -> None:
    """Refuse a release that lacks something. Raises Conflict, with what is missing in `details.missing`."""
    there: set[str] = set()
    bare = []
    for build in builds:
        target = "/".join(build.target)
        if build.url is None and build.file is None:
            bare.append(target)
        else:
            there.add(target)
        there.update(f"{target}/{name_key(each.name)}" for each in files.get(build.id, ()))
    missing = [each for each in dict.fromkeys(require) if _in_key_form(each) not in there]
    if missing:
        raise Conflict(f"Version {release.version} lacks {', '.join(missing)}", details={"missing": missing})
    if bare:
        raise Conflict(
            f"Version {release.version} has no primary file for {', '.join(bare)}", details={"missing": bare}
        )
    if not builds:
        raise Conflict(f"Version {release.version} has no builds", details={"missing": []})


def _in_key_form(required: str) -> str:
    """Return what is required as names are compared: `linux/amd64/App.zip` as `linux/amd64/app.zip`."""
    platform, _, rest = required.partition("/")
    architecture, slash, name = rest.partition("/")
    return f"{platform}/{architecture}{slash}{name_key(name)}"
