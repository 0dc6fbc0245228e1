"""Which other sites' pages may read what installed clients ask for: `server.cors_origins`.

Checks, reports, downloads and feeds only, and never with cookies. Source: Fetch Standard, CORS protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aiohttp import hdrs, web

from updater.web.gate.routing import contract_of

EVERYBODY = "*"
_LASTS_S = "3600"
_METHODS = "GET, HEAD, POST"
_ASKED = "Authorization, Content-Type, If-None-Match, If-Range, Range, X-API-Key, X-Client-Id"
_READABLE = (
    "Content-Range, ETag, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, X-Request-Id"
)


class CrossOrigin:
    """The sites that may: origins as browsers send them, or `*` for all."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(each.rstrip("/").lower() for each in origins)
        self._everybody = EVERYBODY in self._origins

    def headers_for(self, request: web.Request) -> Mapping[str, str]:
        """Return what an answer to such a question carries. Without `*`, caches keep one answer for each origin."""
        allowed = self._allowed(request)
        vary: dict[str, str] = {} if self._everybody else {"Vary": "Origin"}
        if allowed is None:
            return vary
        return {
            **vary,
            "Access-Control-Allow-Origin": allowed,
            "Access-Control-Expose-Headers": _READABLE,
            # Resources are for the sites named here, whatever the embedder policy of their pages.
            "Cross-Origin-Resource-Policy": "cross-origin",
        }

    async def preflight(self, request: web.Request) -> web.Response | None:
        """Answer a browser that asks first; None for any other request, for another site, or for another route."""
        method, allowed = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_METHOD), self._allowed(request)
        if method is None or allowed is None or method not in ("GET", "HEAD", "POST"):
            return None
        match = await request.app.router.resolve(request.clone(method=method))
        contract = None if match.http_exception is not None else contract_of(match.route.handler)
        if contract is None or not contract.is_of_clients(match):
            return None
        headers = {
            **self.headers_for(request),
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _ASKED,
            hdrs.ACCESS_CONTROL_MAX_AGE: _LASTS_S,
        }
        return web.Response(status=204, headers=headers)

    def _allowed(self, request: web.Request) -> str | None:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return None
        if self._everybody:
            return EVERYBODY
        return origin if origin.lower() in self._origins else None
