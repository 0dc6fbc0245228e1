"""Who is inside a rollout: a position for each client and rollout, from a hash alone. PURE.

The same client stands at the same place of the same rollout for ever, whichever process asks; different rollouts have
different salts, and so take different clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

# No digest is as large.
_ALL = b"\xff" * 33


@dataclass(frozen=True, slots=True)
class Dice:
    """The dice of one rollout at its present share. Update checks throw them, so all that can be is worked out before.

    `salted` comes before each identity. `bound` is the least digest outside: a client is inside when
    `position * 10_000 < hundredths * 2**64` in whole numbers, and bytes compare as whole numbers do.
    """

    salted: bytes
    bound: bytes

    @classmethod
    def of(cls, salt: str, hundredths: int) -> Dice:
        """Return the dice for a salt, and a share in hundredths of a percent."""
        first_outside = -(-(hundredths << 64) // 10_000)
        bound = _ALL if hundredths >= 10_000 else first_outside.to_bytes(8, "big")
        return cls(f"{salt}:".encode(), bound)

    def take(self, identity: bytes) -> bool:
        """Tell whether a client is inside: one hash and one comparison. `identity` is UTF-8."""
        return sha256(self.salted + identity).digest() < self.bound

    def position_of(self, identity: bytes) -> int:
        """Return where a client stands: a whole number from 0 to 2^64 - 1. Source: SHA-256, its first 8 bytes."""
        return int.from_bytes(sha256(self.salted + identity).digest()[:8], "big")


def as_fraction(position: int) -> float:
    """Return a position as a share of 1, cut to six decimals."""
    return (position * 1_000_000 >> 64) / 1_000_000
