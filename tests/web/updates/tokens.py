"""Tokens as a front end's own backend makes them."""

from __future__ import annotations

import time
from typing import Any

import jwt

SECRET = "the secret of the front end, 32 bytes or more"


def token(subject: Any = 7, *, lasts_s: float = 600, secret: str = SECRET, **claims: Any) -> str:
    """Make a token for a user, by claim `sub` (as a text) unless other claims are given."""
    given = {"sub": str(subject), "exp": time.time() + lasts_s, **claims}
    return jwt.encode({name: value for name, value in given.items() if value is not None}, secret, "HS256")
