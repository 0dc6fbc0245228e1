"""Feed keys in paths: any address that installed clients ask may begin with `/k/{feed_key}`.

The path is the one thing that every updater keeps for all that it fetches: some send no headers, others drop a query.
"""

from __future__ import annotations

import re

from aiohttp import web

PREFIX = "/k/"
# Where the router puts the key among what a path matched. No route has a parameter of this name.
_NAME = "key in the path"
_KEYED = re.compile(r"/k/([a-z0-9]{40})(/.*)", re.DOTALL)


def split_path(path: str) -> tuple[str, str] | None:
    """Return the key and the rest of a path, which begins with `/`; None for a path that begins with no key."""
    found = _KEYED.fullmatch(path)
    return None if found is None else (found[1], found[2])


def with_key(match: dict[str, str], key: str) -> dict[str, str]:
    """Return what a path matched, with its key."""
    return {**match, _NAME: key}


def find_path_key(request: web.Request) -> str | None:
    """Return the key in a request's path; None without one."""
    return request.match_info.get(_NAME)


def hide_key(path: str) -> str:
    """Return a path as it may be logged: `/k/-/...`, also where the key has not the form of one."""
    if not path.startswith(PREFIX):
        return path
    _, slash, rest = path[len(PREFIX) :].partition("/")
    return f"{PREFIX}-{slash}{rest}"
