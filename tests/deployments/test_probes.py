"""Busy and health probes, asked of a real HTTP server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from updater.deployments.probes import ask_probe, wait_until_well
from updater.errors import Unavailable
from updater.settings import BusySettings, HealthSettings


class Answers:
    """A server whose answers a test sets; the last one stays."""

    def __init__(self) -> None:
        self.next: list[tuple[int, Any]] = [(200, {})]
        self.url = ""

    async def handle(self, _: web.Request) -> web.Response:
        status, body = self.next.pop(0) if len(self.next) > 1 else self.next[0]
        return (
            web.Response(status=status, text=body) if isinstance(body, str) else web.json_response(body, status=status)
        )


@pytest.fixture
async def answers() -> AsyncIterator[Answers]:
    answers = Answers()
    application = web.Application()
    application.router.add_get("/", answers.handle)
    async with TestServer(application) as server:
        answers.url = str(server.make_url("/"))
        yield answers


@pytest.mark.parametrize(
    ("path", "equals", "busy"),
    [
        ("jobs.0.state", "running", True),
        ("jobs.1.state", "running", False),
        ("jobs.2.state", "running", False),
        ("jobs.x", None, False),
        ("count", 1, True),
        ("count", True, False),
        ("on", True, True),
        ("on", 1, False),
        ("nothing", None, True),
    ],
)
async def test_busy_by_a_value(path: str, equals: Any, busy: bool, answers: Answers) -> None:
    document = {"jobs": [{"state": "running"}, {"state": "idle"}], "count": 1, "on": True, "nothing": None}
    answers.next = [(200, document)]
    assert (await ask_probe(BusySettings(url=answers.url, path=path, equals=equals), "/", {})).busy is busy


@pytest.mark.parametrize("answer", [(500, {}), (200, "no json"), (200, "[" + "1," * 600_000 + "1]")])
async def test_an_answer_nobody_understands_is_no_answer(answer: tuple[int, Any], answers: Answers) -> None:
    answers.next = [answer]
    with pytest.raises(Unavailable):
        await ask_probe(BusySettings(url=answers.url), "/", {})


async def test_nobody_there_is_not_busy() -> None:
    assert not (await ask_probe(BusySettings(url="http://127.0.0.1:9/"), "/", {})).busy


async def test_well_only_when_it_goes_on_answering(answers: Answers) -> None:
    said: list[str] = []
    answers.next = [(200, {}), (503, {}), (200, {})]
    began = time.monotonic()
    assert await wait_until_well(HealthSettings(answers.url, within_s=5, steady_s=1), said.append) is None
    assert time.monotonic() - began > 1.4, "the answer before the fall does not count"
    assert [line.rpartition(" ")[2] for line in said] == ["200", "503", "200"]


@pytest.mark.parametrize("status", [204, 302, 404, 500])
async def test_only_2xx_is_well(status: int, answers: Answers) -> None:
    answers.next = [(status, "")]
    reason = await wait_until_well(HealthSettings(answers.url, within_s=1, steady_s=0), lambda _: None)
    assert (reason is None) == (status == 204)
    if reason is not None:
        assert f"answers {status}" in reason
