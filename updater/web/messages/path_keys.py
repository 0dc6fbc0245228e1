"""Feed keys in paths: any address that installed clients ask may begin with `/k/{feed_key}`.

The path is the one thing that every updater keeps for all that it fetches: some send no headers, others drop a query.
"""

from __future__ import annotations

import re

from aiohttp import web

PREFIX = "/k/"
# Where the router puts the key among what a path matched. No route has a parameter of this name.
_NAME = "key in the path"
_MISPLACED = re.compile(r"(\A/+k/+|/k/+(?=[a-z0-9]{40}(?:/|\Z)))[^/]+", re.IGNORECASE)
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
    """Return a path as it may be logged: `/k/-/...`, also where the key has not the form of one.

    So too for paths that no route has and that are meant so: with more slashes, in capitals, or behind the prefix of a
    proxy, or a second time, when what follows has the form of a key.
    """
    if "/k/" not in path and "/K/" not in path:
        return path
    if path.startswith(PREFIX) and not path.startswith("/k//"):
        _, slash, rest = path[len(PREFIX) :].partition("/")
        return f"{PREFIX}-{_hide_misplaced(slash + rest)}"
    return _hide_misplaced(path)


def _hide_misplaced(path: str) -> str:
    return _MISPLACED.sub(r"\1-", path)
