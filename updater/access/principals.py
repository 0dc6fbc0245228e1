"""The authenticated party of a request, as a value. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from updater.audit.model import Actor, ActorKind

_KINDS = {"key": ActorKind.KEY, "user": ActorKind.USER, "token": ActorKind.USER, "open": ActorKind.OPEN}


class Permission(IntEnum):
    """What a credential may do; each level includes those below. NONE: it is known, and opens nothing.

    FEED is what the installed clients of one application need: check, latest, downloads, feeds, reports.
    """

    NONE = 0
    FEED = 1
    READ = 2
    WRITE = 3
    ADMIN = 4

    @property
    def word(self) -> str:
        """Return the word: `read`, `write`, `admin` as in the documents, or `feed`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated key, person or token.

    `id` is stable and safe to log; `application` limits a key to one application.

    `key_hash` is the stored hash of an API key, 64 hex digits; None for a session or a token.
    `user_id` is the person behind a session or a token. The ids of a token are the issuer's, not those of our users.
    """

    id: str
    name: str
    level: Permission
    application: str | None = None
    key_hash: str | None = None
    user_id: int | None = field(default=None, kw_only=True)

    @property
    def actor(self) -> Actor:
        """Return as whom the audit knows them."""
        return Actor(_KINDS[self.id.partition(":")[0]], self.name)


# The principal of every request while access control is switched off.
EVERYBODY = Principal(id="open", name="", level=Permission.ADMIN)
