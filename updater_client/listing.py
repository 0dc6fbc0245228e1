"""Find one build in the server's list, and tell whether an unanswered attempt has stored it."""

from __future__ import annotations

import re
from dataclasses import asdict

import updater_client.answers as answers
from updater_client.checksums import find_checksum
from updater_client.errors import UpdateError
from updater_client.model import (
    Build,
    BuildQuery,
    ExternalBuild,
    ListedBuild,
    NewBuild,
    Page,
    PublishedBuild,
    Target,
)
from updater_client.transport import Transport, segment

_STRONG_DIGEST_TAG = re.compile(r'"([0-9a-f]{64})"')


def application_path(app_id: str) -> str:
    """Return the path of an application's update endpoints.

    Raises:
        UpdateError: no path can carry the id.
    """
    return f"/updates/{segment('app_id', app_id)}"


def release_path(app_id: str, version: str) -> str:
    """Return the path of one release.

    Raises:
        UpdateError: no path can carry the id or the version.
    """
    return f"{application_path(app_id)}/releases/{segment('version', version)}"


def build_path(version: str, target: Target) -> str:
    """Return the part of a path that names one build.

    Raises:
        UpdateError: no path can carry a part of the name.
    """
    words = {"version": version, "platform": target.platform, "architecture": target.architecture}
    return "/".join(segment(name, value) for name, value in words.items())


async def list_builds(transport: Transport, app_id: str, query: BuildQuery) -> Page[ListedBuild]:
    """Return one page of the list of builds, in the order of the query.

    Raises:
        UpdateError: the server refuses. BadAnswer, Unreachable: it gives no usable answer.
    """
    data = await transport.call("GET", f"{application_path(app_id)}/releases", query=asdict(query))
    return answers.read_page(data, "releases", answers.read_listed)


async def find_listed(transport: Transport, app_id: str, version: str, target: Target) -> ListedBuild | None:
    """Return one build as the list has it; None when the server has none.

    Raises:
        UpdateError: the server refuses. BadAnswer, Unreachable: it gives no usable answer.
    """
    page = await list_builds(transport, app_id, BuildQuery(version, target.platform, target.architecture))
    return page.items[0] if page.items else None


async def find_hosted(transport: Transport, app_id: str, version: str, target: Target) -> Build:
    """Return one build as its file's headers tell it, for whom the server lists nothing.

    Raises:
        UpdateError: 404 when there is none; `UNAUTHORIZED` for a file on another host.
    """
    url = transport.url(f"api/v1{application_path(app_id)}/download/{build_path(version, target)}")
    async with transport.open("HEAD", url, {}, follow=False) as response:
        tag = _STRONG_DIGEST_TAG.fullmatch(response.headers.get("ETag", ""))
        if tag is None:
            message = "this build lies on another host: a key is needed to learn its checksum"
            raise UpdateError(message, code="UNAUTHORIZED")
        size_bytes = int(response.headers.get("Content-Length", 0)) or None
        return Build(version, target, url, tag[1], "sha256", size_bytes)


async def find_same(
    transport: Transport, app_id: str, build: NewBuild | ExternalBuild, digest: bytes | None, conflict: UpdateError
) -> ListedBuild:
    """Return the build that the server has already, when it is the one that met `conflict`.

    What a conflict says of the build that is there tells whether it is the same. A server that says nothing is asked
    when an earlier attempt got no answer.

    Raises:
        UpdateError: `conflict` itself, when another build is there, or none that is offered.
    """
    there = conflict.details
    said = _is_same(there.get("checksum_type"), there.get("checksum"), digest)
    if conflict.status != 409 or digest is None or not (said or (conflict.uncertain and "checksum" not in there)):
        raise conflict
    if isinstance(build, ExternalBuild) and there.get("download_url", build.download_url) != build.download_url:
        raise conflict
    found = await find_listed(transport, app_id, build.version, build.target)
    if found is None or not _is_same(found.checksum_type, found.checksum, digest):
        raise conflict
    return found


def _is_same(kind: object, checksum: object, digest: bytes | None) -> bool:
    return isinstance(kind, str) and isinstance(checksum, str) and find_checksum(kind, checksum) == digest is not None


def as_published(build: ListedBuild) -> PublishedBuild:
    """Return a build of the list as the receipt of an attempt that got no answer."""
    return PublishedBuild(
        id=build.id or "",
        version=build.version,
        target=build.target,
        checksum=build.checksum,
        checksum_type=build.checksum_type,
        file_size_bytes=build.file_size_bytes,
        download_url=build.download_url,
        created_at=build.release_date,
        repeated=True,
        channel=build.channel,
        percent=build.percent,
    )
