"""The one way in: a build is published here, whatever asked for it.

The surface stages the bytes first and then makes one call. Everything else happens in one transaction, in this order:
application held, release, pin, claim of the blob, file placed (rename, fsync), rows, audit, announcement, commit.
Killed anywhere, readers see the state before or after; a placed file without a row goes with the next collection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from updater.artifacts.blobs import Staged
from updater.artifacts.digests import find_digest
from updater.artifacts.store import ArtifactStore
from updater.audit.model import Actor, Entry
from updater.audit.service import AuditService
from updater.catalog.changes import describe_build, describe_release, named
from updater.catalog.files import primary_name
from updater.catalog.model import Application, Build, BuildDetails, ExternalFile, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.release_store import KnownRelease, ReleaseStore
from updater.catalog.rows_store import external_values
from updater.catalog.store import CatalogStore
from updater.catalog.versions import parse_field
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.errors import Conflict, DigestMismatch, Invalid, Malformed, NotFound


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """What a publisher says of one build. Versions are texts: the application's scheme decides whether they fit.

    A further build of an equal version joins its release, and has the version as that spells it.
    """

    application_id: str
    version: str
    target: Target
    notes: str = ""
    required: bool = False
    minimum_version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    # Notes, required flag and minimum are those of the version's first build, when there is one already.
    follows_first: bool = False
    # None: where the release is; the first channel for a new one.
    channel: str | None = None
    # The plan of the release, as a canonical JSON object; None: what it has, or the application's default.
    rollout: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A staged file. `uploaded_name` is what the publisher calls it, `checksum` the SHA-256 it announced, in hex."""

    staged: Staged
    uploaded_name: str = ""
    checksum: str | None = None


class OpenedRollout(NamedTuple):
    """What a new release is published with: the percent of now, and the plan if it has one."""

    percent: float
    plan: Mapping[str, Any] | None


OpenRollout = Callable[..., Awaitable[OpenedRollout]]
"""Begins the rollout of a new release, or holds a further build to it.

Source: `rollouts.changes.RolloutChanges.open_rollout`, which stands above the catalog.
"""


