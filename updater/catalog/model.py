"""The values of the catalog: frozen, without behaviour beyond their own fields. PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

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
CHECKSUM_KINDS = ("sha256", "sha512", "sha1", "md5")


@dataclass(frozen=True, slots=True)
class Application:
    """A product. `config` holds the fields of `CONFIG_DEFAULTS`, all of them."""

    id: str
    name: str
    description: str
    platforms: tuple[str, ...]
    config: Mapping[str, Any]
    scheme: Scheme
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Checksum:
    """A digest as announced: `kind` is one of `CHECKSUM_KINDS`, `value` any non-empty text."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Draft:
    """What a publisher says of a build before it exists."""

    version: Version
    target: Target
    notes: str = ""
    required: bool = False
    minimum: Version | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    # Notes, required flag and minimum are those of the version's first build, when there is one already.
    follows_first: bool = False


@dataclass(frozen=True, slots=True)
class ExternalFile:
    """A file that somebody else serves."""

    url: str
    checksum: Checksum
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class HostedFile:
    """A file of our own store. `suffix` is the kept part of the uploaded name, such as `.dmg`, or empty."""

    digest: str
    size_bytes: int
    suffix: str


@dataclass(frozen=True, slots=True)
class Build:
    """A release for one platform and architecture.

    `digest` is the blob's SHA-256 for a hosted build, None for an external one, whose address is `url`.
    Notes, required flag and minimum belong to the build: the REST document gives each platform its own.
    """

    id: int
    release_id: int
    application_id: str
    version: Version
    target: Target
    digest: str | None
    url: str | None
    checksum: Checksum
    size_bytes: int | None
    suffix: str
    notes: str
    required: bool
    minimum: Version | None
    metadata: Mapping[str, Any]
    created_at: datetime
    active: bool
    quarantined: bool


@dataclass(frozen=True, slots=True)
class Release:
    """One version over its builds for the targets of the desktop document, by target.

    Notes and time are the first build's. It is required when any build is, and its minimum is the highest of
    its builds': whoever asks without naming a platform must not be led across any platform's gap.
    """

    id: int
    version: Version
    active: bool
    notes: str
    required: bool
    minimum: Version | None
    created_at: datetime
    builds: Mapping[Target, Build]


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
class BuildQuery:
    """Which builds of an application a listing asks for, and in which order."""

    platform: str | None = None
    architecture: str | None = None
    version: str | None = None
    required: bool | None = None
    sort_by: str = "release_date"
    descending: bool = True
    page: Page = Page()
