"""The peer of the check row: `python -m tests.bench.bare PORT BODY_FILE`, the least an aiohttp handler can do."""

from __future__ import annotations

import sys
from pathlib import Path

from aiohttp import web

from tests.bench.checks import CHECK_PATH
from tests.bench.desktop import PREFIX


def main(port: int, body: bytes) -> None:
    """Answer checks with these bytes once the query is read, desktop questions and downloads at once."""

    async def check(request: web.Request) -> web.Response:
        query = request.query
        if not (query["current_version"] and query["platform"] and query["architecture"]):
            raise web.HTTPBadRequest
        return web.Response(body=body, content_type="application/json")

    async def give(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json")

    async def move(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": location})

    location = body.decode("latin-1") if body.startswith(b"http") else ""
    application = web.Application()
    application.router.add_get(CHECK_PATH, check)
    application.router.add_get(f"{PREFIX}/latest", give)
    application.router.add_get(f"{PREFIX}/compatibility/{{current_version}}", give)
    application.router.add_get("/api/v1/updates/{app_id}/download/{version}/{platform}/{arch}", move)
    web.run_app(application, host="127.0.0.1", port=port, access_log=None, print=lambda _: None)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]).read_bytes())
