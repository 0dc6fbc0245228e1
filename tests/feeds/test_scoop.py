"""Scoop: one manifest, with what the application says of itself."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.feeds.values import answer, app, build, file
from updater.catalog.model import Application
from updater.feeds.scoop import ScoopManifest, judge
from updater.offers.feed_choice import FeedBuild

SAID = {
    "description": "Does things",
    "homepage": "https://app.example",
    "license": "MIT",
    "bin": ["app.exe", ["tool.exe", "tool"]],
    "shortcuts": [["app.exe", "My App"]],
}


def manifest(builds: list[FeedBuild], application: Application | None = None) -> dict[str, Any]:
    rendered = answer(ScoopManifest(), builds, application=application)
    assert rendered is not None
    assert (rendered.status, rendered.media_type) == (200, "application/json")
    found: dict[str, Any] = orjson.loads(rendered.body)
    return found


def test_a_manifest() -> None:
    zip_file, exe = file("app.zip"), file("setup.exe")
    builds = [
        build("1.1.0", "windows/amd64", exe, zip_file),
        build("1.1.0", "windows/386", exe),
        build("1.0.0", "windows/arm64", exe),
        build("1.1.0", "linux/amd64", file("app.zip")),
    ]
    assert manifest(builds, app({"scoop": SAID})) == {
        "version": "1.1.0",
        **SAID,
        "architecture": {
            "64bit": {"url": "https://u.example/1.1.0/windows/amd64/app.zip", "hash": zip_file.digest},
            "32bit": {"url": "https://u.example/1.1.0/windows/386/setup.exe", "hash": exe.digest},
        },
    }


def test_an_application_that_says_nothing_has_a_manifest_that_scoop_takes() -> None:
    found = manifest([build("1.1.0", "windows/amd64", file("setup.exe"))])
    assert {key: found[key] for key in ("description", "homepage", "license")} == {
        "description": "An app",
        "homepage": "https://u.example/",
        "license": "Unknown",
    }
    assert "bin" not in found and "shortcuts" not in found
    assert answer(ScoopManifest(), []) is None


def test_one_file_for_several_architectures_has_one_address() -> None:
    same = file("setup.exe")
    found = manifest([build("1.1.0", f"windows/{each}", same) for each in ("amd64", "arm64", "386")])
    assert {each["url"] for each in found["architecture"].values()} == {
        "https://u.example/1.1.0/windows/amd64/setup.exe"
    }
    assert set(found["architecture"]) == {"64bit", "32bit", "arm64"}


@pytest.mark.parametrize(
    ("target", "names", "chosen"),
    [
        ("windows/amd64", ["a.msi", "a.exe", "a.7z", "a.ZIP"], "a.ZIP"),
        ("windows/amd64", ["a.msi", "a.exe", "a.7z"], "a.7z"),
        ("windows/amd64", ["a.nsis.zip", "a.msi.zip", "a.msi"], "a.msi"),
        ("windows/amd64", ["a.nsis.zip"], None),
        ("windows/arm", ["a.zip"], None),
        ("darwin/amd64", ["a.zip"], None),
    ],
)
def test_which_file(target: str, names: list[str], chosen: str | None) -> None:
    judgement = judge(build("1.0.0", target, *(file(name) for name in names)))
    assert (None if judgement is None else judgement.files[0].name) == chosen
