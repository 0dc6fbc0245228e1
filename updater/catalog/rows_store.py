"""What a row of the catalog is, both ways: the statement all builds are read by, and their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import and_, or_, select

from updater.catalog.model import CONFIG_DEFAULTS, Application, Build, Checksum, ExternalFile, HostedFile
from updater.catalog.platforms import DESKTOP_WORDS, Target
from updater.catalog.versions import Scheme, Version, parse_version
from updater.database.tables import blob, build, release

ACTIVE, INACTIVE = "active", "inactive"
BUILD = (
    select(
        build,
        release.c.application_id,
        release.c.version,
        release.c.sort_key,
        release.c.prerelease,
        release.c.status,
        blob.c.quarantined_at,
    )
    .join(release, release.c.id == build.c.release_id)
    .outerjoin(blob, blob.c.digest == build.c.digest)
)
FOR_DESKTOP = or_(
    *(
        and_(build.c.platform == target.platform, build.c.architecture == target.architecture)
        for target in DESKTOP_WORDS
    )
)

# As `is_three_numbers`: a normalised version that is no pre-release differs from three numbers by its count of
# dots, an epoch (!), a post-release (p) or build metadata (+).
THREE_NUMBERS = (
    release.c.prerelease.is_(False),
    release.c.version.like("%.%.%"),
    *(release.c.version.not_like(f"%{mark}%") for mark in (".%.%.", "!", "p", "+")),
)


def application_values(each: Application) -> dict[str, Any]:
    """Return the columns of an application, but for its id."""
    ceiling = each.config["max_version"]
    return {
        "name": each.name,
        "description": each.description,
        "platforms": list(each.platforms),
        "config": dict(each.config),
        "scheme": each.scheme.value,
        "ceiling_key": parse_version(ceiling, each.scheme).sort_key if ceiling else None,
        "created_at": each.created_at,
        "updated_at": each.updated_at,
    }


def application_of(row: Mapping[Any, Any]) -> Application:
    """Return the application of a row."""
    return Application(
        id=row["id"],
        name=row["name"],
        description=row["description"],
        platforms=tuple(row["platforms"]),
        config={**CONFIG_DEFAULTS, **row["config"]},
        scheme=Scheme(row["scheme"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def file_values(file: ExternalFile | HostedFile) -> dict[str, Any]:
    """Return the columns that say where a build's bytes are."""
    if isinstance(file, HostedFile):
        return {
            "digest": file.digest,
            "checksum_type": "sha256",
            "checksum": file.digest,
            "size_bytes": file.size_bytes,
            "suffix": file.suffix,
        }
    return {
        "url": file.url,
        "checksum_type": file.checksum.kind,
        "checksum": file.checksum.value,
        "size_bytes": file.size_bytes,
        "suffix": "",
    }


def build_of(row: Mapping[Any, Any]) -> Build:
    """Return the build of a row of `BUILD`."""
    minimum_text, minimum_key = row["minimum_version"], row["minimum_key"]
    return Build(
        id=row["id"],
        release_id=row["release_id"],
        application_id=row["application_id"],
        version=Version(row["version"], row["sort_key"], row["prerelease"]),
        target=Target(row["platform"], row["architecture"]),
        digest=row["digest"],
        url=row["url"],
        checksum=Checksum(row["checksum_type"], row["checksum"]),
        size_bytes=row["size_bytes"],
        suffix=row["suffix"],
        notes=row["notes"],
        required=row["required"],
        # Whether a minimum is a pre-release is never asked: only its key is compared.
        minimum=None if minimum_text is None else Version(minimum_text, minimum_key, prerelease=False),
        metadata=row["metadata"],
        created_at=row["created_at"],
        active=row["status"] == ACTIVE,
        quarantined=row["quarantined_at"] is not None,
    )
