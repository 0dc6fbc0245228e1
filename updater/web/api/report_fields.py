"""The fields of a report, read without schema machinery where they are as they should be.

The schema stays the description: whatever is not taken here as it stands goes through it, which mends or refuses it. A
test holds the two to each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from updater.catalog.platforms import ARCHITECTURES, PLATFORMS
from updater.catalog.versions import MAX_VERSION_CHARACTERS
from updater.telemetry.model import STATUSES
from updater.web.messages.client_fields import KEPT_CHARACTERS, MAX_IDENTITY_CHARACTERS, asked_channel
from updater.web.messages.fields import LONGEST_INSTALL_S, MAX_NAME_CHARACTERS

_WORDS: Final = (
    ("platform", frozenset(PLATFORMS)),
    ("architecture", frozenset(ARCHITECTURES)),
    ("status", frozenset(STATUSES)),
)


def read_report(given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the fields of a report as its schema returns them; None for one that the schema has to look at."""
    read: dict[str, Any] = {}
    for name in ("current_version", "target_version"):
        version = given.get(name)
        if not _is_plain(version, MAX_VERSION_CHARACTERS):
            return None
        read[name] = version
    for name, words in _WORDS:
        word = given.get(name)
        if type(word) is not str or word not in words:
            return None
        read[name] = word
    if "error_message" in given:
        message = read["error_message"] = given["error_message"]
        if message is not None and not (
            type(message) is str and len(message) <= KEPT_CHARACTERS and (message.isprintable() or not message)
        ):
            return None
    if "install_time_seconds" in given:
        took_s = read["install_time_seconds"] = given["install_time_seconds"]
        if took_s is not None and not (type(took_s) is int and 0 <= took_s <= LONGEST_INSTALL_S):
            return None
    if "report_id" in given:
        report_id = read["report_id"] = given["report_id"]
        if report_id is not None and not _is_plain(report_id, MAX_NAME_CHARACTERS):
            return None
    client_id = read["client_id"] = given.get("client_id")
    if client_id is not None and not _is_plain(client_id, MAX_IDENTITY_CHARACTERS):
        return None
    channel = given.get("channel")
    read["channel"] = asked_channel(channel) if isinstance(channel, str) else None
    return read


def _is_plain(value: Any, most_characters: int) -> bool:
    """Tell whether a value is a text of printable ASCII without blanks, and not empty."""
    return (
        type(value) is str
        and 0 < len(value) <= most_characters
        and value.isascii()
        and value.isprintable()
        and " " not in value
    )
