"""What a row of the catalog is, both ways: the statement all builds are read by, and their values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from updater.catalog.files import FileKind
from updater.catalog.model import (
    CONFIG_DEFAULTS,
    Application,
    Build,
    Checksum,
    ExternalFile,
    ReleaseFamily,
    ReleaseStatus,
    StoredFile,
)
from updater.catalog.platforms import Target
from updater.catalog.versions import Scheme, Version, parse_version
from updater.database.tables import blob, build, file, release

# A build with its release, its primary file if it is hosted, and that file's blob.
BUILD = (
    select(
        build,
        release.c.application_id,
        release.c.version,
        release.c.sort_key,
        release.c.prerelease,
        release.c.status,
        release.c.complete,
        release.c.channel,
        release.c.channel_position,
        release.c.published_at,
        file.c.id.label("file_id"),
        file.c.name.label("file_name"),
        file.c.kind.label("file_kind"),
        file.c.digest,
        blob.c.size_bytes.label("file_size_bytes"),
        blob.c.quarantined_at,
    )
    .join(release, release.c.id == build.c.release_id)
    .outerjoin(file, and_(file.c.build_id == build.c.id, file.c.is_primary))
    .outerjoin(blob, blob.c.digest == file.c.digest)
)


def in_family(family: ReleaseFamily) -> ColumnElement[bool]:
    """Return the condition that a build, with its release, belongs to a family."""
    return and_(
        release.c.numbers == family.numbers,
        or_(
            *(
                and_(build.c.platform == target.platform, build.c.architecture == target.architecture)
                for target in sorted(family.targets)
            )
        ),
    )


def application_values(each: Application) -> dict[str, Any]:
    """Return the columns of an application, but for its id."""
    ceiling = each.config["max_version"]
    return {
        "name": each.name,
        "description": each.description,
        "platforms": list(each.platforms),
        "channels": list(each.channels),
        "default_rollout": None if each.default_rollout is None else dict(each.default_rollout),
        "config": dict(each.config),
        "scheme": each.scheme.value,
        "private": each.private,
        "keys": {scheme: list(keys) for scheme, keys in each.keys.items()},
        "feeds": dict(each.feeds),
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
        private=row["private"],
        keys={scheme: tuple(keys) for scheme, keys in row["keys"].items()},
        feeds=row["feeds"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        channels=tuple(row["channels"]),
        default_rollout=row["default_rollout"],
    )


def external_values(file: ExternalFile) -> dict[str, Any]:
    """Return the columns of a build that say where an external file is."""
    return {
        "url": file.url,
        "checksum_type": file.checksum.kind,
        "checksum": file.checksum.value,
        "size_bytes": file.size_bytes,
    }


def build_of(row: Mapping[Any, Any]) -> Build:
    """Return the build of a row of `BUILD`."""
    minimum_text, minimum_key = row["minimum_version"], row["minimum_key"]
    stored = _stored_file(row)
    return Build(
        id=row["id"],
        release_id=row["release_id"],
        application_id=row["application_id"],
        version=Version(row["version"], row["sort_key"], row["prerelease"]),
        target=Target(row["platform"], row["architecture"]),
        file=stored,
        url=row["url"],
        checksum=_checksum(row, stored),
        size_bytes=stored.size_bytes if stored else row["size_bytes"],
        notes=row["notes"],
        required=row["required"],
        # Whether a minimum is a pre-release is never asked: only its key is compared.
        minimum=None if minimum_text is None else Version(minimum_text, minimum_key, prerelease=False),
        metadata=row["metadata"],
        created_at=row["created_at"],
        status=ReleaseStatus(row["status"]),
        complete=row["complete"],
        quarantined=row["quarantined_at"] is not None,
        channel=row["channel"],
        channel_position=row["channel_position"],
        published_at=row["published_at"],
    )


def _checksum(row: Mapping[Any, Any], stored: StoredFile | None) -> Checksum:
    if stored is not None:
        return Checksum("sha256", stored.digest)
    return Checksum(row["checksum_type"] or "sha256", row["checksum"] or "")


def _stored_file(row: Mapping[Any, Any]) -> StoredFile | None:
    if row["file_id"] is None:
        return None
    return StoredFile(
        row["file_id"], row["file_name"], FileKind(row["file_kind"]), row["digest"], row["file_size_bytes"]
    )
