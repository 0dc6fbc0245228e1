"""The files of builds that are there: add a companion, sign a file, delete a companion."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from updater.artifacts.blobs import BlobStore
from updater.audit.model import Actor
from updater.catalog.changes import describe_build, describe_file
from updater.catalog.changing import Change, Changes, Rehearsed
from updater.catalog.checking import require_announced, require_open, require_platform
from updater.catalog.file_store import FileStore
from updater.catalog.filing import Filing
from updater.catalog.model import Build, BuildDetails, BuildFile, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.release_store import KnownRelease, ReleaseStore
from updater.catalog.requests import AnnouncedFile, FileRequest, ReceivedFile, Within
from updater.catalog.signing import Content, SignatureChecks, new_signatures
from updater.catalog.store import CatalogStore
from updater.catalog.versions import parse_field
from updater.database.engine import Connection, Database
from updater.errors import Conflict, Forbidden, NotFound


class FiledUnder(NamedTuple):
    """A file, the build it belongs to, and whether it is there since this call."""

    build: Build
    file: BuildFile
    is_new: bool


class Companions:
    """Adds, signs and deletes files of builds."""

    def __init__(
        self,
        store: CatalogStore,
        releases: ReleaseStore,
        files: FileStore,
        changes: Changes,
        filing: Filing,
        signatures: SignatureChecks,
        blobs: BlobStore,
        database: Database,
    ) -> None:
        self._store = store
        self._releases = releases
        self._files = files
        self._changes = changes
        self._filing = filing
        self._signatures = signatures
        self._blobs = blobs
        self._database = database

    async def add(
        self, request: FileRequest, file: ReceivedFile, actor: Actor, *, within: Within | None = None
    ) -> FiledUnder:
        """Give the builds of the request's targets a companion, all of them or none.

        The same bytes again change nothing, so a publisher may repeat. In a draft the build itself may come later, and
        other bytes replace those under the name. `request.draft` makes the draft where there is no such release.
        `within` is called at the end of the transaction: what it writes is there exactly when the file is.

        Returns: the file of the first target.

        Raises:
            NotFound: no such application, or no such build and no draft. Malformed: a platform that the application
                does not list.
            Invalid: not a version, or a name or signature that does not fit; one file too many.
            DigestMismatch: other bytes than announced.
            Conflict: the release does not take it, the build is on another host, or other bytes have that name.
            StorageFull, Unavailable: nothing is visible.
        """
        new = await self._find_new_signatures(request, file)
        checked = await self._signatures.check_received(request.application_id, [replace(file, signatures=new)])
        async with self._changes.open(request.application_id, actor, [file.staged]) as change:
            checked.require_same(change.application)
            require_announced(file)
            release = await self._open_release(change, request)
            filed = []
            for target in request.targets:
                build = await self._open_build(change, release, target)
                put = await self._filing.put_companion(change, build, file)
                filed.append(FiledUnder(build, put.file, put.is_new))
            if within is not None:
                await within(change.connection, filed[0].build, filed[0].file)
        return filed[0]._replace(is_new=any(each.is_new for each in filed))

    async def rehearse(self, request: FileRequest, file: AnnouncedFile, actor: Actor) -> None:
        """Refuse what `add` will refuse, as far as that can be told before the bytes are there. Changes nothing.

        Raises what `add` does.
        """
        with suppress(Rehearsed):
            async with self._changes.open(request.application_id, actor) as change:
                release = await self._open_release(change, request)
                for target in request.targets:
                    build = await self._open_build(change, release, target)
                    await self._filing.require_companion(change, build, file.name, file.kind, file.digest)
                raise Rehearsed

    async def sign(
        self, application_id: str, version: str, target: Target, name: str, given: Mapping[str, str], actor: Actor
    ) -> FiledUnder:
        """Add signatures of a file, by scheme; those that it has already change nothing.

        Raises:
            NotFound: no such application, build or file. Invalid: not a version, or a signature that does not fit.
            Conflict: another signature of that scheme is there. Unavailable: the file is damaged or cannot be read.
        """
        async with self._database.read() as connection:
            build = await self._get_build(connection, application_id, version, target)
            file = await self._files.get_file(connection, build, name)

        content = Content(self._blobs.locate(file.digest), file.size_bytes, lambda: self._blobs.read(file.digest))
        # What is there already was checked with the keys of then.
        new = new_signatures(file.signatures, given)
        checked = await self._signatures.check_stored(application_id, new, content)
        async with self._changes.open(application_id, actor) as change:
            checked.require_same(change.application)
            build = await self._get_build(change.connection, application_id, version, target)
            again = await self._files.get_file(change.connection, build, name)
            if again.digest != file.digest:
                raise Conflict(f"{file.name} was replaced meanwhile; sign the new one")
            await self._filing.sign(change, build, again, given)
            return FiledUnder(build, await self._files.get_file(change.connection, build, name), is_new=False)

    async def delete(
        self, application_id: str, version: str, target: Target, name: str, actor: Actor, *, published_too: bool
    ) -> FiledUnder:
        """Remove a companion, and what the server made of it. Its address stays bound to its bytes.

        Without `published_too` only files of drafts are removed.

        Raises:
            NotFound: no such application, build or file. Invalid: not a version.
            Forbidden: the release is no draft. Conflict: it is the primary file.
        """
        async with self._changes.open(application_id, actor) as change:
            build = await self._get_build(change.connection, application_id, version, target)
            require_draft(build.status, published_too=published_too)
            file = await self._files.get_file(change.connection, build, name)
            if file.primary:
                raise Conflict(f"{file.name} is the primary file; delete the build", details={"file_name": file.name})
            await self._files.delete_derived(change.connection, build.id, file.name)
            await self._files.delete_file(change.connection, file.id)
            change.record("file.deleted", build.version.text, target, before=describe_file(file))
            await self._drop_empty(change, build)
            return FiledUnder(build, file, is_new=False)

    async def _find_new_signatures(self, request: FileRequest, file: ReceivedFile) -> Mapping[str, str]:
        """Return the signatures that not all builds have of this file: the others were held to the keys of then."""
        new: dict[str, str] = {}
        if file.signatures:
            async with self._database.read() as connection:
                for target in request.targets:
                    try:
                        build = await self._get_build(connection, request.application_id, request.version, target)
                        there = await self._files.get_file(connection, build, file.uploaded_name)
                    except NotFound:
                        return file.signatures
                    known = there.signatures if there.digest == file.staged.digest else {}
                    new |= new_signatures(known, file.signatures)
        return new

    async def _drop_empty(self, change: Change, build: Build) -> None:
        """Remove a build of a draft whose last file went: it would keep the others from going live.

        The last build stays, so that the draft can be seen.
        """
        if build.status is not ReleaseStatus.DRAFT or build.file is not None or build.url is not None:
            return
        if await self._files.count_companions(change.connection, build.id):
            return
        if len(await self._releases.list_builds_of(change.connection, build.release_id)) > 1:
            await self._releases.delete_build(change.connection, build)
            change.record("build.deleted", build.version.text, build.target, before=describe_build(build))

    async def _get_build(self, connection: Connection, application_id: str, version: str, target: Target) -> Build:
        application = await self._store.find_application_in(connection, application_id)
        if application is None:
            raise NotFound("application", "Application not found")
        wanted = parse_field(version, application.scheme, "version")
        return await self._store.get_build_in(connection, application_id, wanted, target)

    async def _open_release(self, change: Change, request: FileRequest) -> KnownRelease:
        application = change.application
        require_platform(application, request.target)
        version = parse_field(request.version, application.scheme, "version")
        release = await self._releases.find_release(change.connection, application.id, version)
        if release is None:
            if not request.draft:
                raise NotFound("release", f"Release not found: {version.text}; with draft=true a file may come first")
            channel = (application.channels[0], 0)
            release, _ = await self._releases.ensure_release(
                change.connection, application.id, version, channel, change.at, draft=True
            )
            change.record("release.drafted", release.version, after={"channel": release.channel})
        require_open(release, draft=request.draft)
        return release

    async def _open_build(self, change: Change, release: KnownRelease, target: Target) -> Build:
        """Return the build of a target; that of a draft is made, without a primary file. Raises NotFound, Conflict."""
        application = change.application
        version = parse_field(release.version, application.scheme, "version")
        found = await self._store.find_build_in(change.connection, application.id, version, target)
        if found is None and release.status is ReleaseStatus.DRAFT:
            details = BuildDetails(version, target, notes="", required=False, minimum=None, metadata={})
            await self._releases.insert_build(change.connection, release.id, details, change.at)
        build = found or await self._store.get_build_in(change.connection, application.id, version, target)
        if build.url is not None:
            raise Conflict("The build's file is on another host, so it has no companions here")
        return build


def require_draft(status: ReleaseStatus, *, published_too: bool) -> None:
    """Hold somebody who may change drafts alone to drafts. Raises Forbidden."""
    if status is not ReleaseStatus.DRAFT and not published_too:
        raise Forbidden("Only an admin deletes what is published; with write access drafts can be deleted")
