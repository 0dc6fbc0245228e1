"""What uploads answer once their file is published, whichever way it came. PURE."""

from __future__ import annotations

from typing import Any

from updater.catalog.model import Build, BuildFile
from updater.times import rfc3339


def build_id(build: Build) -> str:
    """Render the id of a build: `rel-001`."""
    return f"rel-{build.id:03d}"


def file_id(file: BuildFile) -> str:
    """Render the id of a file: `file-001`."""
    return f"file-{file.id:03d}"


def added_file(build: Build, file: BuildFile, url: str) -> dict[str, Any]:
    """Render what the upload of a companion answers."""
    return {
        "id": file_id(file),
        "message": "File uploaded successfully",
        "version": build.version.text,
        "platform": build.target.platform,
        "architecture": build.target.architecture,
        "file_name": file.name,
        "kind": file.kind.value,
        "checksum": file.digest,
        "checksum_type": "sha256",
        "file_size": file.size_bytes,
        "download_url": url,
        "created_at": rfc3339(file.created_at),
        "status": build.status.value,
    }


def published_build(build: Build, url: str) -> dict[str, Any]:
    """Render what the upload of a build answers."""
    return {
        "id": build_id(build),
        "message": "Release uploaded successfully",
        "version": build.version.text,
        "platform": build.target.platform,
        "architecture": build.target.architecture,
        "checksum": build.checksum.value,
        "checksum_type": build.checksum.kind,
        "file_size": build.size_bytes,
        "download_url": url,
        "created_at": rfc3339(build.created_at),
        "status": build.status.value,
    }
