"""The values that go in and come out: frozen, without any I/O."""

from __future__ import annotations

import platform as running
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar
from uuid import uuid4

from updater_client.words import PLATFORMS, find_architecture, find_platform

Progress = Callable[[int, int | None], None]
"""Called with bytes done and bytes in all (None: not known). Goes back when a transfer starts over.

An exception raised in it ends the transfer; what a fetch has received so far stays for the next time.
"""

RolloutPlan = float | Mapping[str, Any]
"""A percent of the clients, or a plan as the server's interface describes it, such as
`{"stages": [{"percent": 1, "for_s": 3600}, {"percent": 100}]}`."""


@dataclass(frozen=True)
class Target:
    """What a build runs on: one of `PLATFORMS` and one of `ARCHITECTURES`. The server has the last word.

    Words that people use for them, such as `macos` and `x64`, become these.
    """

    platform: str
    architecture: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "platform", find_platform(self.platform) or self.platform)
        object.__setattr__(self, "architecture", find_architecture(self.architecture) or self.architecture)

    @classmethod
    def this(cls) -> Target:
        """Return the target of this computer. An architecture without a known name keeps the system's name."""
        return cls(sys.platform, running.machine().lower())

    def __str__(self) -> str:
        return f"{self.platform}/{self.architecture}"


@dataclass(frozen=True)
class Build:
    """One build of one version: what there is to download, and how to know that it is right.

    `checksum` is a `checksum_type` (sha256, sha512, sha1, md5) as its publisher wrote it: hex or base64.
    `file_size_bytes` is None where the server does not know it (external files). `metadata` is `{}` unless asked for.
    """

    version: str
    target: Target
    download_url: str
    checksum: str
    checksum_type: str
    file_size_bytes: int | None = None
    release_notes: str = ""
    release_date: datetime | None = None
    required: bool = False
    minimum_version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True)
class BuildFile:
    """A file of a build, its primary one or a companion, as the list of releases has it.

    `kind` is what it is for (`installer`, `archive`, ...), `signatures` names those that it has (`minisign`,
    `ed25519`). `sha512` is base64, `sha1` hex; None while the server does not know them. `made_by` is `developer` or
    `server`.
    """

    name: str
    kind: str
    primary: bool
    size_bytes: int
    sha256: str
    signatures: tuple[str, ...]
    made_by: str
    download_url: str
    sha512: str | None = None
    sha1: str | None = None
    delta_from: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True)
class ListedBuild(Build):
    """A build in the list of releases: also its release's channel, status, and the percent of clients it is for.

    They are None where the server does not know of them; so are `files`, the primary one first, and `feeds`, which
    says for each feed that the build is listed in it, or why not.
    """

    channel: str | None = None
    status: str | None = None
    percent: float | None = None
    files: tuple[BuildFile, ...] | None = None
    feeds: Mapping[str, str] | None = None


@dataclass(frozen=True)
class CheckResult:
    """The answer to "is there something newer for me?". `build` is None when there is not."""

    current_version: str
    build: Build | None
    required: bool

    @property
    def update_available(self) -> bool:
        """Say whether there is a build to fetch."""
        return self.build is not None


@dataclass(frozen=True)
class NewBuild:
    """A file to publish as one build of one version: its primary file.

    `channel` and `rollout` are those of a new release; None leaves them to the server. The file is called `file_name`,
    else as it is on the disk. `also` are further architectures that it is for. With `draft` a new release is live only
    once it is published. `signatures` are the developer's, by scheme: `minisign`, `ed25519`.
    """

    path: Path
    version: str
    target: Target
    release_notes: str = ""
    required: bool = False
    minimum_version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    channel: str | None = None
    rollout: RolloutPlan | None = None
    file_name: str | None = None
    also: tuple[str, ...] = ()
    draft: bool = False
    signatures: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))


@dataclass(frozen=True)
class ExternalBuild:
    """A build whose file lies elsewhere; the server only knows its address and checksum.

    `channel` and `rollout` as for `NewBuild`.
    """

    version: str
    target: Target
    download_url: str
    checksum: str
    checksum_type: str = "sha256"
    file_size_bytes: int | None = None
    release_notes: str = ""
    required: bool = False
    minimum_version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    channel: str | None = None
    rollout: RolloutPlan | None = None


