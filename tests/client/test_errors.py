"""What an error tells in one line, in a log and in another process, and what it never tells."""

from __future__ import annotations

import copy
import pickle
import traceback
from pathlib import Path

import pytest
from aiohttp import web

from tests.client.conftest import Answers
from tests.conftest import LINUX, QUICK
from updater_client import (
    BadAnswer,
    Build,
    DigestMismatch,
    FileChanged,
    NewApplication,
    Unreachable,
    UpdateClient,
    UpdateError,
)

SECRET = "s3cr3t"
REFUSED = UpdateError(
    "the request does not fit",
    status=422,
    code="VALIDATION_ERROR",
    fields={"version": "must be a version such as 1.2.3", "platform": "must be one of windows, linux"},
    request_id="req-7",
    details={"there": ["1.0.0"]},
    retry_after_s=2.5,
)
KINDS = {
    REFUSED: "the request does not fit; version: must be a version such as 1.2.3; platform: must be one of "
    "windows, linux (422 VALIDATION_ERROR, request req-7)",
    UpdateError("app_id is ''", code="VALIDATION_ERROR", fields={"app_id": "must not be empty"}): "app_id is ''; "
    "app_id: must not be empty",
    UpdateError("no such application", status=404): "no such application (404)",
    Unreachable("no answer from https://updates.example.com: timed out", transient=False): "no answer from "
    "https://updates.example.com: timed out",
    BadAnswer("the answer is 502, without a reason", status=502, request_id="req-8"): "the answer is 502, without a "
    "reason (502 BAD_ANSWER, request req-8)",
    DigestMismatch("the sha256 of what came is not 00ff"): "the sha256 of what came is not 00ff",
    FileChanged("app.zip changed while it was being published"): "app.zip changed while it was being published",
}


@pytest.mark.parametrize(("error", "text"), KINDS.items(), ids=[type(each).__name__ for each in KINDS])
def test_an_error_is_one_line_with_all_that_is_known_here_and_in_another_process(error: UpdateError, text: str) -> None:
    assert str(error) == text
    error.uncertain = True
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is type(error)
        assert str(other) == text
        assert vars(other) == vars(error)
    error.add("try another")
    assert str(pickle.loads(pickle.dumps(error))) == text.replace(
        error.args[0].removesuffix("; try another"), error.message
    )


async def test_a_real_refusal_names_each_field(server) -> None:
    async with UpdateClient(server.url, server.key, retry=QUICK) as client:
        with pytest.raises(UpdateError) as refused:
            await client.create_application(NewApplication("My App!", "", platforms=("beos",)))
    told = str(refused.value)
    assert refused.value.fields.keys() >= {"id", "platforms.0"}
    assert all(f"{name}: {text}" in told for name, text in refused.value.fields.items())
    assert told.endswith(f"({refused.value.status} {refused.value.code}, request {refused.value.request_id})")


@pytest.mark.parametrize(
    "address",
    [
        f"ftp://user:{SECRET}@files.example.com/a",
        f"https://files.example.com:port/a?X-Amz-Signature={SECRET}",
        f"https://user:{SECRET}@[broken/a",
        f"https://a b:{SECRET}@files.example.com/\n",
        f"//user:{SECRET}@/",
    ],
)
async def test_an_address_that_cannot_be_used_is_told_without_what_opens_it(address: str, tmp_path: Path) -> None:
    async with UpdateClient("https://updates.example.com", SECRET, retry=QUICK) as client:
        with pytest.raises(UpdateError) as refused:
            await client.fetch(Build("1.0.0", LINUX, address, "00" * 32, "sha256"), tmp_path / "got")
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    with pytest.raises(UpdateError) as refused:
        async with UpdateClient(address, SECRET, retry=QUICK) as client:
            await client.latest("my-app", LINUX)
    assert SECRET not in "".join(traceback.format_exception(refused.value))


async def test_answers_that_lead_on_are_told_without_what_opens_them(answers: Answers, tmp_path: Path) -> None:
    async def lead_on(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": f"{answers.url}/next?X-Amz-Signature={SECRET}"})

    answers.handle = lead_on
    build = Build("1.0.0", LINUX, f"{answers.url}/file?token={SECRET}", "00" * 32, "sha256")
    async with UpdateClient(answers.url, SECRET, retry=QUICK) as client:
        with pytest.raises(BadAnswer, match=f"points to {answers.url}/next:") as moved:
            await client.latest("my-app", LINUX)
        with pytest.raises(BadAnswer, match="without an end") as endless:
            await client.fetch(build, tmp_path / "got")
    for each in (moved, endless):
        assert SECRET not in "".join(traceback.format_exception(each.value))


async def test_a_proxy_that_refuses_is_named(answers: Answers) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=407)

    answers.handle = refuse
    async with UpdateClient("https://updates.example.com", SECRET, retry=QUICK, proxy=answers.url) as client:
        with pytest.raises(
            Unreachable, match=r"no way to https://updates\.example\.com: the proxy answers 4\d\d"
        ) as refused:
            await client.latest("my-app", LINUX)
    assert not refused.value.transient
    assert SECRET not in "".join(traceback.format_exception(refused.value))
