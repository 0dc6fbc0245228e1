"""The one way in: a build is published here, whatever asked for it.

The surface stages the bytes first and then makes one call. Everything else happens in one `Change`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

from updater.artifacts.digests import find_digest
from updater.audit.model import Actor
from updater.catalog.changes import describe_build, describe_release
from updater.catalog.changing import Change, Changes, Rehearsed
from updater.catalog.checking import checked_details, require_one_of_each_name, require_open
from updater.catalog.filing import Filing
from updater.catalog.model import Build, BuildDetails, Checksum, ExternalFile, ReleaseStatus
from updater.catalog.release_store import KnownRelease, ReleaseStore
from updater.catalog.requests import AnnouncedFile, PublishRequest, ReceivedFile, Within
from updater.catalog.rows_store import external_values
from updater.catalog.signing import SignatureChecks
from updater.catalog.store import CatalogStore
from updater.errors import Conflict, Invalid


class OpenedRollout(NamedTuple):
    """What a new release is published with: the percent of now, and the plan if it has one."""

    percent: float
    plan: Mapping[str, Any] | None


OpenRollout = Callable[..., Awaitable[OpenedRollout]]
"""Begins the rollout of a new release, or holds a further build to it.

Source: `rollouts.changes.RolloutChanges.open_rollout`, which stands above the catalog.
"""


class Published(NamedTuple):
    """A build as it was published, and whether it is there since this call."""

    build: Build
    is_new: bool


class Publishing:
    """Publishes builds. Every surface that takes one calls `publish`."""

    def __init__(
        self,
        store: CatalogStore,
        releases: ReleaseStore,
        changes: Changes,
        filing: Filing,
        signatures: SignatureChecks,
        open_rollout: OpenRollout,
    ) -> None:
        self._store = store
        self._releases = releases
        self._changes = changes
        self._filing = filing
        self._signatures = signatures
        self._open_rollout = open_rollout

    async def publish(
        self,
        request: PublishRequest,
        file: ReceivedFile | ExternalFile,
        actor: Actor,
        companions: Sequence[ReceivedFile] = (),
        *,
        within: Within | None = None,
    ) -> Published:
        """Add a build for each of the request's targets, with its companions: all of it or nothing.

        It is durable, and offered by this process unless its release is a draft, when this returns. The build of a
        draft is replaced by another one. The very bytes of a build in quarantine repair its file; the build itself
        stays as it was published. `within` is called at the end of the transaction: what it writes is there exactly
        when the build is.

        Returns: the build for the first target.

        Raises:
            NotFound: no such application.
            Invalid: a version that the application's scheme refuses, a minimum above the version, a name or a
                signature that does not fit, or a rollout for a draft.
            DigestMismatch: other bytes than announced.
            Malformed: a platform that the application does not list.
            Conflict: the build exists already, its release does not take it, or other bytes were ever served under one
                of its addresses.
            StorageFull, Unavailable: nothing is visible.
        """
        received = [each for each in (file, *companions) if isinstance(each, ReceivedFile)]
        require_one_of_each_name(received)
        checked = await self._signatures.check_received(request.application_id, received)
        async with self._changes.open(request.application_id, actor, [each.staged for each in received]) as change:
            checked.require_same(change.application)
            details = checked_details(change.application, request, received)
            release, details, is_new = await self._open_release(change, request, details)
            if release.status is not ReleaseStatus.DRAFT and not is_new:
                # First of all, so that a publisher whose answer was lost is told of its own bytes.
                for target in request.targets:
                    published = await self._find_build(change, replace(details, target=target))
                    if published is not None:
                        self._repaired(change, published, file, companions)
            opened = await self._open(change, request, release, is_new=is_new)
            if is_new:
                _record_release(change, release, opened)
            made = [
                await self._add(change, release, replace(details, target=target), request, file, companions)
                for target in request.targets
            ]
            if within is not None:
                await within(change.connection, made[0].build, None)
        return made[0]

    async def rehearse(self, request: PublishRequest, file: AnnouncedFile, actor: Actor) -> None:
        """Refuse what `publish` will refuse, as far as that can be told before the bytes are there. Changes nothing.

        Raises what `publish` does.
        """
        with suppress(Rehearsed):
            async with self._changes.open(request.application_id, actor) as change:
                details = checked_details(change.application, request, ())
                release, details, is_new = await self._open_release(change, request, details)
                wanted = [replace(details, target=target) for target in request.targets]
                there = [await self._find_build(change, each) for each in wanted]
                if release.status is not ReleaseStatus.DRAFT and not is_new:
                    for published in there:
                        if published is not None and not published.quarantined:
                            raise _is_there(published)
                await self._open(change, request, release, is_new=is_new)
                for each, known in zip(wanted, there, strict=True):
                    if known is None:
                        await self._releases.insert_build(change.connection, release.id, each, change.at)
                        known = await self._store.get_build_in(
                            change.connection, request.application_id, each.version, each.target
                        )
                    elif known.url is not None:
                        raise _is_elsewhere(known)
                    if not known.quarantined:
                        await self._filing.require_primary(change, known, file.name, file.kind, file.digest)
                raise Rehearsed

    async def _find_build(self, change: Change, details: BuildDetails) -> Build | None:
        return await self._store.find_build_in(
            change.connection, change.application.id, details.version, details.target
        )

    async def _open(
        self, change: Change, request: PublishRequest, release: KnownRelease, *, is_new: bool
    ) -> OpenedRollout:
        """Begin the rollout of a release that is live, or hold a further build to it. Raises Invalid, Conflict."""
        if release.status is not ReleaseStatus.DRAFT:
            return await self._open_rollout(
                change.connection, change.application, release, request.target.platform, request.rollout, is_new=is_new
            )
        if request.rollout is not None:
            raise Invalid({"rollout": "a draft gets its rollout when it is published"})
        return OpenedRollout(100.0, None)

    async def _add(
        self,
        change: Change,
        release: KnownRelease,
        details: BuildDetails,
        request: PublishRequest,
        file: ReceivedFile | ExternalFile,
        companions: Sequence[ReceivedFile],
    ) -> Published:
        """Add a build with its files; the one of a draft is replaced."""
        connection, application_id = change.connection, change.application.id
        there = await self._find_build(change, details)
        is_draft = release.status is ReleaseStatus.DRAFT
        if there is not None and not is_draft:
            return Published(self._repaired(change, there, file, companions), is_new=False)
        if request.follows_first:
            details = await self._following_first(change, release.id, details)
        external = external_values(file) if isinstance(file, ExternalFile) else {}
        if there is None:
            await self._releases.insert_build(connection, release.id, details, change.at, **external)
        else:
            _require_same_place(there, file)
            if external:
                await self._filing.require_no_files(change, there)
            await self._releases.update_build(connection, there.id, details, change.at, **external)
        build = await self._store.get_build_in(connection, application_id, details.version, details.target)
        if isinstance(file, ReceivedFile):
            await self._filing.put_primary(change, build, file)
            build = await self._store.get_build_in(connection, application_id, details.version, details.target)
        elif not is_draft:
            await self._filing.bind(change, details.version, details.target, announced_digest(file.checksum))
        action = "build.uploaded" if is_draft else "build.published"
        change.record(action, build.version.text, build.target, after=describe_build(build))
        for each in companions:
            await self._filing.put_companion(change, build, each)
        was_there = there is not None and (there.file is not None or there.url is not None)
        return Published(build, is_new=not was_there)

    async def _open_release(
        self, change: Change, request: PublishRequest, details: BuildDetails
    ) -> tuple[KnownRelease, BuildDetails, bool]:
        """Return the release that takes a further build, and whether it is new.

        The details come back with the version as the release spells it.

        Raises:
            Invalid: no such channel.
            Conflict: the release is withdrawn, live although a draft is asked for, or a draft although a live one is;
                or it is on another channel, or known in another spelling.
        """
        channels, channel, wanted = change.application.channels, request.channel, details.version
        if channel is not None and channel not in channels:
            raise Invalid({"channel": f"must be one of: {', '.join(channels)}"})
        first = channel or channels[0]
        release, is_new = await self._releases.ensure_release(
            change.connection,
            change.application.id,
            wanted,
            (first, channels.index(first)),
            change.at,
            draft=request.draft,
        )
        require_open(release, draft=request.draft)
        if request.live and release.status is ReleaseStatus.DRAFT:
            raise Conflict(f"Version {release.version} is a draft; publish it first", details={"status": "draft"})
        if channel not in (None, release.channel):
            if not await self._has_only_companions(change, release):
                raise Conflict(
                    f"Version {release.version} is on channel {release.channel}", details={"channel": release.channel}
                )
            release = await self._move(change, release, first)
        if request.follows_first and release.version != wanted.text:
            # Clients that know one spelling alone would never see a build below the other one.
            raise Conflict(f"Version {wanted.text} is there already, as {release.version}; publish a new version")
        return release, replace(details, version=replace(wanted, text=release.version)), is_new

    async def _has_only_companions(self, change: Change, release: KnownRelease) -> bool:
        """Tell whether a release is a draft that nobody named a channel of: companions, which name none, came first."""
        if release.status is not ReleaseStatus.DRAFT:
            return False
        builds = await self._releases.list_builds_of(change.connection, release.id)
        return all(each.file is None and each.url is None for each in builds)

    async def _move(self, change: Change, release: KnownRelease, channel: str) -> KnownRelease:
        position = change.application.channels.index(channel)
        await self._releases.set_channel(change.connection, release.id, channel, position)
        before, after = {"channel": release.channel}, {"channel": channel}
        change.record("release.drafted", release.version, before=before, after=after)
        return replace(release, channel=channel, channel_position=position)

    def _repaired(
        self,
        change: Change,
        published: Build,
        file: ReceivedFile | ExternalFile,
        companions: Sequence[ReceivedFile],
    ) -> Build:
        """Return a build whose damaged file is replaced by the same bytes. Raises Conflict for anything else."""
        is_repair = (
            isinstance(file, ReceivedFile)
            and not companions
            and published.file is not None
            and published.file.digest == file.staged.digest
            and file.staged.digest in change.repaired
        )
        if not is_repair:
            raise _is_there(published)
        return replace(published, quarantined=False)

    async def _following_first(self, change: Change, release_id: int, details: BuildDetails) -> BuildDetails:
        first = await self._releases.find_first_build(change.connection, release_id)
        if first is None:
            return details
        return replace(details, notes=first.notes, required=first.required, minimum=first.minimum)


def announced_digest(checksum: Checksum) -> str | None:
    """Return the SHA-256 that was announced of a file elsewhere, in hex; None when another checksum was."""
    return find_digest(checksum.value) if checksum.kind == "sha256" else None


def _record_release(change: Change, new: KnownRelease, opened: OpenedRollout) -> None:
    if new.status is ReleaseStatus.DRAFT:
        change.record("release.drafted", new.version, after={"channel": new.channel})
        return
    change.record("release.published", new.version, after=describe_release(new.channel, opened.percent))
    if opened.plan is not None:
        change.record("rollout.set", new.version, after=opened.plan)


def _is_there(published: Build) -> Conflict:
    return Conflict(
        f"Version {published.version.text} for {published.target.platform}/{published.target.architecture} "
        "exists already; what is published never changes",
        details=_describe_published(published),
    )


def _require_same_place(there: Build, file: ReceivedFile | ExternalFile) -> None:
    """Refuse to move a draft's build between this server and another host. Raises Conflict."""
    if (there.url is not None) if isinstance(file, ReceivedFile) else (there.file is not None):
        raise _is_elsewhere(there)


def _is_elsewhere(there: Build) -> Conflict:
    where = "another host" if there.url is not None else "this server"
    return Conflict(f"The build's file is on {where}; delete the build first")


def _describe_published(published: Build) -> dict[str, Any]:
    """Say what is there, so that a publisher whose answer was lost can tell its own bytes."""
    found = {
        "version": published.version.text,
        "platform": published.target.platform,
        "architecture": published.target.architecture,
        "checksum": published.checksum.value,
        "checksum_type": published.checksum.kind,
    }
    return found if published.url is None else {**found, "download_url": published.url}
