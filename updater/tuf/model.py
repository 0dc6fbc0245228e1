"""The values of TUF repositories: names, metadata files, and targets. PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from updater.catalog.files import own_name
from updater.errors import Invalid

MAX_PATH_NAMES: Final = 8
MAX_METADATA_BYTES: Final = 5_000_000
MAX_METADATA_FILES: Final = 64

ROOT, TIMESTAMP, SNAPSHOT, TARGETS = "root", "timestamp", "snapshot", "targets"
_METADATA = re.compile(r"(?:([1-9][0-9]{0,15})\.)?(.+)\.json", re.DOTALL)
_PREFIXED = re.compile(r"([0-9a-f]{64})\.(.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Named:
    """What metadata says of a file: a version of other metadata, or the bytes of a target."""

    version: int = 0
    size_bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Metadata:
    """A metadata file. `role` is that of its name, and `number` the version before it, None in a plain name.

    `consistent` is what a root says of the names that clients ask for. `meta` are the metadata files that a timestamp
    or a snapshot names, `targets` the targets that a file of targets names, by path, and `delegates` the roles to which
    it delegates.
    """

    name: str
    role: str
    number: int | None
    version: int
    digest: str
    size_bytes: int
    expires_at: datetime | None = None
    consistent: bool | None = None
    meta: Mapping[str, Named] = field(default_factory=dict)
    targets: Mapping[str, Named] = field(default_factory=dict)
    delegates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Target:
    """A stored target. `bound`: published metadata names it, so that its path has these bytes for ever."""

    path: str
    digest: str
    size_bytes: int
    bound: bool
    damaged: bool
    created_at: datetime


def split_metadata_name(name: str) -> tuple[str, int | None] | None:
    """Return the role and the number of a metadata file: `("root", 2)` of `2.root.json`. None for another name."""
    found = _METADATA.fullmatch(name)
    return None if found is None else (found[2], None if found[1] is None else int(found[1]))


def own_path(text: str) -> str | None:
    """Return the path of a target, in NFC: 1 to 8 names with slashes between them; None for what is no such path."""
    names = [own_name(each) for each in text.split("/")]
    kept = [each for each in names if each is not None]
    return "/".join(kept) if len(kept) == len(names) <= MAX_PATH_NAMES else None


def split_prefix(path: str) -> tuple[str, str] | None:
    """Return the digest and the path of `folder/{sha256}.name`; None for a path without a digest."""
    folder, slash, last = path.rpartition("/")
    found = _PREFIXED.fullmatch(last)
    return None if found is None else (found[1], f"{folder}{slash}{found[2]}")


def shown(text: str) -> str:
    """Return what somebody else wrote as it may stand in a reason: short, and without what is never shown."""
    clean = "".join(each if each.isprintable() else "?" for each in text[:80])
    return clean + ("..." if len(text) > 80 else "")


def require_channel(channels: Sequence[str], channel: str) -> None:
    """Hold a publisher to an application's channels. Raises Invalid."""
    if channel not in channels:
        raise Invalid({"channel": f"must be one of: {', '.join(channels)}"})
