"""The kinds of failure that a service can report, independent of HTTP.

Services raise these; the one table that turns a kind into a status is in `updater.web.messages.errors`. The text of
a failure is written for the reader of the answer, so it never holds a path, a query or a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Failure(Exception):
    """The base of every expected failure.

    `message` is for people. `details` holds machine-readable facts that are safe to show.
    """

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details: dict[str, Any] = dict(details or {})


class Malformed(Failure):
    """The request cannot be parsed, or contradicts the thing that it refers to."""


class Invalid(Failure):
    """The request was parsed, but fields do not fit. `fields` maps a field's name to what would fit."""

    def __init__(self, fields: Mapping[str, str], message: str = "Input validation failed") -> None:
        super().__init__(message)
        self.fields = dict(fields)


class DigestMismatch(Invalid):
    """The received bytes do not have the announced digest."""


class TakenOver(Malformed):
    """Another request goes on with what this one was doing."""


class ChunkMismatch(Failure):
    """A chunk of an upload does not have the checksum that was sent with it; nothing of it was kept."""


class OtherProtocol(Failure):
    """The request is of another version of its protocol."""


class Locked(Failure):
    """Another request works on the same thing, and does not let go of it."""


class Unauthenticated(Failure):
    """No credential, or one that is unknown, expired or revoked."""


class Forbidden(Failure):
    """The credential is valid, but does not allow this."""


class NotFound(Failure):
    """The thing does not exist. `kind` is the noun: `application`, `release`, ..."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Conflict(Failure):
    """The request is valid, but not in the present state."""


class UnsupportedContent(Failure):
    """The body has a content type or encoding that this endpoint does not accept."""


class TooLarge(Failure):
    """The body is larger than allowed."""


class TooSlow(Failure):
    """The client stopped sending in the middle of its request, or sends too slowly."""


class RateLimited(Failure):
    """Too many requests. `retry_after_s` is the number of seconds until the next one can succeed."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Unavailable(Failure):
    """A component that this request needs does not answer now. Safe to retry, after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StorageFull(Failure):
    """There is no room left to store this."""


class ConfigurationError(Exception):
    """A setting is wrong: the start ends with this one line. Not a `Failure`, since no request ever gets it."""
