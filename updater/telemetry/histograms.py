"""Histograms with fixed buckets, so that the sum of two histograms is the histogram of both. PURE.

A bucket is a quarter of a doubling wide, so that a quantile is within a tenth of the true value, for install
times of a second to a week and for rates of a byte to a hundred gigabytes a second, in at most 150 buckets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

_PER_DOUBLING = 4
_LARGEST = 2.0**37


def bucket_of(value: float) -> int:
    """Return the number of the bucket that holds a value (seconds, or bytes per second).

    Values below 1 are in bucket 0, values above 2**37 in the last one.
    """
    if value < 1:
        return 0
    return 1 + math.floor(_PER_DOUBLING * math.log2(min(value, _LARGEST)))


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """Return the value that `share` (0 to 1) of all values do not exceed; None when there are no values.

    `counts` maps a bucket's number to its number of values. Values are taken as evenly spread inside a bucket.
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    left = share * total
    for number in sorted(counts):
        held = counts[number]
        if left <= held:
            low, high = _bounds(number)
            return low + (high - low) * max(left, 0) / held
        left -= held
    return _bounds(max(counts))[1]


def doublings(counts: Mapping[int, int]) -> list[tuple[int, int, int]]:
    """Return how many values lie in ranges that double: least value, the least above, count; in ascending order.

    The first range begins at 0. Ranges without values are left out.
    """
    found: dict[int, int] = {}
    for number, held in counts.items():
        power = -1 if number <= 0 else (number - 1) // _PER_DOUBLING
        found[power] = found.get(power, 0) + held
    return [(2**power if power >= 0 else 0, 2 ** (power + 1), found[power]) for power in sorted(found)]


def _bounds(number: int) -> tuple[float, float]:
    if number <= 0:
        return 0.0, 1.0
    return 2 ** ((number - 1) / _PER_DOUBLING), 2 ** (number / _PER_DOUBLING)
