"""The addresses of the newer and the older page of a list."""

from __future__ import annotations

from typing import NamedTuple

from aiohttp import web


class Way(NamedTuple):
    """Where the newer and the older page are, empty where there is none, and which rows this one shows."""

    newer: str
    older: str
    first: int
    last: int


def older_and_newer(request: web.Request, offset: int, rows: int, total: int) -> Way:
    """Return the way from a page that begins at `offset` and has at most `rows` of `total` rows."""

    def at(place: int) -> str:
        query = {name: value for name, value in request.query.items() if value and name not in ("offset", "said")}
        return str(request.rel_url.with_query({**query, "offset": str(place)} if place else query))

    newer = at(max(0, offset - rows)) if offset else ""
    return Way(newer, at(offset + rows) if offset + rows < total else "", offset + 1, min(total, offset + rows))
