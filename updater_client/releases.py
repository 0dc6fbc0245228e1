"""What publishers do with the files of a build, with drafts, and what feeds show."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import updater_client.answers as answers
from updater_client.errors import UpdateError
from updater_client.files import AddedFile, NewFile
from updater_client.listing import application_path, as_published, build_path, find_same, list_builds, release_path
from updater_client.model import (
    BuildQuery,
    ListedBuild,
    NewBuild,
    Progress,
    PublishedBuild,
    RolloutPlan,
    Target,
)
from updater_client.resumable import RESUMES_FROM_BYTES, send_resumably
from updater_client.rollouts import as_plan
from updater_client.transport import Transport, json_body, segment
from updater_client.upload import Snapshot, build_form, file_body, said_of_build, said_of_file, take_snapshot
from updater_client.words import meant

Json = Mapping[str, Any]


class Releases:
    """The calls about files of builds, drafts and feeds; `client.releases` has one.

    Every method raises `UpdateError` or one of its kinds when it fails for good: 401 or 403 without a key of the
    level, 404 for an unknown application, release or file, 409 for a state that does not allow it.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def list_builds(self, app_id: str, version: str) -> tuple[ListedBuild, ...]:
        """Return the builds of a release with their files, whatever its status; of none when there is none.

        Needs `read`.
        """
        query = BuildQuery(version, limit=1000, sort_by="platform", sort_order="asc")
        return (await list_builds(self._transport, app_id, query)).items

    async def add_build(
        self, app_id: str, build: NewBuild, progress: Progress | None = None, *, snapshot: Snapshot | None = None
    ) -> PublishedBuild:
        """Upload a file as a build, as its primary file. Needs `write`.

        `snapshot` is of the file when it was hashed before. A build that is there already with the same bytes counts
        as success (`repeated`).

        Raises:
            FileChanged: the file was written to meanwhile. OSError: it cannot be read.
            UpdateError: 409 when the build exists with other bytes.
        """
        known = snapshot or await take_snapshot(build.path)
        try:
            data = await self._resume(known, progress, said_of_build(app_id, build, known))
            if data is None:
                data = await self._transport.call(
                    "POST", f"{application_path(app_id)}/upload", body=lambda: build_form(build, known, progress)
                )
        except UpdateError as error:
            if hint := meant(error.fields, build.target.platform, build.target.architecture):
                error.add(hint)
            digest = bytes.fromhex(known.sha256)
            return as_published(await find_same(self._transport, app_id, build, digest, error))
        return answers.read_published(data)

    async def add_file(
        self, app_id: str, file: NewFile, progress: Progress | None = None, *, snapshot: Snapshot | None = None
    ) -> AddedFile:
        """Upload a companion of a build; the same bytes again change nothing. Needs `write`.

        Raises:
            FileChanged: the file was written to meanwhile. OSError: it cannot be read.
            UpdateError: 409 for other bytes under that name of a live release, 404 when there is no such build and no
                draft, 422 for a name that no system could keep, a signature that no key verifies, one file too many.
        """
        known = snapshot or await take_snapshot(file.path)
        path = self._file_path(app_id, file.version, file.target, file.name)
        resumed = await self._resume(known, progress, said_of_file(app_id, file, known))
        if resumed is not None:
            return answers.read_added(resumed)
        query = {
            "draft": file.draft or None,
            "also": ",".join(file.also) or None,
            "kind": file.kind,
            "checksum": known.sha256,
            "delta_from": file.delta_from,
            **{scheme: file.signatures.get(scheme) for scheme in ("minisign", "ed25519")},
        }
        data = await self._transport.call("PUT", path, query=query, body=lambda: file_body(known, progress))
        return answers.read_added(data)

    async def _resume(self, known: Snapshot, progress: Progress | None, said: Mapping[str, str]) -> Json | None:
        """Send a large file so that it resumes; None when it goes whole. Raises as `send_resumably`."""
        if known.size_bytes < RESUMES_FROM_BYTES:
            return None
        return await send_resumably(self._transport, said, known, progress)

    async def sign(
        self, app_id: str, version: str, target: Target, file_name: str, signatures: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Add signatures to a file, by scheme: `minisign`, `ed25519`. Needs `write`.

        Returns:
            The schemes of all signatures that it has.

        Raises:
            UpdateError: 409 when it has another one, 422 when no key of the application verifies one.
        """
        path = f"{self._file_path(app_id, version, target, file_name)}/signatures"
        data = await self._transport.call("PUT", path, body=json_body(signatures))
        return tuple(map(str, data.get("signatures", signatures)))

    async def publish(
        self,
        app_id: str,
        version: str,
        *,
        require: Collection[str] = (),
        rollout: RolloutPlan | None = None,
        reason: str | None = None,
    ) -> Json:
        """Make a draft live with all its builds, as one step; one that is live stays as it is. Needs `write`.

        `require` names what must be there: targets (`windows/amd64`) and files of them (`darwin/arm64/App.zip`).

        Returns:
            `version`, `status`, `published_at`, `builds`, `files`, and `feeds`: what each feed of a target says.

        Raises:
            UpdateError: 409 with `details["missing"]` for what is not there; 409 for a withdrawn release, and for
                names that stand for other bytes.
        """
        fields = {"require": list(require) or None, "rollout": as_plan(rollout), "reason": reason}
        return await self._transport.call("POST", f"{release_path(app_id, version)}/publish", body=json_body(fields))

    async def delete(self, app_id: str, version: str) -> None:
        """Delete a release with all its builds. Needs `admin`; `write` for a draft."""
        await self._transport.delete(release_path(app_id, version))

    async def delete_file(self, app_id: str, version: str, target: Target, file_name: str) -> None:
        """Delete a companion of a build. Needs `admin`; `write` in a draft.

        Raises:
            UpdateError: 409 for the primary file: the build is to be deleted.
        """
        await self._transport.delete(self._file_path(app_id, version, target, file_name))

    async def list_feeds(self, app_id: str, channel: str | None = None) -> Json:
        """Return `feeds`: what each shows on a channel, the first when None, and what it passes over. Needs `read`.

        Raises:
            UpdateError: 422 for a channel that the application does not have.
        """
        return await self._transport.call("GET", f"{application_path(app_id)}/feeds", query={"channel": channel})

    def _file_path(self, app_id: str, version: str, target: Target, file_name: str) -> str:
        build = f"{application_path(app_id)}/builds/{build_path(version, target)}"
        return f"{build}/files/{segment('file_name', file_name)}"
