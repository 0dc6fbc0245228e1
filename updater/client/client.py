"""The client itself: one method for each thing a server can do for an application or a build machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import updater.client.answers as answers
from updater.client.download import Fetch, find_file_name
from updater.client.errors import BadAnswer, UpdateError
from updater.client.model import (
    Application,
    ApplicationChanges,
    CheckResult,
    ExternalBuild,
    FetchedFile,
    InstallReport,
    Machine,
    NewApplication,
    NewBuild,
    Page,
    Progress,
    PublishedBuild,
    Registered,
    Release,
    ReleaseQuery,
)
from updater.client.retry import RetryPolicy
from updater.client.transport import Transport, json_body, segment
from updater.client.upload import build_form, take_snapshot

STRONG_DIGEST_TAG = re.compile(r'"([0-9a-f]{64})"')


class UpdateClient:
    """Talks to one update server. Use as an async context manager; safe for concurrent calls.

    `server` is an address such as `https://updates.example.com`. `key` is an API key; checking, fetching
    and reporting need none. Every method raises `UpdateError` or one of its kinds when it fails for good.
    """

    def __init__(
        self,
        server: str,
        key: str | None = None,
        *,
        retry: RetryPolicy | None = None,
        proxy: str | None = None,
    ) -> None:
        self._transport = Transport(server, key, retry or RetryPolicy(), proxy)

    async def __aenter__(self) -> UpdateClient:
        await self._transport.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._transport.__aexit__()

    # What an installed application asks.

    async def check(
        self,
        app_id: str,
        current_version: str,
        machine: Machine | None = None,
        *,
        allow_prerelease: bool = False,
        include_metadata: bool = False,
    ) -> CheckResult:
        """Ask whether there is something newer for `machine` (this one when None)."""
        machine = machine or Machine.this()
        query = {
            "current_version": current_version,
            "platform": machine.platform,
            "architecture": machine.architecture,
            "allow_prerelease": allow_prerelease,
            "include_metadata": include_metadata,
        }
        data = await self._transport.call("GET", f"{_application_path(app_id)}/check", query=query)
        return answers.read_check(data, machine)

    async def latest(
        self,
        app_id: str,
        machine: Machine | None = None,
        *,
        allow_prerelease: bool = False,
        include_metadata: bool = False,
    ) -> Release:
        """Return the newest release for `machine` (this one when None). 404 when there is none."""
        machine = machine or Machine.this()
        query = {
            "platform": machine.platform,
            "architecture": machine.architecture,
            "allow_prerelease": allow_prerelease,
            "include_metadata": include_metadata,
        }
        data = await self._transport.call("GET", f"{_application_path(app_id)}/latest", query=query)
        return answers.read_latest(data, machine)

    async def fetch(self, release: Release, target: Path, progress: Progress | None = None) -> FetchedFile:
        """Download a release's file to `target`, going on where an earlier try was cut off.

        Bytes collect beside it in `<name>.part`; the digest is verified, the file made durable, and only
        then does it get its name, replacing what was there. A target that is already right is left alone.
        Resuming across runs needs a server that names files by their SHA-256 (this one does); elsewhere
        only a cut within the call is resumed.
        Raises DigestMismatch when other bytes came, Unreachable when attempts run out, OSError for the disk.
        """
        return await Fetch(self._transport, release, target, progress).run()

    async def find_file_name(self, release: Release) -> str | None:
        """Ask what a release's file is called: a bare, safe name, or None."""
        return await find_file_name(self._transport, release)

    async def report(self, app_id: str, report: InstallReport) -> None:
        """Tell how an installation went. On return it is on the server's disk, once."""
        fields = {**asdict(report), **asdict(report.machine)}
        del fields["machine"]
        path = f"{_application_path(app_id)}/status"
        data = await self._transport.call("POST", path, body=json_body(fields))
        if data.get("recorded") is not True:
            raise BadAnswer("the server did not confirm the report")

    # What a build machine does.

    async def publish(
        self,
        app_id: str,
        build: NewBuild,
        *,
        create: NewApplication | None = None,
        progress: Progress | None = None,
    ) -> PublishedBuild:
        """Upload a file as one build, verified by the server against the SHA-256 computed here first.

        `create` is made before when the server does not have it yet. After a lost answer the upload is
        repeated; a 409 that follows counts as success if the server holds the same digest.
        Raises FileChanged, OSError for the disk, UpdateError (409 when the build exists).
        """
        path = f"{_application_path(app_id)}/upload"
        snapshot = await take_snapshot(build.path)
        if create is not None:
            await self._create_unless_there(create)
        try:
            body = lambda: build_form(build, snapshot, progress)  # noqa: E731
            data = await self._transport.call("POST", path, body=body)
        except UpdateError as error:
            if error.status != 409 or not error.uncertain:
                raise
            return _as_published(await self._find_same(app_id, build, snapshot.sha256, error))
        return answers.read_published(data)

    async def register(self, app_id: str, build: ExternalBuild) -> Registered:
        """Announce a build whose file lies elsewhere."""
        fields = {**asdict(build), **asdict(build.machine), "application_id": app_id}
        del fields["machine"]
        fields["file_size"] = fields.pop("file_size_bytes")
        path = f"{_application_path(app_id)}/register"
        try:
            return answers.read_registered(await self._transport.call("POST", path, body=json_body(fields)))
        except UpdateError as error:
            if error.status != 409 or not error.uncertain:
                raise
            release = await self._find_same(app_id, build, build.checksum.lower(), error)
            return Registered(release.id or "", release.release_date)

    async def _find_same(
        self, app_id: str, build: NewBuild | ExternalBuild, checksum: str, conflict: UpdateError
    ) -> Release:
        """Find the build an unanswered attempt has stored; raise `conflict` when it is another one."""
        release = await self._find_listed(app_id, build.version, build.machine)
        if release is None or release.checksum != checksum:
            raise conflict
        return release

    # Releases.

    async def get_release(self, app_id: str, version: str, machine: Machine) -> Release:
        """Return one exact build. Without a key only hosted files can be found, and without their notes."""
        if self._transport.has_key:
            release = await self._find_listed(app_id, version, machine)
            if release is None:
                message = f"no release {version} for {machine}"
                raise UpdateError(message, status=404, code="NOT_FOUND")
            return release
        path = f"/api/v1{_application_path(app_id)}/download/{_build_path(version, machine)}"
        url = self._transport.url(path.lstrip("/"))
        async with self._transport.open("HEAD", url, {}, follow=False) as response:
            tag = STRONG_DIGEST_TAG.fullmatch(response.headers.get("ETag", ""))
            if tag is None:
                message = "this build lies on another host: a key is needed to learn its checksum"
                raise UpdateError(message, code="UNAUTHORIZED")
            size_bytes = int(response.headers.get("Content-Length", 0)) or None
            return Release(version, machine, url, tag[1], "sha256", size_bytes)

    async def list_releases(self, app_id: str, query: ReleaseQuery | None = None) -> Page[Release]:
        """List builds: filtered, sorted, one page. Needs `read`."""
        path = f"{_application_path(app_id)}/releases"
        data = await self._transport.call("GET", path, query=asdict(query or ReleaseQuery()))
        return answers.read_page(data, "releases", answers.read_listed)

    async def delete_release(self, app_id: str, version: str, machine: Machine) -> None:
        """Delete one build. Needs `admin`."""
        path = f"{_application_path(app_id)}/releases/{_build_path(version, machine)}"
        await self._delete(path)

    async def _find_listed(self, app_id: str, version: str, machine: Machine) -> Release | None:
        query = ReleaseQuery(version, machine.platform, machine.architecture)
        page = await self.list_releases(app_id, query)
        return page.items[0] if page.items else None

    # Applications.

    async def list_applications(self, limit: int = 50, offset: int = 0) -> Page[Application]:
        """List applications, one page. Needs `read`."""
        query = {"limit": limit, "offset": offset}
        data = await self._transport.call("GET", "/applications", query=query)
        return answers.read_page(data, "applications", answers.read_application)

    async def get_application(self, app_id: str) -> Application:
        """Return one application with its configuration and figures. Needs `read`."""
        path = f"/applications/{segment('app_id', app_id)}"
        return answers.read_application(await self._transport.call("GET", path))

    async def get_figures(
        self, app_id: str, *, first: str | None = None, last: str | None = None, bucket: str = "day"
    ) -> Mapping[str, Any]:
        """Return the figures of an application as the server's document describes them. Needs `read`.

        `first` and `last` are days (`2026-02-16`) or times with their zone; `bucket` is `hour` or `day`.
        """
        path = f"/applications/{segment('app_id', app_id)}/figures"
        return await self._transport.call("GET", path, query={"from": first, "to": last, "bucket": bucket})

    async def create_application(self, application: NewApplication) -> Registered:
        """Create an application. Needs `write`; 409 when the id is taken."""
        data = {**asdict(application), "config": application.config or None}
        try:
            answer = await self._transport.call("POST", "/applications", body=json_body(data))
        except UpdateError as error:
            if error.status != 409 or not error.uncertain:
                raise
            there = await self.get_application(application.id)
            if (there.name, set(there.platforms)) != (application.name, set(application.platforms)):
                raise
            return Registered(there.id, there.created_at)
        return answers.read_registered(answer)

    async def update_application(self, app_id: str, changes: ApplicationChanges) -> None:
        """Change what is given of an application, leave the rest. Needs `admin`."""
        path = f"/applications/{segment('app_id', app_id)}"
        await self._transport.call("PUT", path, body=json_body(asdict(changes)))

    async def delete_application(self, app_id: str) -> None:
        """Delete an application with all its releases. Needs `admin`."""
        await self._delete(f"/applications/{segment('app_id', app_id)}")

    async def _create_unless_there(self, application: NewApplication) -> None:
        try:
            await self.create_application(application)
        except UpdateError as error:
            if error.status != 409:
                raise

    async def _delete(self, path: str) -> None:
        """Delete; what an unanswered attempt has already removed counts as done."""
        try:
            await self._transport.call("DELETE", path)
        except UpdateError as error:
            if error.status != 404 or not error.uncertain:
                raise


def _application_path(app_id: str) -> str:
    return f"/updates/{segment('app_id', app_id)}"


def _build_path(version: str, machine: Machine) -> str:
    words = {"version": version, "platform": machine.platform, "architecture": machine.architecture}
    return "/".join(segment(name, value) for name, value in words.items())


def _as_published(release: Release) -> PublishedBuild:
    return PublishedBuild(
        id=release.id or "",
        version=release.version,
        machine=release.machine,
        checksum=release.checksum,
        checksum_type=release.checksum_type,
        file_size_bytes=release.file_size_bytes,
        download_url=release.download_url,
        created_at=release.release_date,
        repeated=True,
    )
