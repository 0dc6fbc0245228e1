"""What publishers ask for, as values: surfaces make them, the use cases hold them to the application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from updater.artifacts.received import Received
from updater.catalog.files import FileKind
from updater.catalog.model import Build, BuildFile
from updater.catalog.platforms import Target
from updater.database.engine import Connection


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """What a publisher says of one build. Versions are texts: the application's scheme decides whether they fit.

    A further build of an equal version joins its release, and has the version as that spells it.
    """

    application_id: str
    version: str
    target: Target
    notes: str = ""
    required: bool = False
    minimum_version: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    # Notes, required flag and minimum are those of the version's first build, when there is one already.
    follows_first: bool = False
    # None: where the release is; the first channel for a new one.
    channel: str | None = None
    # The plan of the release, as a canonical JSON object; None: what it has, or the application's default.
    rollout: Mapping[str, Any] | None = None
    # Further architectures that the same build is for.
    also: tuple[str, ...] = ()
    # A new release is not live yet. Without it a release that is a draft already stays one.
    draft: bool = False
    # A release that is a draft takes nothing: its clients know live releases only.
    live: bool = False

    @property
    def targets(self) -> tuple[Target, ...]:
        """Return what the build is for: its target first, then the further ones, each once."""
        return _with_further(self.target, self.also)


@dataclass(frozen=True, slots=True)
class FileRequest:
    """What a publisher says of a companion: the build it belongs to, and the name it asks for."""

    application_id: str
    version: str
    target: Target
    name: str
    also: tuple[str, ...] = ()
    draft: bool = False

    @property
    def targets(self) -> tuple[Target, ...]:
        """Return the targets of the builds that get the file: its own first, then the further ones, each once."""
        return _with_further(self.target, self.also)


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A staged file, as its publisher describes it.

    `uploaded_name` is what the publisher calls it, `checksum` the SHA-256 it announced, in hex, `kind` what it says
    that the file is (None: what the name tells), `signatures` the developer's by scheme, and `delta_from` what a delta
    turns into the build's version.
    """

    staged: Received
    uploaded_name: str = ""
    checksum: str | None = None
    kind: FileKind | None = None
    signatures: Mapping[str, str] = field(default_factory=dict)
    delta_from: str | None = None


@dataclass(frozen=True, slots=True)
class AnnouncedFile:
    """A file that is still to come: its name, its kind (None: what the name tells), its SHA-256 where it is known."""

    name: str
    kind: FileKind | None = None
    digest: str | None = None


Within = Callable[[Connection, Build, BuildFile | None], Awaitable[None]]
"""Work in the transaction that publishes: it gets the build, and the file when that is a companion."""


def _with_further(target: Target, also: Iterable[str]) -> tuple[Target, ...]:
    return tuple(dict.fromkeys((target, *(Target(target.platform, each) for each in also))))
