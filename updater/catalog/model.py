"""The values of the catalog: frozen, without behaviour beyond their own fields. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from updater.catalog.files import FileKind
from updater.catalog.platforms import Target
from updater.catalog.versions import Scheme, Version

# Source: "Application Config fields" of the REST document.
CONFIG_DEFAULTS: dict[str, Any] = {
    "update_check_url": "",
    "auto_update": False,
    "update_interval": 3600,
    "required_update": False,
    "min_version": "",
    "max_version": "",
    "allow_prerelease": False,
    "notification_url": "",
    "analytics_enabled": False,
    "custom_fields": {},
}

APPLICATION_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
DEFAULT_CHANNELS = ("stable",)
CHECKSUM_KINDS = ("sha256", "sha512", "sha1", "md5")


@dataclass(frozen=True, slots=True)
class Application:
    """A product. `config` holds the fields of `CONFIG_DEFAULTS`, all of them.

    `channels` are in order, the most stable first. `default_rollout` is the plan, as a canonical JSON object, of new
    releases that are published without one; None: they are for everybody. Of a private application, installed clients
    too need a key. `keys` are public keys that signatures of its files are held to, by scheme (`minisign`, `ed25519`);
    `feeds` holds what the feeds of package managers say of it, by feed.
    """

    id: str
    name: str
    description: str
    platforms: tuple[str, ...]
    config: Mapping[str, Any]
    scheme: Scheme
    created_at: datetime
    updated_at: datetime
    private: bool = False
    channels: tuple[str, ...] = DEFAULT_CHANNELS
    default_rollout: Mapping[str, Any] | None = None
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    feeds: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checksum:
    """A digest as announced: `kind` is one of `CHECKSUM_KINDS`, `value` any non-empty text."""

    kind: str
    value: str


class ReleaseStatus(StrEnum):
    """Where a release is in its life: not offered yet, offered, taken back."""

    DRAFT = "draft"
    ACTIVE = "active"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class BuildDetails:
    """What a publisher says of a build, its versions parsed by the application's scheme."""

    version: Version
    target: Target
    notes: str
    required: bool
    minimum: Version | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExternalFile:
    """A file on another host, as it was announced."""

    url: str
    checksum: Checksum
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a build in the store: its name within the build, its kind, and the SHA-256 of its bytes."""

    id: int
    name: str
    kind: FileKind
    digest: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BuildFile:
    """A file of a build, the primary one or a companion.

    Digests are lower-case hex; `sha512` and `sha1` are None while they are not known. `signatures` are those of the
    developer, by scheme, as they were given. `delta_from` is what a delta turns into the build's version. `made_by` is
    `developer` or `server`. `facts` are what was found in the bytes, such as `block_map_size` in bytes.
    """

    id: int
    name: str
    kind: FileKind
    primary: bool
    digest: str
    size_bytes: int
    sha512: str | None
    sha1: str | None
    signatures: Mapping[str, str]
    delta_from: str | None
    made_by: str
    created_at: datetime
    quarantined: bool
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Build:
    """A release for one platform and architecture.

    A hosted build has its primary file in `file`; an external one has None there, and its address in `url`. That of a
    draft may have neither yet: its companions came first, and its checksum is empty.
    Notes, required flag and minimum belong to the build: the REST document gives each platform its own.
    `complete` says that its release is for all clients; of others, some clients get the release before. `channel` is
    that of its release, at `channel_position` in the application's list.
    """

    id: int
    release_id: int
    application_id: str
    version: Version
    target: Target
    file: StoredFile | None
    url: str | None
    checksum: Checksum
    size_bytes: int | None
    notes: str
    required: bool
    minimum: Version | None
    metadata: Mapping[str, Any]
    created_at: datetime
    status: ReleaseStatus
    complete: bool
    quarantined: bool
    channel: str
    channel_position: int
    published_at: datetime | None = None

    @property
    def released_at(self) -> datetime:
        """Return the later of upload and publishing: since then clients could have it."""
        return self.created_at if self.published_at is None else max(self.created_at, self.published_at)


@dataclass(frozen=True, slots=True)
class ReleaseFamily:
    """The releases that one kind of client knows: those for its targets whose versions are so many plain numbers."""

    targets: frozenset[Target]
    numbers: int


@dataclass(frozen=True, slots=True)
class Release:
    """One version over its builds for the targets of a family, by target.

    Notes and time of release are the first build's. It is required when any build is, and its minimum is the highest of
    its builds': a client that asks without naming a platform must not be led across any platform's gap.
    """

    id: int
    version: Version
    status: ReleaseStatus
    complete: bool
    notes: str
    required: bool
    minimum: Version | None
    created_at: datetime
    builds: Mapping[Target, Build]


def gather_releases(builds: Iterable[Build]) -> list[Release]:
    """Put builds together by release; the releases are in the order of their first mention."""
    grouped: dict[int, list[Build]] = {}
    for build in builds:
        grouped.setdefault(build.release_id, []).append(build)
    return [_release(sorted(each, key=lambda build: build.id)) for each in grouped.values()]


def _release(builds: list[Build]) -> Release:
    first = builds[0]
    minimums = [build.minimum for build in builds if build.minimum is not None]
    return Release(
        id=first.release_id,
        version=first.version,
        status=first.status,
        complete=first.complete,
        notes=first.notes,
        required=any(build.required for build in builds),
        minimum=max(minimums, key=lambda version: version.sort_key, default=None),
        created_at=first.released_at,
        builds={build.target: build for build in builds},
    )


@dataclass(frozen=True, slots=True)
class ApplicationStats:
    """Counts over the builds of one application."""

    total_releases: int
    latest_version: str | None
    latest_release_at: datetime | None
    platform_count: int
    required_releases: int


@dataclass(frozen=True, slots=True)
class Page:
    """Where a listing starts and how many rows it may give."""

    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class ReleaseQuery:
    """Which releases of an application a listing asks for, whatever their status where none is named."""

    channel: str | None = None
    platform: str | None = None
    status: ReleaseStatus | None = None
    page: Page = Page()


@dataclass(frozen=True, slots=True)
class BuildQuery:
    """Which builds of an application a listing asks for, and in which order."""

    platform: str | None = None
    architecture: str | None = None
    version: str | None = None
    required: bool | None = None
    channel: str | None = None
    status: ReleaseStatus | None = None
    sort_by: str = "release_date"
    descending: bool = True
    page: Page = Page()
