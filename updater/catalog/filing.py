"""The rules of the files under a build: names, kinds, how many, which bytes, and who signed them.

Everything runs in a `Change`, which has claimed the bytes and places them at its end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from updater.catalog.changes import describe_file
from updater.catalog.changing import Change
from updater.catalog.file_store import DEVELOPER, FileAddress, FileStore
from updater.catalog.files import (
    MAX_FILES,
    FileKind,
    kind_of,
    name_key,
    primary_name,
    require_name,
    require_package_name,
)
from updater.catalog.model import Build, BuildFile, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.requests import ReceivedFile
from updater.catalog.signing import new_signatures
from updater.catalog.versions import Version
from updater.errors import Conflict, Invalid


class Filed(NamedTuple):
    """A file of a build as it is now, and whether it is there since this call."""

    file: BuildFile
    is_new: bool


class Filing:
    """Puts received files under builds."""

    def __init__(self, files: FileStore) -> None:
        self._files = files

    async def bind(self, change: Change, version: Version, target: Target, digest: str | None, name: str = "") -> None:
        """Bind an address to its bytes for ever, wherever they lie. Raises Conflict.

        Args:
            change: holds the application.
            version: that of the build.
            target: that of the build.
            digest: the SHA-256 of the bytes; None where it is not known, which binds nothing and fits no bound address.
            name: the file's; empty for the address of the build.
        """
        known = change.application
        address = FileAddress(known.id, version, target, known.scheme, name)
        bound, spelt = await self._files.pin(change.connection, address, digest)
        if bound == digest:
            return
        what = f"{name} of version {spelt}" if name else f"Version {spelt}"
        published = f"{what} for {target.platform}/{target.architecture} was published before"
        details = {"file_name": name} if name else {}
        if digest is None:
            raise Conflict(f"{published}; announce the sha256 of the file, which has to be {bound}", details=details)
        raise Conflict(
            f"{published} with other bytes, which caches may still hold; publish a new version", details=details
        )

    async def require_no_files(self, change: Change, build: Build) -> None:
        """Hold a build of a draft to the host that its files are on. Raises Conflict: it has companions here."""
        if await self._files.count_companions(change.connection, build.id):
            raise Conflict("The build has companions on this server; delete them first")

    async def put_primary(self, change: Change, build: Build, file: ReceivedFile) -> None:
        """Give a build its primary file, or the build of a draft another one, which may have been its companion.

        Raises:
            Invalid: a package whose name tells another version.
            Conflict: its name is a companion's, another version's package has it, or it is bound to other bytes.
        """
        connection, digest = change.connection, file.staged.digest
        name, kind = await self.require_primary(change, build, file.uploaded_name, file.kind, digest)
        there = await self._files.find_file(connection, build.id, name)
        if there is not None and not there.primary:
            await self._files.delete_file(connection, there.id)
        values: dict[str, Any] = {"name": name, "kind": kind.value, "digest": digest}
        if build.file is None:
            file_id = await self._files.insert_file(connection, build.id, now=change.at, is_primary=True, **values)
            await self._files.insert_signatures(connection, file_id, file.signatures)
        elif (build.file.digest, build.file.name) != (digest, name):
            await self._replace(change, build, build.file.id, build.file.name, file, values)
        else:
            await self.sign(change, build, await self._files.get_file(connection, build, name), file.signatures)

    async def require_primary(
        self, change: Change, build: Build, uploaded_name: str, said: FileKind | None, digest: str | None
    ) -> tuple[str, FileKind]:
        """Return name and kind that a build's primary file gets. A digest that is known is bound to its addresses.

        Raises as `put_primary`.
        """
        name = primary_name(uploaded_name, build.application_id, build.version.text, build.target)
        kind = await self._require_kind(change, build, name, said)
        there = await self._files.find_file(change.connection, build.id, name)
        is_draft = build.status is ReleaseStatus.DRAFT
        if there is not None and not there.primary and there.made_by == DEVELOPER and not is_draft:
            raise Conflict(f"{name} is a companion of this build already", details={"file_name": name})
        if digest is not None and not is_draft:
            await self.bind(change, build.version, build.target, digest)
            await self.bind(change, build.version, build.target, digest, name)
        return name, kind

    async def require_companion(
        self, change: Change, build: Build, uploaded_name: str, said: FileKind | None, digest: str | None
    ) -> tuple[str, FileKind]:
        """Return name and kind that a companion gets. A digest that is known is bound to its address.

        Raises as `put_companion`.
        """
        name = require_name(uploaded_name)
        kind = await self._require_kind(change, build, name, said)
        there = await self._files.find_file(change.connection, build.id, name)
        is_draft = build.status is ReleaseStatus.DRAFT
        if there is not None and there.made_by == DEVELOPER:
            if digest not in (None, there.digest) and (there.primary or not is_draft):
                raise _other_bytes(there)
        elif await self._files.count_companions(change.connection, build.id) >= MAX_FILES - 1:
            raise Invalid({"file_name": f"a build has at most {MAX_FILES} files"})
        elif digest is not None and not is_draft:
            await self.bind(change, build.version, build.target, digest, name)
        return name, kind

    async def put_companion(self, change: Change, build: Build, file: ReceivedFile) -> Filed:
        """Give a build a companion. The same bytes again change nothing, and repair the file if it was damaged.

        Raises:
            Invalid: a name that no system could keep, a package whose name tells another version, or one file too many.
            Conflict: other bytes under that name, or another signature, unless the build's release is a draft.
        """
        connection, digest = change.connection, file.staged.digest
        name, kind = await self.require_companion(change, build, file.uploaded_name, file.kind, digest)
        there = await self._files.find_file(connection, build.id, name)
        mine = there if there is not None and there.made_by == DEVELOPER else None
        is_draft = build.status is ReleaseStatus.DRAFT
        if mine is not None and mine.digest == digest:
            if is_draft:
                await self._say_otherwise(change, build, mine, file)
            await self.sign(change, build, mine, file.signatures)
            return Filed(await self._files.get_file(connection, build, name), is_new=False)
        values: dict[str, Any] = {"name": name, "kind": kind.value, "digest": digest, "delta_from": file.delta_from}
        if there is None:
            file_id = await self._files.insert_file(connection, build.id, now=change.at, **values)
            await self._files.insert_signatures(connection, file_id, file.signatures)
        else:
            await self._replace(change, build, there.id, there.name, file, values)
        made = await self._files.get_file(connection, build, name)
        if mine is None:
            action = "file.uploaded" if is_draft else "file.published"
            change.record(action, build.version.text, build.target, after=describe_file(made))
        else:
            before, after = describe_file(mine), describe_file(made)
            change.record("file.replaced", build.version.text, build.target, before=before, after=after)
        return Filed(made, is_new=mine is None)

    async def _say_otherwise(self, change: Change, build: Build, mine: BuildFile, file: ReceivedFile) -> None:
        """Let a file of a draft be what its publisher says now, where that is something else than before."""
        now = replace(mine, kind=file.kind or mine.kind, delta_from=file.delta_from or mine.delta_from)
        if now != mine:
            await self._files.update_file(change.connection, mine.id, kind=now.kind.value, delta_from=now.delta_from)
            before, after = describe_file(mine), describe_file(now)
            change.record("file.replaced", build.version.text, build.target, before=before, after=after)

    async def sign(self, change: Change, build: Build, file: BuildFile, given: Mapping[str, str]) -> None:
        """Add checked signatures to a file; those that it has change nothing. Raises Conflict for another one."""
        new = new_signatures(file.signatures, given)
        other = sorted(scheme for scheme in new if scheme in file.signatures)
        if other:
            raise Conflict(
                f"{file.name} has another {' and '.join(other)} signature, which never changes",
                details={"file_name": file.name, "signatures": other},
            )
        if new:
            await self._files.insert_signatures(change.connection, file.id, new)
            after = {"file_name": file.name, "signatures": sorted(new)}
            change.record("file.signed", build.version.text, build.target, after=after)

    async def _replace(
        self,
        change: Change,
        build: Build,
        file_id: int,
        old_name: str,
        file: ReceivedFile,
        values: Mapping[str, Any],
    ) -> None:
        """Give a file other bytes; what was made of the old ones goes."""
        connection = change.connection
        await self._files.delete_derived(connection, build.id, old_name)
        more = {"name_key": name_key(values["name"]), "made_by": DEVELOPER, "created_at": change.at}
        await self._files.replace_file(connection, file_id, **values, **more)
        await self._files.insert_signatures(connection, file_id, file.signatures)

    async def _require_kind(self, change: Change, build: Build, name: str, said: FileKind | None) -> FileKind:
        """Return the kind of a file. Raises Invalid, Conflict for a package's name: clients read versions there."""
        kind = said or kind_of(name)
        require_package_name(name, kind, build.version.text)
        other = await self._files.find_package_version(
            change.connection, build.application_id, build.target, name, kind, build.release_id
        )
        if other is not None:
            raise Conflict(f"{name} is a file of version {other}", details={"file_name": name, "version": other})
        return kind


def _other_bytes(there: BuildFile) -> Conflict:
    what = "is the primary file of this build" if there.primary else "is published already"
    return Conflict(
        f"{there.name} {what}, with other bytes",
        details={"file_name": there.name, "checksum": there.digest, "checksum_type": "sha256"},
    )
