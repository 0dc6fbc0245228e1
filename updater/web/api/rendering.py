"""How the REST API writes what the services answer. PURE."""

from __future__ import annotations

from typing import Any

from updater.catalog.model import Application, ApplicationStats, Build, Page
from updater.web.messages.times import rfc3339


def build_id(build: Build) -> str:
    """Render the id of a build: `rel-001`."""
    return f"rel-{build.id:03d}"


def offer_keys(build: Build, download_url: str) -> dict[str, Any]:
    """Render what every answer about a build says of its file."""
    return {
        "download_url": download_url,
        "checksum": build.checksum.value,
        "checksum_type": build.checksum.kind,
        "file_size": build.size_bytes or 0,
        "release_notes": build.notes,
        "release_date": rfc3339(build.created_at),
        "required": build.required,
    }


def release_item(build: Build, download_url: str) -> dict[str, Any]:
    """Render a build in a listing."""
    return {
        "id": build_id(build),
        "version": build.version.text,
        "platform": build.target.platform,
        "architecture": build.target.architecture,
        **offer_keys(build, download_url),
        "minimum_version": build.minimum.text if build.minimum else "",
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
