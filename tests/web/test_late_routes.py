"""Routes that are made with the first request for them: once, aside, and never of another version."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

import updater
from tests.conftest import StartService
from updater.web.gate.late import Late, Routes
from updater.web.server.late import LateResource
from updater.web.server.router import Router

WAIT_S = 30


async def handle(_: web.Request) -> web.Response:
    return web.Response()


def some_routes() -> Routes:
    return web.get("/late/{name}", handle), web.put("/late/{name}", handle), web.get("/other", handle)


def router_with(make: Callable[[], Routes]) -> Router:
    router = Router()
    router.add_get("/late/known", handle)
    router.register_resource(LateResource("/late/", Late(make)))
    return router


async def ask(router: Router, method: str, path: str) -> tuple[str | None, int | None]:
    match = await router.resolve(make_mocked_request(method, path))
    resource, failure = match.route.resource, match.http_exception
    return None if resource is None else resource.canonical, None if failure is None else failure.status


async def test_they_are_made_with_the_first_path_of_theirs() -> None:
    made: list[int] = []

    def make() -> Routes:
        made.append(1)
        return some_routes()

    router = router_with(make)
    assert await ask(router, "GET", "/late/known") == ("/late/known", None)
    assert await ask(router, "GET", "/elsewhere") == (None, 404)
    assert await ask(router, "GET", "/later") == (None, 404)
    assert made == []
    assert await ask(router, "GET", "/late/a") == ("/late/{name}", None)
    assert await ask(router, "DELETE", "/late/a") == (None, 405)
    assert await ask(router, "GET", "/late/a/b") == (None, 404)
    assert await ask(router, "GET", "/other") == (None, 404)  # not below the prefix
    assert made == [1]


async def test_a_refused_method_names_those_of_both() -> None:
    match = await router_with(some_routes).resolve(make_mocked_request("DELETE", "/late/known"))
    assert isinstance(match.http_exception, web.HTTPMethodNotAllowed)
    assert match.http_exception.allowed_methods == {"GET", "HEAD", "PUT"}


async def test_who_lists_the_routes_sees_all() -> None:
    seen = {(each.method, each.resource.canonical) for each in router_with(some_routes).routes() if each.resource}
    assert seen >= {("GET", "/late/known"), ("GET", "/late/{name}"), ("PUT", "/late/{name}")}


async def test_others_do_not_wait_and_all_who_ask_wait_for_one() -> None:
    made: list[int] = []
    begun, may_end = threading.Event(), threading.Event()

    def make() -> Routes:
        made.append(1)
        begun.set()
        assert may_end.wait(WAIT_S)
        return some_routes()

    router = router_with(make)
    asking = [asyncio.create_task(ask(router, "GET", f"/late/{each}")) for each in range(8)]
    assert await asyncio.to_thread(begun.wait, WAIT_S)
    asking.pop().cancel()  # a client that leaves takes nothing with it
    assert await ask(router, "GET", "/late/known") == ("/late/known", None)
    may_end.set()
    assert await asyncio.gather(*asking) == [("/late/{name}", None)] * 7
    assert made == [1]


async def test_what_failed_is_tried_again() -> None:
    failures = [ImportError("gone")]

    def make() -> Routes:
        for each in (failures.pop() for _ in tuple(failures)):
            raise each
        return some_routes()

    router = router_with(make)
    with pytest.raises(ImportError, match="gone"):
        await ask(router, "GET", "/late/a")
    assert await ask(router, "GET", "/late/a") == ("/late/{name}", None)


async def test_an_upgraded_program_is_not_mixed_with_the_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    router, read = router_with(some_routes), router_with(some_routes)
    assert await ask(read, "GET", "/late/a") == ("/late/{name}", None)
    monkeypatch.setattr(updater, "__version__", "0.0.1")
    assert await ask(router, "GET", "/late/a") == (None, 503)
    assert await ask(router, "GET", "/late/known") == ("/late/known", None)
    assert await ask(read, "GET", "/late/b") == ("/late/{name}", None)


async def test_every_failure_is_an_answer(start_service: StartService, monkeypatch: pytest.MonkeyPatch) -> None:
    service = await start_service()

    async def get(path: str) -> tuple[int, str]:
        async with service.session.get(service.url + path) as response:
            return response.status, await response.text()

    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "updater.web.feeds.routes", None)
        status, text = await get("/feeds/my-app/stable/nothing")
        assert (status, json.loads(text)["code"]) == (500, "INTERNAL_ERROR")
    assert (await get("/feeds/my-app/stable/nothing"))[0] == 404
    monkeypatch.setattr(updater, "__version__", "0.0.1")
    status, text = await get("/api/v1/applications")
    assert (status, json.loads(text)["code"]) == (503, "SERVICE_UNAVAILABLE")
    status, text = await get("/admin/sign-in/")
    assert status == 503
    assert "upgraded" in text
