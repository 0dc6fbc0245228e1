"""Times in feeds are those of UTC, whatever the zone of the machine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.feeds.values import SIGNED, answer, app, build, file
from updater.catalog.platforms import Target
from updater.feeds.appcast import Appcast
from updater.feeds.electron import ElectronYml
from updater.feeds.model import Question
from updater.feeds.squirrel import SquirrelUpdate
from updater.feeds.winget import WingetManifests

SAID = {"package_identifier": "A.B", "publisher": "A", "license": "MIT", "short_description": "x"}


@pytest.fixture(autouse=True)
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the machine be 22 hours ahead, so that its days are others, too."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XXX-22")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("question", "target", "name", "told"),
    [
        (Appcast(Target("darwin", "arm64")), "darwin/arm64", "a.zip", b"<pubDate>Mon, 05 Jan 2026 03:04:05 +0000<"),
        (ElectronYml("windows"), "windows/amd64", "a.exe", b'"2026-01-05T03:04:05.678Z"'),
        (SquirrelUpdate(Target("darwin", "arm64")), "darwin/arm64", "a.zip", b'"2026-01-05T03:04:05+00:00"'),
        (WingetManifests(), "windows/amd64", "a.exe", b'"ReleaseDate":"2026-01-05"'),
    ],
)
def test_times_are_those_of_utc(question: Question, target: str, name: str, told: bytes) -> None:
    rendered = answer(question, [build("1.1.0", target, file(name, SIGNED))], "1.0.0", app({"winget": SAID}))
    assert rendered is not None
    assert told in rendered.body
