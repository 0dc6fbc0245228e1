"""Platforms and architectures: the one table that maps each interface's own words. PURE."""

from __future__ import annotations

from typing import NamedTuple

PLATFORMS = ("windows", "linux", "darwin", "android", "ios")
ARCHITECTURES = ("amd64", "arm64", "386", "arm")


class Target(NamedTuple):
    """What a build runs on."""

    platform: str
    architecture: str


# The words of the desktop document, each with what it means here.
DESKTOP_TARGETS: dict[str, Target] = {
    "win32-x64": Target("windows", "amd64"),
    "darwin-x64": Target("darwin", "amd64"),
    "darwin-arm64": Target("darwin", "arm64"),
    "linux-x64": Target("linux", "amd64"),
}
DESKTOP_WORDS: dict[Target, str] = {target: word for word, target in DESKTOP_TARGETS.items()}
DESKTOP_PLATFORMS = tuple(dict.fromkeys(target.platform for target in DESKTOP_WORDS))
