"""The words of the desktop document: names of files, addresses, platform words."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from updater.catalog.files import safe_name, suffix_of
from updater.catalog.model import Build, Release, ReleaseStatus
from updater.settings import DesktopSettings
from updater.times import rfc3339
from updater.web.desktop.words import WORDS
from updater.web.messages.links import Links


class Names:
    """What the answers of one mounted API call things."""

    def __init__(self, settings: DesktopSettings, links: Links) -> None:
        self.application = settings.application
        self.links = links
        self.prefix = settings.prefix
        self._pattern = settings.file_name

    def file_name(self, build: Build) -> str:
        """Return the generated name of a package: `BKGT-Manager-1.2.3-win32-x64.exe`."""
        filled = self._pattern.format(
            application=build.application_id,
            version=build.version.text,
            platform=WORDS[build.target],
            suffix=suffix_of(build.file.name) if build.file else "",
        )
        return safe_name(filled)

    def download_url(self, origin: str, version: str, platform: str | None = None) -> str:
        """Return the absolute address of a version, or of its package for a platform."""
        base = f"{origin}{self.prefix}/download/{quote(version, safe='')}"
        return base if platform is None else f"{base}/{platform}"

    def latest(self, release: Release, builds: list[Build], origin: str) -> dict[str, Any]:
        """Render the answer about the latest version with the packages of `builds`."""
        return {
            "version": release.version.text,
            "release_date": rfc3339(release.created_at),
            "download_url": self.download_url(origin, release.version.text),
            "changelog": release.notes,
            "critical": release.required,
            "platforms": {WORDS[build.target]: self._package(build) for build in builds},
            "minimum_version": release.minimum.text if release.minimum else None,
        }

    def _package(self, build: Build) -> dict[str, Any]:
        return {"filename": self.file_name(build), "size": build.size_bytes or 0, "hash": package_hash(build)}


def package_hash(build: Build) -> str:
    """Return `sha256:abc123...`; another word in front when an external build was announced with another checksum."""
    return f"{build.checksum.kind}:{build.checksum.value}"


def in_word_order(release: Release) -> list[Build]:
    """Return a release's builds in the order of the document's platform words."""
    return [release.builds[target] for target in WORDS if target in release.builds]


def update_item(release: Release, downloads: dict[int, int]) -> dict[str, Any]:
    """Render a release in the list; `downloads` counts by build id."""
    builds = in_word_order(release)
    return {
        "id": release.id,
        "version": release.version.text,
        "release_date": rfc3339(release.created_at),
        "critical": release.required,
        "platforms": [WORDS[build.target] for build in builds],
        "download_count": sum(downloads.get(build.id, 0) for build in builds),
        "status": "active" if release.status is ReleaseStatus.ACTIVE else "inactive",
    }
