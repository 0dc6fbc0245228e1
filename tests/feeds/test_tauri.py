"""Tauri: which file, in which words, and nothing to a client that is up to date."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from tests.feeds.values import MINISIGN, SIGNED, answer, build, file
from updater.artifacts.signatures import render_tauri
from updater.catalog.platforms import Target
from updater.feeds.tauri import FEED, TauriLatest, TauriUpdate, judge, read_update
from updater.offers.feed_choice import FeedBuild, FeedStatus

LINUX = Target("linux", "amd64")


def told(question: TauriUpdate, builds: list[FeedBuild], current: str = "1.0.0") -> dict[str, Any] | int:
    rendered = answer(question, builds, current)
    assert rendered is not None
    assert rendered.media_type == ("" if rendered.status == 204 else "application/json")
    return rendered.status if rendered.status == 204 else orjson.loads(rendered.body)


def test_a_newer_release_in_the_words_of_tauri() -> None:
    builds = [build("1.1.0", "linux/amd64", file("my app.AppImage", SIGNED), required=True, notes="# Ünïcode")]
    assert told(TauriUpdate(LINUX), builds) == {
        "version": "1.1.0",
        "url": "https://u.example/1.1.0/linux/amd64/my%20app.AppImage",
        "signature": base64.b64encode(MINISIGN.encode()).decode(),
        "notes": "# Ünïcode",
        "pub_date": "2026-01-05T03:04:05Z",
        "required": True,
    }


def test_nothing_new_is_204() -> None:
    builds = [build("1.1.0", "linux/amd64", file("a.AppImage", SIGNED))]
    assert told(TauriUpdate(LINUX), builds, "1.1.0") == 204
    assert told(TauriUpdate(LINUX), builds, "2.0.0") == 204
    assert told(TauriUpdate(LINUX), [], "1.0.0") == 204
    assert told(TauriUpdate(Target("linux", "arm64")), builds, "1.0.0") == 204


def test_a_signature_is_base64_whatever_form_was_uploaded() -> None:
    encoded = base64.b64encode(MINISIGN.encode()).decode()
    for uploaded in (MINISIGN, encoded, MINISIGN.strip(), f" {encoded}\n"):
        builds = [build("1.1.0", "linux/amd64", file("a.AppImage", {"minisign": uploaded}))]
        found = told(TauriUpdate(LINUX), builds)
        assert isinstance(found, dict)
        assert base64.b64decode(found["signature"]).decode().splitlines() == MINISIGN.splitlines()


def test_a_build_without_the_signature_is_passed_over() -> None:
    builds = [
        build("1.2.0", "linux/amd64", file("a.AppImage")),
        build("1.1.0", "linux/amd64", file("a.AppImage", SIGNED)),
    ]
    found = told(TauriUpdate(LINUX), builds)
    assert isinstance(found, dict) and found["version"] == "1.1.0"
    assert judge(builds[0]) == (FeedStatus.MISSING_SIGNATURE, ())


@pytest.mark.parametrize(
    ("target", "bundle", "names", "chosen"),
    [
        ("linux/amd64", None, ["a.deb", "a.AppImage.tar.gz", "a.AppImage"], "a.AppImage"),
        ("linux/amd64", None, ["a.deb", "a.rpm"], "a.deb"),
        ("linux/amd64", "deb", ["a.AppImage", "a.deb"], "a.deb"),
        ("linux/amd64", "rpm", ["a.AppImage", "a.rpm"], "a.rpm"),
        ("linux/amd64", "appimage", ["a.deb", "a.appimage.TAR.gz"], "a.appimage.TAR.gz"),
        ("linux/amd64", "deb", ["a.AppImage"], None),
        ("linux/amd64", "{{bundle_type}}", ["a.deb"], "a.deb"),
        ("linux/amd64", "nsis", ["a.deb"], "a.deb"),
        ("windows/amd64", None, ["a.msi", "a.nsis.zip", "a-setup.exe"], "a-setup.exe"),
        ("windows/amd64", None, ["a.msi", "a.nsis.zip"], "a.nsis.zip"),
        ("windows/amd64", "msi", ["a-setup.exe", "a.msi.zip", "a.msi"], "a.msi"),
        ("windows/amd64", "nsis", ["a.msi.zip"], None),
        ("windows/amd64", None, ["a.zip"], None),
        ("darwin/arm64", "app", ["a.dmg", "a.app.tar.gz"], "a.app.tar.gz"),
        ("darwin/arm64", "dmg", ["a.dmg", "a.app.tar.gz"], "a.app.tar.gz"),
        ("darwin/arm64", None, ["a.dmg", "a.zip"], None),
    ],
)
def test_which_file(target: str, bundle: str | None, names: list[str], chosen: str | None) -> None:
    word = {"amd64": "x86_64", "arm64": "aarch64"}[target.split("/")[1]]
    question = read_update(target.split("/")[0], word, bundle)
    assert question is not None and question.target == Target(*target.split("/"))
    found = told(question, [build("1.1.0", target, *(file(name, SIGNED) for name in names))])
    if chosen is None:
        assert found == 204
    else:
        assert isinstance(found, dict) and found["url"].endswith("/" + chosen)


def test_a_client_gets_the_newest_release_that_its_bundle_has() -> None:
    builds = [
        build("1.2.0", "linux/amd64", file("a.AppImage", SIGNED)),
        build("1.1.0", "linux/amd64", file("a.AppImage", SIGNED), file("a.deb", SIGNED)),
    ]
    found = told(TauriUpdate(LINUX, "deb"), builds)
    assert isinstance(found, dict) and found["version"] == "1.1.0" and found["url"].endswith("a.deb")


def test_words_that_tauri_does_not_have_are_no_question() -> None:
    assert read_update("macos", "x86_64", None) is None
    assert read_update("linux", "amd64", None) is None
    assert read_update("..", "x86_64", None) is None


def test_builds_that_have_nothing_to_do_with_it() -> None:
    assert judge(build("1.1.0", "linux/amd64", file("a.bin", SIGNED))) is None
    assert judge(build("1.1.0", "android/arm64", file("a.apk", SIGNED))) is None
    damaged = build("1.1.0", "linux/amd64", file("a.AppImage", SIGNED, quarantined=True))
    assert judge(damaged) == (FeedStatus.DAMAGED, ())
    assert FEED.url(LINUX) == "tauri/{{target}}/{{arch}}/{{current_version}}"
    assert FEED.url(Target("ios", "arm64")) is None


def test_the_static_file_has_the_targets_of_the_newest_release() -> None:
    builds = [
        build("1.1.0", "linux/amd64", file("a.AppImage", SIGNED), file("a.deb", SIGNED)),
        build("1.1.0", "windows/amd64", file("a.exe", SIGNED), file("a.msi")),
        build("1.1.0", "darwin/arm64", file("a.app.tar.gz")),
        build("1.0.0", "darwin/arm64", file("a.app.tar.gz", SIGNED)),
    ]
    rendered = answer(TauriLatest(), builds)
    assert rendered is not None
    assert (rendered.status, rendered.media_type) == (200, "application/json")
    found = orjson.loads(rendered.body)
    signature = render_tauri(MINISIGN)
    assert found == {
        "version": "1.1.0",
        "notes": "Notes of 1.1.0",
        "pub_date": "2026-01-05T03:04:05Z",
        "platforms": {
            "linux-x86_64": {"url": "https://u.example/1.1.0/linux/amd64/a.AppImage", "signature": signature},
            "linux-x86_64-appimage": {"url": "https://u.example/1.1.0/linux/amd64/a.AppImage", "signature": signature},
            "linux-x86_64-deb": {"url": "https://u.example/1.1.0/linux/amd64/a.deb", "signature": signature},
            "windows-x86_64": {"url": "https://u.example/1.1.0/windows/amd64/a.exe", "signature": signature},
            "windows-x86_64-nsis": {"url": "https://u.example/1.1.0/windows/amd64/a.exe", "signature": signature},
        },
    }


def test_a_static_file_may_have_one_target() -> None:
    rendered = answer(TauriLatest(), [build("1.1.0", "linux/amd64", file("a.AppImage", SIGNED), notes="alone")])
    assert rendered is not None and orjson.loads(rendered.body)["notes"] == "alone"


def test_a_static_file_with_nothing_is_none() -> None:
    assert answer(TauriLatest(), []) is None