class Publishing:
    """Publishes builds. Every surface that takes one calls `publish`."""

    def __init__(
        self,
        store: CatalogStore,
        releases: ReleaseStore,
        artifacts: ArtifactStore,
        audit: AuditService,
        database: Database,
        open_rollout: OpenRollout,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._releases = releases
        self._artifacts = artifacts
        self._open_rollout = open_rollout
        self._audit = audit
        self._database = database
        self._clock = clock

    async def publish(self, request: PublishRequest, file: ReceivedFile | ExternalFile, actor: Actor) -> Build:
        """Add a build. It is durable, and offered by this process, when this returns.

        The very bytes of a build in quarantine repair its file; the build itself stays as it was published.

        Raises:
            NotFound: no such application.
            Invalid: a version that the application's scheme refuses, or a minimum above the version.
            DigestMismatch: other bytes than announced.
            Malformed: a platform that the application does not list.
            Conflict: the build exists already, its release was withdrawn, or other bytes were ever served under this
                coordinate.
            StorageFull, Unavailable: nothing is visible.
        """
        now = self._clock()
        async with self._database.write() as connection:
            application = await self._hold(connection, request.application_id)
            details = _checked(application, request, file)
            release, details, is_new = await self._open_release(connection, application, request, details, now)
            published = await self._store.find_build_in(
                connection, request.application_id, details.version, details.target
            )
            if published is not None:
                return await self._repair(connection, published, file, actor, now)
            if request.follows_first:
                details = await self._following_first(connection, release.id, details)
            opened = await self._open_rollout(
                connection, application, release, details.target.platform, request.rollout, is_new=is_new
            )
            topics = await self._insert(connection, application, release.id, details, file, actor, now)
            made = await self._store.get_build_in(connection, request.application_id, details.version, details.target)
            await self._record(connection, actor, made, release if is_new else None, opened)
            for topic in topics:
                await self._database.announce(connection, topic)
        return made

    async def _hold(self, connection: Connection, application_id: str) -> Application:
        known = await self._store.hold_application(connection, application_id)
        if known is None:
            raise NotFound("application", "Application not found")
        return known

    async def _open_release(
        self,
        connection: Connection,
        application: Application,
        request: PublishRequest,
        details: BuildDetails,
        now: datetime,
    ) -> tuple[KnownRelease, BuildDetails, bool]:
        """Return the release that takes a further build, and whether it is new.

        The details come back with the version as the release spells it.

        Raises:
            Invalid: no such channel.
            Conflict: the release is not active, or on another channel, or known in another spelling.
        """
        channels, channel, wanted = application.channels, request.channel, details.version
        if channel is not None and channel not in channels:
            raise Invalid({"channel": f"must be one of: {', '.join(channels)}"})
        first = channel or channels[0]
        release, is_new = await self._releases.ensure_release(
            connection, application.id, wanted, (first, channels.index(first)), now
        )
        if release.status is not ReleaseStatus.ACTIVE:
            raise Conflict(f"Version {release.version} was deactivated; publish a new version")
        if channel not in (None, release.channel):
            raise Conflict(
                f"Version {release.version} is on channel {release.channel}", details={"channel": release.channel}
            )
        if request.follows_first and release.version != wanted.text:
            # Clients that know one spelling alone would never see a build below the other one.
            raise Conflict(f"Version {wanted.text} is there already, as {release.version}; publish a new version")
        return release, replace(details, version=replace(wanted, text=release.version)), is_new

    async def _insert(
        self,
        connection: Connection,
        known: Application,
        release_id: int,
        details: BuildDetails,
        file: ReceivedFile | ExternalFile,
        actor: Actor,
        now: datetime,
    ) -> list[str]:
        """Add the rows of a build, and place its file if it is hosted; return the applications that change by that."""
        application_id, version, target = known.id, details.version, details.target
        await self._bind(connection, known, details, file)
        if isinstance(file, ExternalFile):
            await self._releases.insert_build(connection, release_id, details, now, **external_values(file))
            return [application_id]
        digest = file.staged.digest
        repaired = await self._place(connection, file.staged, actor, now)
        build_id = await self._releases.insert_build(connection, release_id, details, now)
        name = primary_name(file.uploaded_name, application_id, version.text, target)
        await self._releases.insert_primary_file(connection, build_id, name, digest, now)
        # Other applications may share bytes that were damaged until now.
        return await self._artifacts.list_applications(connection, digest) if repaired else [application_id]

    async def _bind(
        self,
        connection: Connection,
        known: Application,
        details: BuildDetails,
        file: ReceivedFile | ExternalFile,
    ) -> None:
        """Bind a coordinate to the bytes of its file for ever, wherever they lie. Raises Conflict.

        Of a file elsewhere only an announced SHA-256 can be compared: another checksum binds nothing, and does not
        fit a coordinate that is bound.
        """
        if isinstance(file, ReceivedFile):
            digest: str | None = file.staged.digest
        else:
            digest = find_digest(file.checksum.value) if file.checksum.kind == "sha256" else None
        target = details.target
        bound, spelt = await self._releases.pin(connection, known.id, details, known.scheme, digest)
        if bound == digest:
            return
        published = f"Version {spelt} for {target.platform}/{target.architecture} was published before"
        if digest is None:
            raise Conflict(f"{published}; announce the sha256 of the file, which has to be {bound}")
        raise Conflict(f"{published} with other bytes, which caches may still hold; publish a new version")

    async def _repair(
        self,
        connection: Connection,
        published: Build,
        file: ReceivedFile | ExternalFile,
        actor: Actor,
        now: datetime,
    ) -> Build:
        """Replace the damaged file of a build by the same bytes. Raises Conflict for anything else."""
        if not isinstance(file, ReceivedFile) or not _repairs(published, file.staged):
            raise Conflict(
                f"Version {published.version.text} for {published.target.platform}/{published.target.architecture} "
                "exists already; what is published never changes",
                details=_describe_published(published),
            )
        await self._place(connection, file.staged, actor, now)
        for application_id in await self._artifacts.list_applications(connection, file.staged.digest):
            await self._database.announce(connection, application_id)
        return replace(published, quarantined=False)

    async def _place(self, connection: Connection, staged: Staged, actor: Actor, now: datetime) -> bool:
        """Claim the blob, then place it: whatever collects this digest waits, or has ended before.

        Returns whether the blob was in quarantine until now, which the audit then tells.
        """
        repaired = await self._artifacts.claim(connection, staged.digest, staged.size_bytes, now)
        await staged.place()
        if repaired:
            await self._audit.record(connection, actor, Entry("blob.recovered", f"sha256:{staged.digest}"))
        return repaired

    async def _following_first(self, connection: Connection, release_id: int, details: BuildDetails) -> BuildDetails:
        first = await self._releases.find_first_build(connection, release_id)
        if first is None:
            return details
        return replace(details, notes=first.notes, required=first.required, minimum=first.minimum)

    async def _record(
        self, connection: Connection, actor: Actor, made: Build, new: KnownRelease | None, opened: OpenedRollout
    ) -> None:
        """Record a build, and its release when that is new."""
        application_id, version = made.application_id, made.version.text
        entries = [Entry("build.published", named(application_id, version, made.target), None, describe_build(made))]
        if new is not None:
            subject = named(application_id, version)
            if opened.plan is not None:
                entries.insert(0, Entry("rollout.set", subject, None, opened.plan))
            after = describe_release(new.channel, opened.percent)
            entries.insert(0, Entry("release.published", subject, None, after))
        for each in entries:
            entry = replace(each, application_id=application_id, version=version)
            await self._audit.record(connection, actor, entry)


def _checked(known: Application, request: PublishRequest, file: ReceivedFile | ExternalFile) -> BuildDetails:
    """Hold a request to its application. Raises Invalid, DigestMismatch, Malformed."""
    minimum = request.minimum_version
    details = BuildDetails(
        version=parse_field(request.version, known.scheme, "version"),
        target=request.target,
        notes=request.notes,
        required=request.required,
        minimum=parse_field(minimum, known.scheme, "minimum_version") if minimum else None,
        metadata=request.metadata,
    )
    if details.minimum is not None and details.minimum.sort_key > details.version.sort_key:
        # Only who has a newer version could take it.
        raise Invalid(
            {"minimum_version": f"{details.minimum.text} is above the version itself, {details.version.text}"}
        )
    if isinstance(file, ReceivedFile) and file.checksum not in (None, file.staged.digest):
        raise DigestMismatch({"checksum": f"the received file has sha256 {file.staged.digest}, not {file.checksum}"})
    if request.target.platform not in known.platforms:
        raise Malformed(
            f"Application {known.id} does not list platform {request.target.platform}; "
            f"it lists {', '.join(known.platforms)}",
            details={"platform": request.target.platform, "platforms": list(known.platforms)},
        )
    return details


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


def _repairs(known: Build, staged: Staged) -> bool:
    """Tell whether the received bytes are those of a build whose stored file was found damaged."""
    return known.quarantined and known.file is not None and known.file.digest == staged.digest
