"""The question of an update check, read from a raw query without schema machinery.

Schemas cost a request twice as much as all the rest of a check. The schema stays the description: what this reading
does not take as it stands goes through the schema, and a test holds the two to each other.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.catalog.versions import MAX_VERSION_CHARACTERS

# Longer queries than any client's own go through the schema, so that what is remembered stays small.
_MAX_CHARACTERS = 300
_REMEMBERED = 4_096
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class CheckQuestion(NamedTuple):
    """What an update check asks, as its answer depends on it. `current_version` is echoed as it was given."""

    current_version: str
    platform: str
    architecture: str
    allow_prerelease: bool = False
    include_metadata: bool = False

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> CheckQuestion:
        """Return the question that checked fields ask."""
        return cls(*(fields[name] for name in cls._fields))


@functools.lru_cache(_REMEMBERED)
def read_question(raw_query: str) -> CheckQuestion | None:
    """Read a query, percent-encoded as it came; None for one that the schema has to look at.

    Key of the memory: the raw query, at most 300 characters. Bound: 4,096 queries, about 2.5 MiB; the one asked for
    least recently goes. It holds for ever: what a query asks depends on nothing else.
    """
    if len(raw_query) > _MAX_CHARACTERS:
        return None
    pairs = parse_qsl(raw_query, keep_blank_values=True)
    given = dict(pairs)
    if len(given) != len(pairs):
        return None
    version = given.get("current_version", "")
    target = given.get("platform"), given.get("architecture")
    flags = [_FLAGS.get(given.get(name, "false")) for name in ("allow_prerelease", "include_metadata")]
    fits = 0 < len(version) <= MAX_VERSION_CHARACTERS and version.isascii() and version.isprintable()
    # A blank is white space to be cut off, or a `+` that was not percent-encoded.
    fits = fits and " " not in version
    if not fits or target[0] not in PLATFORMS or target[1] not in ARCHITECTURES or None in flags:
        return None
    return CheckQuestion(version, target[0], target[1], bool(flags[0]), bool(flags[1]))
