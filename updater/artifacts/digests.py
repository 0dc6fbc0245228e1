"""SHA-256 digests: lower-case hex inside the service, other spellings at its edges. PURE."""

from __future__ import annotations

import base64
import re

_DIGEST_BYTES = 32
_HEX = re.compile(r"[0-9a-f]{64}")


def is_digest(text: str) -> bool:
    """Tell whether the text is a digest as it is stored: 64 lower-case hex digits."""
    return _HEX.fullmatch(text) is not None


def parse_digest(text: str) -> str:
    """Read a digest in any case, with or without `sha256:` in front; return it as it is stored.

    Raises:
        ValueError: not a SHA-256 digest.
    """
    digest = text.strip().lower().removeprefix("sha256:")
    if not is_digest(digest):
        raise ValueError("expected 64 hexadecimal digits")
    return digest


def find_digest(announced: str) -> str | None:
    """Return an announced SHA-256 as it is stored, given in hex as `parse_digest` reads it or in base64.

    None when the text is neither: what is announced of files elsewhere is any text.
    """
    try:
        return parse_digest(announced)
    except ValueError:
        pass
    try:
        raw = base64.b64decode(announced.strip().removeprefix("sha256-"), validate=True)
    except ValueError:
        return None
    return raw.hex() if len(raw) == _DIGEST_BYTES else None
