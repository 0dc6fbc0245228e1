"""The words of document 002: its platforms, its versions, and the releases its clients know. PURE.

The one place where they are defined. Importing it imports no server.
"""

from __future__ import annotations

import re

from updater.catalog.model import ReleaseFamily
from updater.catalog.platforms import Target

TARGETS: dict[str, Target] = {
    "win32-x64": Target("windows", "amd64"),
    "darwin-x64": Target("darwin", "amd64"),
    "darwin-arm64": Target("darwin", "arm64"),
    "linux-x64": Target("linux", "amd64"),
}
"""The document's platform words, each with what it means here."""
WORDS: dict[Target, str] = {target: word for word, target in TARGETS.items()}

_NUMBER = "(?:0|[1-9][0-9]{0,8})"
VERSION = rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}"
"""A version of exactly three numbers, each below 10^9, as a regular expression."""
MAX_VERSION_CHARACTERS = 20
"""The longest version. Source: the document's database schema."""
FAMILY = ReleaseFamily(frozenset(WORDS), numbers=3)
"""The releases that clients of this interface know."""

_VERSION = re.compile(VERSION)


def is_version(text: str) -> bool:
    """Tell whether a text is a version as this interface knows them."""
    return len(text) <= MAX_VERSION_CHARACTERS and _VERSION.fullmatch(text) is not None
