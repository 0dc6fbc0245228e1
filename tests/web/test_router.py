"""The router that remembers paths matches as aiohttp's own does, however often and with whatever it is asked."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from updater.web.server.router import MAX_KNOWN, Router

PATHS = [
    ("GET", "/apps/my-app"),
    ("PUT", "/apps/my-app"),
    ("GET", "/apps/my%2Fapp"),
    ("GET", "/apps/my%252Fapp"),
    ("GET", "/apps/%C3%A4"),
    ("GET", "/apps/my-app/builds/1.0.0"),
    ("GET", "/apps/my-app/builds/"),
    ("GET", "/apps/my-app?x=1"),
    ("GET", "/apps/my-app/"),
    ("DELETE", "/apps/my-app"),
    ("GET", "/plain"),
    ("HEAD", "/plain"),
    ("GET", "//plain"),
    ("GET", "/" + "long" * 100),
]


async def handle(_: web.Request) -> web.Response:
    return web.Response()


def fill(router: Any) -> Any:
    router.add_get("/apps/{app_id}", handle)
    router.add_put("/apps/{app_id}", handle)
    router.add_get("/apps/{app_id}/builds/{version}", handle)
    router.add_get("/plain", handle)
    router.add_get("/{rest}", handle)
    return router


async def answer(router: web.UrlDispatcher, method: str, path: str) -> Any:
    match = await router.resolve(make_mocked_request(method, path))
    canonical = match.route.resource.canonical if match.route.resource is not None else None
    return dict(match), match.route.method, canonical, getattr(match.http_exception, "status", None)


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_it_matches_as_aiohttp_does(method: str, path: str) -> None:
    own, plain = fill(Router()), fill(web.UrlDispatcher())
    for other_method, other in PATHS:
        await answer(own, other_method, other)
    wanted = await answer(plain, method, path)
    assert [await answer(own, method, path) for _ in range(3)] == [wanted] * 3


async def test_one_request_changes_nothing_for_the_next() -> None:
    router = fill(Router())
    for _ in range(2):
        match = await router.resolve(make_mocked_request("GET", "/apps/my-app"))
        assert dict(match) == {"app_id": "my-app"}
        match["app_id"] = "changed"
        match.add_app(web.Application())


async def test_what_it_remembers_is_bounded() -> None:
    router = fill(Router())
    request = make_mocked_request("GET", "/")  # making one takes two milliseconds, so the others are copies
    for number in range(2 * MAX_KNOWN + 10):
        await router.resolve(request.clone(rel_url=f"/apps/app-{number}"))
        await router.resolve(request.clone(rel_url=f"/none/{number}"))
        await router.resolve(request.clone(rel_url=f"/apps/{number:0300}"))
        assert len(router._known) <= MAX_KNOWN
    assert (await answer(router, "GET", "/apps/my-app"))[0] == {"app_id": "my-app"}
