"""What a path holds of several names, with a slash between each two."""

from __future__ import annotations

from aiohttp import web


def find_path(request: web.Request, name: str) -> str | None:
    """Return a parameter of the path that may hold slashes; None when one of them is percent-encoded.

    Such a slash belongs to a name, and no name has one; decoded, it would look like all others.
    """
    return None if "%2f" in request.rel_url.raw_path.lower() else request.match_info[name]
