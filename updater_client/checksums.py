"""Checksums as publishers announce them: hex of any case or base64, with or without their kind in front."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from updater_client.errors import UpdateError

KINDS = frozenset({"sha256", "sha512", "sha1", "md5"})
_SIZE_BYTES = {kind: hashlib.new(kind, usedforsecurity=False).digest_size for kind in KINDS}


def read_checksum(kind: str, text: str) -> bytes:
    """Return the digest that a text stands for.

    Raises:
        UpdateError: the kind is unknown, or the text is no digest of that kind.
    """
    if kind not in KINDS:
        raise UpdateError(f"unknown checksum type {kind!r}", code="UNKNOWN_CHECKSUM")
    found = find_checksum(kind, text)
    if found is None:
        message = f"the announced checksum {text!r} is no {kind}, neither in hex nor in base64"
        raise UpdateError(message, code="UNKNOWN_CHECKSUM")
    return found


def find_checksum(kind: str, text: str) -> bytes | None:
    """Return the digest that a text stands for; None when it is none of that kind."""
    size = _SIZE_BYTES.get(kind, 0)
    bare = re.sub(rf"^{kind[:3]}-?{kind[3:]}[:=-]", "", text.strip(), flags=re.IGNORECASE)
    try:
        # Lengths tell the two apart: hex has twice as many characters as bytes, base64 four for three.
        if len(bare) == 2 * size:
            return bytes.fromhex(bare)
        plain = bare.rstrip("=").replace("-", "+").replace("_", "/")
        found = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    return found if len(found) == size else None
