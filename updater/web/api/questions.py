"""The question of an update check, read from a raw query without schema machinery.

Schemas cost a request twice as much as all the rest of a check. The schema stays the description: what this reading
does not take as it stands goes through the schema, and a test holds the two to each other.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote_plus

from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.catalog.versions import MAX_VERSION_CHARACTERS
from updater.web.messages.client_fields import asked_channel, is_identity

# Longer queries than any client's own go through the schema, so that what is remembered stays small.
_MAX_CHARACTERS = 300
_REMEMBERED = 4_096
# Room for an id of 200 characters, percent-encoded.
_MAX_ID_CHARACTERS = 2_500
_IDS = frozenset(("client_id", "stagingId"))
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


class Asked(NamedTuple):
    """A question, and what a client says of itself: its channel, and whether somebody asked by hand."""

    question: CheckQuestion
    channel: str | None = None
    manual: bool = False


class Ids(NamedTuple):
    """The ids in a query: `client_id`, checked or empty, and `stagingId`, unchecked."""

    client_id: str | None = None
    staging_id: str | None = None


NO_IDS = Ids()


def read_check(raw_query: str) -> tuple[Asked, Ids] | None:
    """Read a query, percent-encoded as it came; None for one that the schema has to look at.

    Ids are cut out first: they differ with each client, and what is left is remembered.
    """
    ids = NO_IDS
    if "client_id=" in raw_query or "stagingId=" in raw_query:
        split = _split_ids(raw_query)
        if split is None:
            return None
        raw_query, ids = split
    asked = read_question(raw_query)
    return None if asked is None else (asked, ids)


def _split_ids(raw_query: str) -> tuple[str, Ids] | None:
    """Return a query without its ids, and the ids; None when the schema has to say what is wrong with them."""
    if len(raw_query) > _MAX_CHARACTERS + _MAX_ID_CHARACTERS:
        return None
    rest, found = [], {}
    for part in raw_query.split("&"):
        name, _, value = part.partition("=")
        if name not in _IDS:
            rest.append(part)
        elif name in found:
            return None
        else:
            found[name] = unquote_plus(value) if "%" in value or "+" in value else value
    client_id = found.get("client_id")
    if client_id and not is_identity(client_id):
        return None
    return "&".join(rest), Ids(client_id, found.get("stagingId"))


@functools.lru_cache(_REMEMBERED)
def read_question(raw_query: str) -> Asked | None:
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
    flags = [_FLAGS.get(given.get(name, "false")) for name in ("allow_prerelease", "include_metadata", "manual")]
    fits = 0 < len(version) <= MAX_VERSION_CHARACTERS and version.isascii() and version.isprintable()
    # A blank is white space to be cut off, or a `+` that was not percent-encoded.
    fits = fits and " " not in version
    if not fits or target[0] not in PLATFORMS or target[1] not in ARCHITECTURES or None in flags:
        return None
    if not _IDS.isdisjoint(given):  # percent-encoded names
        return None
    question = CheckQuestion(version, target[0], target[1], bool(flags[0]), bool(flags[1]))
    return Asked(question, asked_channel(given.get("channel", "")), bool(flags[2]))
