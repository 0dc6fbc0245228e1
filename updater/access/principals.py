"""Who is asking, as a value. PURE."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum


class Permission(IntEnum):
    """What a credential may do; each level includes those below. NONE: it is known, and opens nothing."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """Return the word of the documents: `read`, `write`, `admin`."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody known. `id` is stable and safe to log; `application` limits the key to one application.

    `key_hash` is what is kept of an API key, 64 hex digits; None for who has no key.
    `user_id` is the person behind a session or a token; a token's people are the issuer's, not ours.
    """

    id: str
    name: str
    level: Permission
    application: str | None = None
    key_hash: str | None = None
    user_id: int | None = field(default=None, kw_only=True)


# What everybody is when access control is switched off.
EVERYBODY = Principal(id="open", name="", level=Permission.ADMIN)
