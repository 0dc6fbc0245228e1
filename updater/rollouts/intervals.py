"""How sure is a failure rate? An interval around what was counted, for people who look at it. PURE.

It decides nothing: halts are decided by `evidence`, which may be looked at after every report; an interval may not.
Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
"""

from __future__ import annotations

import math
from typing import NamedTuple

# The quantile of the normal distribution that 95 % lie within, on both sides.
_Z = 1.959964


class Rate(NamedTuple):
    """Failed of all that were counted, and the interval of 95 % around it; all are shares of 1."""

    rate: float
    low: float
    high: float


def failure_rate(failed: int, total: int) -> Rate | None:
    """Return the failure rate of `failed` among `total` reports with its interval; None without reports."""
    if not total:
        return None
    rate, square = failed / total, _Z * _Z
    middle = rate + square / (2 * total)
    spread = _Z * math.sqrt(rate * (1 - rate) / total + square / (4 * total * total))
    scale = 1 + square / total
    return Rate(rate, max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale))
