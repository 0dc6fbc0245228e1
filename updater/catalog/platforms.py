"""Platforms and architectures: the words of the catalog. PURE."""

from __future__ import annotations

from typing import NamedTuple

PLATFORMS = ("windows", "linux", "darwin", "android", "ios")
ARCHITECTURES = ("amd64", "arm64", "386", "arm")


class Target(NamedTuple):
    """What a build runs on."""

    platform: str
    architecture: str
