"""The values of publishing a folder: what lies in it, what feed files say of it, and the plan made of both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from updater_client.model import Target

MAX_FILES_OF_A_BUILD = 32
"""A primary file and 31 companions; the server has the last word."""

MAX_VERSION_CHARS = 200

ELSEWHERE = Path()
"""The path of a file that was told and cannot be opened here."""


class FeedError(ValueError):
    """A feed file that cannot be read; the text says why."""


def checked_version(text: str) -> str:
    """Return the version that a feed file tells, without space at its ends.

    Raises:
        FeedError: it is empty, or longer than any.
    """
    version = text.strip()
    if not 0 < len(version) <= MAX_VERSION_CHARS:
        raise FeedError("a version of it is empty, or far too long")
    return version


@dataclass(frozen=True)
class NamedFile:
    """What a feed file says of one file.

    `name` is the last part of its address, decoded. `checksums` are by kind (`sha512`, `sha1`, ...), each in hex or
    base64. `platform` and `architecture` are None where the feed leaves them to the name.
    """

    name: str
    checksums: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int | None = None
    platform: str | None = None
    architecture: str | None = None
    ed25519: str | None = None
    delta_from: str | None = None


@dataclass(frozen=True)
class Feed:
    """What one feed file says of one version; `place` is where it lies in the folder.

    `version` is empty when the file tells none. `files` are those of that version, the one for most people first;
    `others` says of other files why they are left out, by their names: most are of other versions. `metadata` goes to
    the builds of all platforms of `files`.
    """

    place: str
    maker: str
    version: str
    files: tuple[NamedFile, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)
    platform: str | None = None
    architecture: str | None = None
    notes: str = ""
    channel: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class FoundFile:
    """A file in the folder. `place` is its path below the folder with slashes, `name` its name in NFC.

    `path` is `ELSEWHERE` where it lies on no disk of this machine.
    """

    path: Path
    place: str
    name: str
    size_bytes: int
    is_link: bool = False

    @property
    def folder(self) -> str:
        """Return the folder that it lies in, below the one that is published; empty for that one itself."""
        return self.place.rpartition("/")[0]


@dataclass(frozen=True)
class Problem:
    """What stands in the way of publishing, and what the caller of a command may do about it.

    `wish` names what settles it: `version`, `platform`, `architecture`, or `exclude` for files that are to be left out
    or chosen. `place` is the file that it is about; empty when it is about several, or none.
    """

    what: str
    remedy: str
    wish: str = "exclude"
    place: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


@dataclass(frozen=True)
class LeftOut:
    """A file that is not uploaded, why, and how a command takes it all the same; empty where nothing does."""

    place: str
    why: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.why}: {self.remedy}" if self.remedy else self.why


@dataclass(frozen=True)
class Remark:
    """What is worth knowing before a plan is confirmed, and what the caller of a command may say instead."""

    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}" if self.remedy else self.what


@dataclass(frozen=True)
class Contents:
    """What was found in a folder: its files by their place, what its feed files say, and its minisign signatures.

    `signatures` are texts by the place of the file that they sign.
    """

    files: tuple[FoundFile, ...]
    feeds: tuple[Feed, ...]
    signatures: Mapping[str, str]
    left_out: tuple[LeftOut, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Wishes:
    """What the caller says instead of leaving it to the folder; None and empty leave it.

    `platform` and `architecture` are for files that tell none. With `include` only files that one of its patterns
    fits are taken, and those whatever they are; files that `exclude` fits are as if they were not there.
    """

    version: str | None = None
    channel: str | None = None
    notes: str | None = None
    platform: str | None = None
    architecture: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedFile:
    """A file to publish: what it is called, for which targets, and which of them have it as their primary file.

    `checksums` are those that must hold: kind, text, and the feed file that says so. `feeds` names the makers of those
    files. `signatures` are by scheme: `minisign`, `ed25519`. `sha256` and `modified_at_ns` are told once it was read.
    """

    path: Path
    place: str
    name: str
    kind: str
    targets: tuple[Target, ...]
    primary_of: tuple[Target, ...]
    size_bytes: int
    signatures: Mapping[str, str] = field(default_factory=dict)
    delta_from: str | None = None
    checksums: tuple[tuple[str, str, str], ...] = ()
    feeds: tuple[str, ...] = ()
    sha256: str = ""
    modified_at_ns: int = 0


@dataclass(frozen=True)
class Plan:
    """What is to be published. With `problems` it must not be.

    `channel` is what the caller wished, else what a feed file says. `metadata` is by platform. `remarks` are worth
    knowing before it is confirmed.
    """

    version: str
    channel: str | None
    notes: str
    files: tuple[PlannedFile, ...]
    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[Remark, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def targets(self) -> tuple[Target, ...]:
        """Return the targets of all files, once each, in their order."""
        return tuple(dict.fromkeys(target for file in self.files for target in file.targets))

    @property
    def require(self) -> tuple[str, ...]:
        """Return what must be there for the release to go live: each file of each target."""
        return tuple(f"{target}/{file.name}" for file in self.files for target in file.targets)
