"""SHA-256 digests: lower-case hex inside, other spellings at the edges. PURE."""

from __future__ import annotations

import base64
import re

_HEX = re.compile(r"[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Tell whether the text is a digest as it is kept: 64 lower-case hex digits."""
    return _HEX.fullmatch(text) is not None


def parse_digest(text: str) -> str:
    """Read a digest as people give it: any case, with or without `sha256:` in front.

    Raises:
        ValueError: not a SHA-256 digest.
    """
    digest = text.strip().lower().removeprefix("sha256:")
    if not is_digest(digest):
        raise ValueError("expected 64 hexadecimal digits")
    return digest


def as_structured(digest: str) -> str:
    """Render as in a `Repr-Digest` header. Source: RFC 9530 section 3."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"
