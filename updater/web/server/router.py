"""aiohttp's router, with a memory: the paths that clients ask again and again are matched once."""

from __future__ import annotations

from typing import Final

from aiohttp import web
from aiohttp.web_urldispatcher import MatchInfoError

from updater.web.gate.routing import contract_of
from updater.web.messages.path_keys import PREFIX, split_path, with_key

MAX_KNOWN: Final = 1_024
MAX_SEGMENTS: Final = 32
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

        Routes are tried in the order in which they were added. A path of more than `MAX_SEGMENTS` parts is 404 unread.
        """
        # As it came: decoding costs each address that was not seen before a microsecond, and queries make them new.
        asked = request.method, request.rel_url.raw_path
        known = self._known.get(asked)
        if known is not None:
            return web.UrlMappingMatchInfo(*known)
        path = request.rel_url.path_safe
        if path.count("/") > MAX_SEGMENTS:
            # aiohttp would look for each of its beginnings: 10 ms for 8,100 slashes.
            return MatchInfoError(web.HTTPNotFound())
        if path.startswith(PREFIX):
            return await self._resolve_keyed(request)
        match = await super().resolve(request)
        if match.http_exception is None and len(asked[1]) <= _LONGEST_CHARACTERS:
            if len(self._known) >= MAX_KNOWN:
                self._known.clear()
            self._known[asked] = dict(match), match.route
        return match

    def find_known(self, method: str, raw_path: str) -> tuple[dict[str, str], web.AbstractRoute] | None:
        """Return what a path matched before, and the names in it; None when it is not remembered."""
        return self._known.get((method, raw_path))

    async def _resolve_keyed(self, request: web.Request) -> web.UrlMappingMatchInfo:
        """Match what follows a key in the path; only what installed clients ask may stand there. Nothing is kept."""
        resolve = super().resolve
        parts = split_path(request.rel_url.raw_path)
        if parts is not None:
            key, rest = parts
            plain = request.clone(rel_url=request.rel_url.with_path(rest, encoded=True))
            match = await resolve(plain)
            if _is_of_clients(match):
                return web.UrlMappingMatchInfo(with_key(dict(match), key), match.route)
            if isinstance(match.http_exception, web.HTTPMethodNotAllowed):
                methods = sorted(match.http_exception.allowed_methods)
                found = [each for each in methods if _is_of_clients(await resolve(plain.clone(method=each)))]
                if found:
                    return MatchInfoError(web.HTTPMethodNotAllowed(request.method, found))
        return await resolve(request)


def _is_of_clients(match: web.UrlMappingMatchInfo) -> bool:
    contract = None if match.http_exception is not None else contract_of(match.route.handler)
    return contract is not None and contract.is_of_clients(match)
