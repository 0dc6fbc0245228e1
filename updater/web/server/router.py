"""aiohttp's router, with a memory: the paths that clients ask again and again are matched once."""

from __future__ import annotations

from typing import Final

from aiohttp import web

MAX_KNOWN: Final = 1_024
# Paths are the clients' to choose: longer ones are not worth keeping.
_LONGEST_CHARACTERS: Final = 256


class Router(web.UrlDispatcher):
    """Matches as aiohttp's own does.

    Installed applications ask a handful of paths, and splitting a download's address into its parts cost a tenth of
    redirecting it. Paths that are asked once fill the memory, and it is emptied.
    """

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[str, str], tuple[dict[str, str], web.AbstractRoute]] = {}

    async def resolve(self, request: web.Request) -> web.UrlMappingMatchInfo:
        """Return what a request matches, or the failure as aiohttp gives it: 404 or 405 in `http_exception`.

        Routes are tried in the order in which they were added.
        """
        asked = request.method, request.rel_url.path_safe
        known = self._known.get(asked)
        if known is not None:
            return web.UrlMappingMatchInfo(*known)
        match = await super().resolve(request)
        if match.http_exception is None and len(asked[1]) <= _LONGEST_CHARACTERS:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[asked] = dict(match), match.route
        return match
