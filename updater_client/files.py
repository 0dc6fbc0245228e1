"""Companions of a build, as values: one to upload, and one that the server holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from updater_client.model import Target


@dataclass(frozen=True)
class NewFile:
    """A companion of a build, beside its primary file; `name` is what it will be called.

    `also`, `draft` and `signatures` as for `NewBuild`. `kind` is None where the name tells it. `delta_from` is what a
    delta is applied to, as its updater names versions.
    """

    path: Path
    name: str
    version: str
    target: Target
    also: tuple[str, ...] = ()
    draft: bool = False
    kind: str | None = None
    delta_from: str | None = None
    signatures: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))


@dataclass(frozen=True)
class AddedFile:
    """A companion that the server holds now. `status` is its release's: `draft` or `active`."""

    id: str
    version: str
    target: Target
    name: str
    kind: str
    checksum: str
    checksum_type: str
    file_size_bytes: int
    download_url: str
    created_at: datetime | None
    status: str | None = None
