"""Who is inside a rollout: a position for each client and rollout, from a hash alone. PURE.

The same client stands at the same place of the same rollout for ever, whichever process asks; different rollouts have
different salts, and so take different clients.
"""

from __future__ import annotations

import hashlib


def position_of(salt: str, identity: str) -> int:
    """Return where a client stands: a whole number from 0 to 2^64 - 1. Source: SHA-256, its first 8 bytes."""
    digest = hashlib.sha256(f"{salt}:{identity}".encode()).digest()
    return int.from_bytes(digest[:8], "big")


def is_inside(position: int, hundredths: int) -> bool:
    """Tell whether a position is inside a share, given in hundredths of a percent. Whole numbers only."""
    return position * 10_000 < hundredths << 64


def as_fraction(position: int) -> float:
    """Return a position as a share of 1, cut to six decimals."""
    return (position * 1_000_000 >> 64) / 1_000_000
