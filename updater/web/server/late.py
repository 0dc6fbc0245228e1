"""The place of late routes in the router: the first path there reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import NoReturn

from aiohttp import web
from aiohttp.web_urldispatcher import MatchInfoError
from yarl import URL

from updater.errors import Unavailable
from updater.web.gate.late import Late


class LateResource(web.AbstractResource):
    """All that `late` has below a prefix. Paths that other resources match never get here.

    aiohttp tries resources with more parts before their first name earlier; those with as many, in the order in which
    they were added. Whoever lists the routes of the router reads them all.
    """

    def __init__(self, prefix: str, late: Late) -> None:
        super().__init__()
        self._prefix = prefix.rstrip("/")
        self._late = late
        self._router: web.UrlDispatcher | None = None
        self._reading = asyncio.Lock()

    async def resolve(self, request: web.Request) -> tuple[web.UrlMappingMatchInfo | None, set[str]]:
        """Match a path as a router with these routes does; 503 when they cannot be read any more.

        They are read in a thread: other requests do not wait, and all that need these routes wait for one.

        Raises:
            Exception: what importing them raised.
        """
        if self._router is None:
            try:
                async with self._reading:
                    await asyncio.to_thread(self._read)
            except Unavailable:
                return MatchInfoError(web.HTTPServiceUnavailable()), set()
        match = await self._read().resolve(request)
        failure = match.http_exception
        if failure is None:
            return match, set()
        return None, failure.allowed_methods if isinstance(failure, web.HTTPMethodNotAllowed) else set()

    def _read(self) -> web.UrlDispatcher:
        if self._router is None:
            router = web.UrlDispatcher()
            router.add_routes([each for each in self._late.read() if each.path.startswith(self._prefix)])
            self._router = router
        return self._router

    @property
    def canonical(self) -> str:
        """Return the prefix."""
        return self._prefix

    def get_info(self) -> dict[str, str]:  # type: ignore[override] # aiohttp's own kinds alone have a type
        """Return the prefix."""
        return {"prefix": self._prefix}

    def raw_match(self, path: str) -> bool:
        """Say that no further route is one of this resource."""
        return False

    def url_for(self, **_: str) -> URL:
        """Refuse: an address is made of a route's own resource."""
        return self._refuse()

    def add_prefix(self, prefix: str) -> None:
        """Refuse: the application is nobody's part."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise NotImplementedError("late routes have no address of their own")

    def __iter__(self) -> Iterator[web.AbstractRoute]:
        return iter(self._read().routes())

    def __len__(self) -> int:
        return len(self._read().routes())
