"""structlog as logs use it: without rich, which it would import, where that is installed, to draw tracebacks.

With it come pygments, attrs and 60 further modules: 4 MiB and a twentieth of a start, and our logs draw nothing.
So this is the one module that imports structlog (`tests/test_house.py`); all others take `get_logger` from here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Let imports of a package fail for the block, unless it is there already."""
    before: dict[str, Any] = sys.modules  # None is what makes an import fail
    if name in before:
        yield
        return
    before[name] = None
    try:
        yield
    finally:
        del before[name]


with _without("rich"):
    import structlog

__all__ = ["get_logger", "structlog"]

get_logger = structlog.get_logger
