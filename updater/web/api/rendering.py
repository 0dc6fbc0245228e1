"""How the REST API writes what the services answer. PURE."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from updater.catalog.drafts import PublishedRelease
from updater.catalog.file_store import DEVELOPER
from updater.catalog.model import Application, ApplicationStats, Build, BuildFile, Page
from updater.feeds.registry import feed_statuses
from updater.offers.decision import NoUpdate, Offer
from updater.offers.feed_choice import FeedBuild
from updater.rollouts.releases import ReleaseDetails
from updater.times import rfc3339
from updater.web.api.questions import CheckQuestion
from updater.web.messages.links import Links
from updater.web.transfer.published import build_id


def offer_keys(build: Build, download_url: str) -> dict[str, Any]:
    """Render what every answer about a build says of its file."""
    return {
        "download_url": download_url,
        "checksum": build.checksum.value,
        "checksum_type": build.checksum.kind,
        "file_size": build.size_bytes or 0,
        "release_notes": build.notes,
        "release_date": rfc3339(build.released_at),
        "required": build.required,
    }


def check_answer(decided: Offer | NoUpdate, question: CheckQuestion, links: Links, origin: str) -> dict[str, Any]:
    """Render what a check answers."""
    if isinstance(decided, NoUpdate):
        return {"update_available": False, "current_version": question.current_version, "required": False}
    build = decided.build
    answer = {
        "update_available": True,
        "latest_version": build.version.text,
        "current_version": question.current_version,
        **offer_keys(build, links.download_url(build, origin)),
        "required": decided.required,
        "minimum_version": build.minimum.text if build.minimum else "",
    }
    if question.include_metadata:
        answer["metadata"] = build.metadata
    return answer


def file_item(file: BuildFile, url: str) -> dict[str, Any]:
    """Render a file in a listing. The SHA-512 is in base64, as updaters compare it."""
    return {
        "name": file.name,
        "kind": file.kind.value,
        "primary": file.primary,
        "size": file.size_bytes,
        "sha256": file.digest,
        "sha512": None if file.sha512 is None else b64encode(bytes.fromhex(file.sha512)).decode(),
        "sha1": file.sha1,
        "signatures": sorted(file.signatures, reverse=True),
        "delta_from": file.delta_from,
        "made_by": file.made_by,
        "download_url": url,
        "created_at": rfc3339(file.created_at),
    }


def published_release(published: PublishedRelease) -> dict[str, Any]:
    """Render a release that has gone live, with what each target's feeds say of it."""
    release = published.release
    return {
        "version": release.version,
        "message": "Release published successfully",
        "status": release.status.value,
        "published_at": rfc3339(release.published_at or release.created_at),
        "builds": len(published.builds),
        # What the server makes of them comes later, and publishing again has the same answer.
        "files": sum(each.made_by == DEVELOPER for files in published.files.values() for each in files),
        "feeds": {
            "/".join(each.target): feed_statuses(
                published.application, FeedBuild(each, tuple(published.files.get(each.id, ())))
            )
            for each in published.builds
        },
    }


def release_item(
    application: Application, build: Build, files: Sequence[BuildFile], links: Links, origin: str, percent: float
) -> dict[str, Any]:
    """Render a build in a listing; `percent` is the share of clients that its release is for."""
    return {
        "id": build_id(build),
        "version": build.version.text,
        "platform": build.target.platform,
        "architecture": build.target.architecture,
        **offer_keys(build, links.download_url(build, origin)),
        "minimum_version": build.minimum.text if build.minimum else "",
        "channel": build.channel,
        "status": build.status.value,
        "percent": percent,
        "feeds": feed_statuses(application, FeedBuild(build, tuple(files))),
        "files": [file_item(each, links.file_url(build, each.name, origin)) for each in files],
    }


def release_details(details: ReleaseDetails) -> dict[str, Any]:
    """Render a release with its builds and its rollout."""
    release = details.release
    return {
        "application_id": details.application_id,
        "version": release.version,
        "channel": release.channel,
        "status": release.status.value,
        "prerelease": release.prerelease,
        "created_at": rfc3339(release.created_at),
        "rollout": details.rollout,
        "builds": [
            {
                "id": build_id(each),
                "platform": each.target.platform,
                "architecture": each.target.architecture,
                "checksum": each.checksum.value,
                "checksum_type": each.checksum.kind,
                "file_size": each.size_bytes or 0,
                "quarantined": each.quarantined,
            }
            for each in details.builds
        ],
    }


def application_item(each: Application) -> dict[str, Any]:
    """Render an application in a listing."""
    return {
        "id": each.id,
        "name": each.name,
        "description": each.description,
        "platforms": list(each.platforms),
        "created_at": rfc3339(each.created_at),
        "updated_at": rfc3339(each.updated_at),
    }


def stats_keys(stats: ApplicationStats) -> dict[str, Any]:
    """Render the counts over an application's builds."""
    released_at = stats.latest_release_at
    return {
        "total_releases": stats.total_releases,
        "latest_version": stats.latest_version,
        "latest_release_date": rfc3339(released_at) if released_at else None,
        "platform_count": stats.platform_count,
        "required_releases": stats.required_releases,
    }


def page_keys(page: Page, shown: int, total: int) -> dict[str, Any]:
    """Render what every listing says of itself."""
    return {
        "total_count": total,
        "page": page.offset // page.limit + 1,
        "page_size": page.limit,
        "has_more": page.offset + shown < total,
    }
