"""Whether a client would rather have a page. PURE."""

from __future__ import annotations

import re
from typing import Final

# Source: RFC 9110 section 12.5.1; a weight has three decimals at most.
_WEIGHT: Final = re.compile(r"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE)


def prefers_html(accept: str) -> bool:
    """Tell whether `text/html` is named, and as welcome as anything else that is named.

    Wildcards name nothing: what accepts everything, as most programs do, has not asked for a page. Of two types that
    are as welcome, the first named counts.
    """
    weights: dict[str, float] = {}
    for each in accept.split(","):
        kind, *parameters = each.split(";")
        found = [match[1] for match in map(_WEIGHT.fullmatch, parameters) if match is not None]
        weights.setdefault(kind.strip().lower(), float(found[-1]) if found else 1.0)
    named = {kind: weight for kind, weight in weights.items() if not kind.endswith("*")}
    best = max(named, key=lambda kind: named[kind], default="")  # the first of several
    return best == "text/html" and named[best] > 0
