"""The client itself: one method for each thing a server can do for an application or a build machine."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import updater_client.answers as answers
from updater_client.checksums import find_checksum
from updater_client.download import Fetch, find_file_name
from updater_client.errors import BadAnswer, UpdateError
from updater_client.folders import Folders
from updater_client.listing import application_path, build_path, find_hosted, find_listed, find_same, list_builds
from updater_client.model import (
    Application,
    ApplicationChanges,
    Build,
    BuildQuery,
    CheckResult,
    ExternalBuild,
    FetchedFile,
    InstallReport,
    ListedBuild,
    NewApplication,
    NewBuild,
    Page,
    Progress,
    PublishedBuild,
    Registered,
    Target,
)
from updater_client.placing import open_place
from updater_client.releases import Releases
from updater_client.retry import RetryPolicy, Waiting
from updater_client.rollouts import Rollouts
from updater_client.transport import SILENCE_S, Transport, json_body, segment
from updater_client.upload import take_snapshot
from updater_client.webhooks import Webhooks
from updater_client.words import known_platforms


class UpdateClient:
    """Talks to one update server. Use as an async context manager; safe for concurrent calls.

    `server` is an address such as `https://updates.example.com`. `key` is an API key; checking, fetching
    and reporting need one for private applications only, where level `feed` is enough. Without `proxy` the
    environment decides (HTTPS_PROXY, HTTP_PROXY, NO_PROXY); loopback addresses are asked directly. `waiting` is told
    of each pause before another attempt. `timeout_s` is how long the server may be silent before an attempt ends; a
    connection has 10 s, or that where it is less. `ssl_context` is for a certificate of an authority of your own.

    `client_id` is what this installation is known by: made once, such as a UUID, and kept. `channel` is the one it is
    on. Both go with every check, question for the latest build, and report; without an id, rollouts know a client by
    its address, which others may share. `rollouts` has the calls about rollouts, channels and history, `releases` those
    about the files of builds, drafts and feeds, `webhooks` and `folders` those about them.

    A target that is not given is the one of this computer. Every method raises `UpdateError` or one of its kinds
    when it fails for good, and cancelling it leaves nothing open.
    """

    def __init__(
        self,
        server: str,
        key: str | None = None,
        client_id: str | None = None,
        channel: str | None = None,
        *,
        retry: RetryPolicy | None = None,
        proxy: str | None = None,
        waiting: Waiting | None = None,
        timeout_s: float = SILENCE_S,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._transport = Transport(server, key, retry or RetryPolicy(), proxy, waiting, timeout_s, ssl_context)
        self._asker = {"client_id": client_id, "channel": channel}
        self.rollouts = Rollouts(self._transport, client_id, channel)
        self.webhooks = Webhooks(self._transport)
        self.releases = Releases(self._transport)
        self.folders = Folders(self)

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
        target: Target | None = None,
        *,
        allow_prerelease: bool = False,
        include_metadata: bool = False,
        manual: bool = False,
    ) -> CheckResult:
        """Ask whether there is something newer for `target`; `manual` says that a person asked, now.

        Such a check goes past the percent of a rollout, and past nothing else.

        Raises:
            UpdateError: 404 when there is no such application, 400 or 422 for a value that does not fit.
        """
        target = target or Target.this()
        query = {
            "current_version": current_version,
            "platform": target.platform,
            "architecture": target.architecture,
            "allow_prerelease": allow_prerelease,
            "include_metadata": include_metadata,
            "manual": manual or None,
            **self._asker,
        }
        data = await self._transport.call("GET", f"{application_path(app_id)}/check", query=query)
        return answers.read_check(data, target)

    async def latest(
        self,
        app_id: str,
        target: Target | None = None,
        *,
        allow_prerelease: bool = False,
        include_metadata: bool = False,
    ) -> Build:
        """Return the newest build for `target`.

        Raises:
            UpdateError: 404 when there is no such application, or no build for the target.
        """
        target = target or Target.this()
        query = {
            "platform": target.platform,
            "architecture": target.architecture,
            "allow_prerelease": allow_prerelease,
            "include_metadata": include_metadata,
            **self._asker,
        }
        data = await self._transport.call("GET", f"{application_path(app_id)}/latest", query=query)
        return answers.read_latest(data, target)

    async def fetch(self, build: Build, path: Path | str, progress: Progress | None = None) -> FetchedFile:
        """Download a build's file to `path`, going on where an earlier try was cut off.

        Bytes collect beside it in `<name>.part`; the digest is verified, the file made durable, and only
        then does it get its name, replacing what was there with its mode kept. A file that is already right is
        left alone. A link leads to the file that is replaced; a device or a pipe is written into, once the bytes
        are verified.
        Resuming across runs needs a server that names files by their SHA-256 (this one does); elsewhere
        only a cut within the call is resumed.

        Raises:
            DigestMismatch: other bytes came. Unreachable: the attempts have run out. OSError: the disk.
            UpdateError: the server refuses, or the kind of checksum is unknown.
        """
        wanted = Path(path)
        with open_place(wanted) as place:
            return await Fetch(self._transport, build, wanted, place, progress).run()

    async def find_file_name(self, build: Build) -> str | None:
        """Ask what a build's file is called: a bare name, safe in any folder; None when there is none.

        Raises:
            UpdateError: the build's address cannot be read as one.
        """
        return await find_file_name(self._transport, build)

    async def report(self, app_id: str, report: InstallReport) -> None:
        """Tell how an installation went. On return it is on the server's disk, once.

        Raises:
            BadAnswer: the server did not confirm it. UpdateError: 404 when there is no such application.
        """
        fields = {**asdict(report), **asdict(report.target), **self._asker}
        del fields["target"]
        path = f"{application_path(app_id)}/status"
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

        `create` is made before when the server does not have it yet. A build that is there already with the
        same bytes counts as success (`repeated`), and stays as it was.

        Raises:
            FileChanged: the file was written to meanwhile. OSError: it cannot be read.
            UpdateError: 409 when the build exists with other bytes, 401 or 403 without a key that may write.
        """
        snapshot = await take_snapshot(build.path)
        if create is not None:
            await self.create_unless_there(create)
        return await self.releases.add_build(app_id, build, progress, snapshot=snapshot)

    async def register(self, app_id: str, build: ExternalBuild) -> Registered:
        """Announce a build whose file lies elsewhere; one with the same address and checksum may be there already.

        Raises:
            UpdateError: 409 when another build exists, 401 or 403 without a key that may write.
        """
        fields = {**asdict(build), **asdict(build.target), "application_id": app_id}
        del fields["target"]
        fields["file_size"] = fields.pop("file_size_bytes")
        path = f"{application_path(app_id)}/register"
        try:
            return answers.read_registered(await self._transport.call("POST", path, body=json_body(fields)))
        except UpdateError as error:
            digest = find_checksum(build.checksum_type, build.checksum)
            found = await find_same(self._transport, app_id, build, digest, error)
            return Registered(found.id or "", found.release_date, repeated=True)

    # Releases, build by build.

    async def get_release(self, app_id: str, version: str, target: Target) -> Build:
        """Return one exact build. Without a key that may read, only hosted files can be found, without their notes.

        Raises:
            UpdateError: 404 when there is none; `UNAUTHORIZED` for a file on another host without such a key.
        """
        if self._transport.has_key:
            try:
                found = await find_listed(self._transport, app_id, version, target)
            except UpdateError as error:
                if error.status != 403:  # a feed key may download what it may not list
                    raise
            else:
                if found is None:
                    raise UpdateError(f"no release {version} for {target}", status=404, code="NOT_FOUND")
                return found
        return await find_hosted(self._transport, app_id, version, target)

    async def list_releases(self, app_id: str, query: BuildQuery | None = None) -> Page[ListedBuild]:
        """List builds, one page, in the order of the query: newest first when None. Needs `read`.

        Raises:
            UpdateError: 401 or 403 without such a key, 404 when there is no such application.
        """
        return await list_builds(self._transport, app_id, query or BuildQuery())

    async def delete_release(self, app_id: str, version: str, target: Target) -> None:
        """Delete one build. Needs `admin`.

        Raises:
            UpdateError: 401 or 403 without such a key, 404 when there is no such build.
        """
        await self._transport.delete(f"{application_path(app_id)}/releases/{build_path(version, target)}")

    # Applications.

    async def list_applications(self, limit: int = 50, offset: int = 0) -> Page[Application]:
        """List applications, one page, in the server's order. Needs `read`.

        Raises:
            UpdateError: 401 or 403 without such a key.
        """
        query = {"limit": limit, "offset": offset}
        data = await self._transport.call("GET", "/applications", query=query)
        return answers.read_page(data, "applications", answers.read_application)

    async def get_application(self, app_id: str) -> Application:
        """Return one application with its configuration and figures. Needs `read`.

        Raises:
            UpdateError: 401 or 403 without such a key, 404 when there is no such application.
        """
        path = f"/applications/{segment('app_id', app_id)}"
        return answers.read_application(await self._transport.call("GET", path))

    async def get_figures(
        self, app_id: str, *, first: str | None = None, last: str | None = None, bucket: str = "day"
    ) -> Mapping[str, Any]:
        """Return the figures of an application as the server's document describes them. Needs `read`.

        `first` and `last` are days (`2026-02-16`) or times with their zone; `bucket` is `hour`, `day` or `month`.

        Raises:
            UpdateError: 400 or 422 for a window that does not fit, 404 when there is no such application.
        """
        path = f"/applications/{segment('app_id', app_id)}/figures"
        return await self._transport.call("GET", path, query={"from": first, "to": last, "bucket": bucket})

    async def create_application(self, application: NewApplication) -> Registered:
        """Create an application. Needs `write`.

        Raises:
            UpdateError: 409 when the id is taken, unless an unanswered attempt of this call has taken it.
        """
        data = {**asdict(application), "config": application.config or None}
        data["platforms"] = known_platforms(application.platforms)
        try:
            answer = await self._transport.call("POST", "/applications", body=json_body(data))
        except UpdateError as error:
            if error.status != 409 or not error.uncertain:
                raise
            there = await self.get_application(application.id)
            if (there.name, set(there.platforms)) != (application.name, set(data["platforms"])):
                raise
            return Registered(there.id, there.created_at)
        return answers.read_registered(answer)

    async def update_application(self, app_id: str, changes: ApplicationChanges) -> None:
        """Change what is given of an application, leave the rest. Needs `admin`.

        Raises:
            UpdateError: 401 or 403 without such a key, 404 when there is no such application.
        """
        path = f"/applications/{segment('app_id', app_id)}"
        fields = asdict(changes)
        fields["platforms"] = changes.platforms and known_platforms(changes.platforms)
        nulls = ("default_rollout",) if fields.pop("no_default_rollout") else ()
        await self._transport.call("PUT", path, body=json_body(fields, nulls))

    async def delete_application(self, app_id: str) -> None:
        """Delete an application with all its releases. Needs `admin`.

        Raises:
            UpdateError: 401 or 403 without such a key, 404 when there is no such application.
        """
        await self._transport.delete(f"/applications/{segment('app_id', app_id)}")

    async def create_unless_there(self, application: NewApplication) -> None:
        """Create an application; one that is there stays as it is. Needs `write`.

        Raises:
            UpdateError: 401 or 403 without such a key, 422 for a value that does not fit.
        """
        try:
            await self.create_application(application)
        except UpdateError as error:
            if error.status != 409:
                raise