@dataclass(frozen=True)
class PublishedBuild:
    """A build the server holds now. `repeated`: it was there already, with these bytes, and stayed as it was.

    Of such a one, `channel` and `percent` say for whom it is; else they are None.
    """

    id: str
    version: str
    target: Target
    checksum: str
    checksum_type: str
    file_size_bytes: int | None
    download_url: str
    created_at: datetime | None
    repeated: bool = False
    channel: str | None = None
    percent: float | None = None


@dataclass(frozen=True)
class Registered:
    """The receipt for a registered release or a created application. `repeated`: the very same was there already."""

    id: str
    created_at: datetime | None
    repeated: bool = False


@dataclass(frozen=True)
class FetchedFile:
    """A verified file in its place.

    `received_bytes` came over the wire this time; `resumed_bytes` were there from an earlier try. Both are
    0 and `size_bytes` respectively when the file was already complete.
    """

    path: Path
    size_bytes: int
    checksum: str
    checksum_type: str
    received_bytes: int
    resumed_bytes: int


@dataclass(frozen=True)
class InstallReport:
    """How an installation went. The same `report_id` counts once, however often it is sent."""

    current_version: str
    target_version: str
    target: Target
    status: Literal["completed", "failed", "cancelled"]
    error_message: str | None = None
    install_time_seconds: int | None = None
    report_id: str = field(default_factory=lambda: str(uuid4()))


@dataclass(frozen=True)
class Application:
    """A product. The last seven are None in lists, where the server does not send them.

    `channels`, the most stable first; `default_rollout`, the plan of releases that are published without one; `feeds`,
    what it says to package managers, by feed; `keys`, the public keys by scheme (`minisign`, `ed25519`) that signatures
    of its files are held to.
    """

    id: str
    name: str
    description: str
    platforms: tuple[str, ...]
    created_at: datetime | None
    updated_at: datetime | None
    config: Mapping[str, Any] | None = None
    stats: Mapping[str, Any] | None = None
    private: bool | None = None
    channels: tuple[str, ...] | None = None
    default_rollout: Mapping[str, Any] | None = None
    feeds: Mapping[str, Any] | None = None
    keys: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class NewApplication:
    """An application to create; None leaves a thing to the server: not private, one channel `stable`, no plan, no feed.

    `channels` have the most stable first. `keys` are public keys by scheme: `{"minisign": [...], "ed25519": [...]}`.
    """

    id: str
    name: str
    description: str = ""
    platforms: tuple[str, ...] = PLATFORMS
    config: Mapping[str, Any] = field(default_factory=dict)
    private: bool | None = None
    channels: tuple[str, ...] | None = None
    default_rollout: RolloutPlan | None = None
    feeds: Mapping[str, Any] | None = None
    keys: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ApplicationChanges:
    """What to change of an application; None leaves it as it is. `config` is merged, not replaced; `feeds` is replaced.

    `no_default_rollout` takes the default plan away: releases published without one are for everybody again.
    """

    name: str | None = None
    description: str | None = None
    platforms: tuple[str, ...] | None = None
    config: Mapping[str, Any] | None = None
    private: bool | None = None
    channels: tuple[str, ...] | None = None
    default_rollout: RolloutPlan | None = None
    feeds: Mapping[str, Any] | None = None
    no_default_rollout: bool = False
    keys: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class BuildQuery:
    """Which builds to list, in which order; None does not filter."""

    version: str | None = None
    platform: str | None = None
    architecture: str | None = None
    required: bool | None = None
    limit: int = 50
    offset: int = 0
    sort_by: str = "release_date"
    sort_order: str = "desc"
    channel: str | None = None

    def __post_init__(self) -> None:
        if self.platform is not None:
            object.__setattr__(self, "platform", find_platform(self.platform) or self.platform)
        if self.architecture is not None:
            object.__setattr__(self, "architecture", find_architecture(self.architecture) or self.architecture)


T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a list, in the server's order, and how long the whole list is."""

    items: tuple[T, ...]
    total_count: int
    has_more: bool
