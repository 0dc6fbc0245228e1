"""Platforms and architectures in the words that people use for them."""

from __future__ import annotations

import json

import pytest

from tests.client.conftest import Answers
from updater_client import ApplicationChanges, BuildQuery, NewApplication, Target, UpdateClient, UpdateError


@pytest.mark.parametrize(
    ("words", "target"),
    [
        (("macos", "x64"), ("darwin", "amd64")),
        (("Mac", "aarch64"), ("darwin", "arm64")),
        (("osx", "universal"), ("darwin", "universal")),  # the server has the last word
        (("win", "x86"), ("windows", "386")),
        (("WIN32", "x86_64"), ("windows", "amd64")),
        (("linux", "ia32"), ("linux", "386")),
        (("linux", "armv7l"), ("linux", "arm")),
        (("beos", "mips"), ("beos", "mips")),
    ],
)
def test_a_target_takes_words_that_people_use(words: tuple[str, str], target: tuple[str, str]) -> None:
    assert Target(*words) == Target(*target)
    assert str(Target(*words)) == "/".join(target)


async def test_calls_send_the_words_of_the_server(answers: Answers) -> None:
    answers.handle = lambda request: answers.json({"releases": [], "total_count": 0, "has_more": False, "id": "a"})
    async with UpdateClient(answers.url, "key") as client:
        await client.list_releases("a", BuildQuery(platform="macOS", architecture="x64"))
        await client.create_application(NewApplication("a", "A", platforms=("win", "windows", "mac")))
        await client.update_application("a", ApplicationChanges(platforms=("osx",)))
        await client.rollouts.resume("a", "1.0.0", platforms=("mac",))
    asked = answers.requests[0].query
    assert (asked["platform"], asked["architecture"]) == ("darwin", "amd64")
    assert json.loads(answers.bodies[1])["platforms"] == ["windows", "darwin"]
    assert json.loads(answers.bodies[2])["platforms"] == ["darwin"]
    assert json.loads(answers.bodies[3])["platforms"] == ["darwin"]


async def test_a_refused_word_comes_back_with_the_one_that_is_close(answers: Answers) -> None:
    fields = {"platform": "expected one of ...", "architecture": "expected one of ..."}
    answers.handle = lambda request: answers.json({"message": "wrong", "errors": fields}, 422)
    async with UpdateClient(answers.url) as client:
        for target, hint in (
            (Target("widnows", "amd46"), "wrong; did you mean windows and amd64?"),
            (Target("linux", "aarch46"), "wrong; did you mean aarch64?"),
            (Target("beos", "mips"), "wrong"),
        ):
            with pytest.raises(UpdateError) as refused:
                await client.check("a", "1.0.0", target)
            assert refused.value.message == hint
