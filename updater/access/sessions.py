"""Sessions of browsers and scripts: the id is 256 random bits, stored as a keyed hash. PURE.

The CSRF token of a form is derived from the session's id, so nothing more is stored, and no other session's token fits.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from updater.access.keys import key_digest
from updater.access.users import User

_ID = re.compile(r"[A-Za-z0-9_-]{43}")
_NUMBER_DIGITS = 16
_NUMBER = re.compile(rf"[0-9a-f]{{{_NUMBER_DIGITS}}}")


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user. `idle_s` is None for a session that ends at `expires_at` only. Times are aware, in UTC."""

    digest: str
    user: User
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    idle_s: int | None

    @property
    def number(self) -> str:
        """Return what names the session to people: 16 hex digits, which open nothing."""
        return session_number(self.digest)

    @property
    def idle_until(self) -> datetime | None:
        """Return when the session ends if it is not used before; None when it ends at `expires_at` only."""
        return None if self.idle_s is None else self.last_used_at + timedelta(seconds=self.idle_s)

    def usable(self, now: datetime) -> bool:
        """Tell whether the session has not expired, is not idle for too long, and its user is not disabled.

        `now` is aware, in UTC.
        """
        if self.user.disabled_at is not None or now >= self.expires_at:
            return False
        idle_until = self.idle_until
        return idle_until is None or now < idle_until


def new_session_id() -> str:
    """Make a session id: 32 random bytes as 43 characters of URL-safe base64."""
    return secrets.token_urlsafe(32)


def is_session_id(text: str) -> bool:
    """Tell whether a text has the form of a session id. Any other text needs no question to the database."""
    return _ID.fullmatch(text) is not None


def session_number(digest: str) -> str:
    """Return the number of the session with this digest: its first 16 hex digits."""
    return digest[:_NUMBER_DIGITS]


def is_session_number(text: str) -> bool:
    """Tell whether a text has the form of a session's number."""
    return _NUMBER.fullmatch(text) is not None


def session_digest(secret: bytes, session_id: str) -> str:
    """Return the hash that is stored for a session id: keyed, 64 lower-case hex digits."""
    return key_digest(secret, f"session:{session_id}")


def form_token(secret: bytes, bound_to: str) -> str:
    """Return the CSRF token of the forms that go with a session id or a sign-in page: 64 lower-case hex digits."""
    return key_digest(secret, f"form:{bound_to}")


def fits_token(secret: bytes, bound_to: str, presented: str) -> bool:
    """Tell, in constant time, whether a CSRF token is the one of this session id or sign-in page."""
    return hmac.compare_digest(form_token(secret, bound_to).encode(), presented.encode("utf-8", "surrogatepass"))
