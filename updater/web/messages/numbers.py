"""Whole numbers in paths."""

from __future__ import annotations

import re

from aiohttp import web

_NUMBER = re.compile(r"-?[0-9]{1,19}")
_LARGEST = 2**63 - 1


def number_in_path(request: web.Request, name: str) -> int | None:
    """Return the number in the path; None when the text there is none, or none that a row could have."""
    text = request.match_info[name]
    if not _NUMBER.fullmatch(text) or abs(int(text)) > _LARGEST:
        return None
    return int(text)
