"""When a failed delivery is tried again, and when no more. PURE."""

from __future__ import annotations

# Seconds after each failed try; together 75 hours. Source: Standard Webhooks, "Retry schedule".
PAUSES_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
LONGEST_S = 86_400
_JITTER = 0.1


def pause_s(failed: int, dice: float, *, asked_s: float | None = None) -> float | None:
    """Return how many seconds to wait after so many failed tries; None: it is over, and the receiver is parked.

    Args:
        failed: tries that failed in a row, at least 1.
        dice: from 0 to 1; spreads the pause by a tenth to both sides.
        asked_s: what the receiver asked to wait; never less than that, but a day at most.
    """
    if failed > len(PAUSES_S):
        return None
    planned_s = PAUSES_S[failed - 1] * (1 - _JITTER + 2 * _JITTER * dice)
    return planned_s if asked_s is None else max(planned_s, min(asked_s, LONGEST_S))
