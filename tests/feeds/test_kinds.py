"""What a file is counts as its developer says, whatever its name."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.feeds.values import SIGNED, build, file
from updater.catalog.files import FileKind
from updater.feeds.registry import FEEDS
from updater.offers.feed_choice import FeedStatus

# Of each feed: a target, and names of files that are complete for it.
COMPLETE = [
    ("electron", "windows/amd64", ["App.exe"]),
    ("electron", "linux/amd64", ["App.AppImage"]),
    ("electron", "darwin/amd64", ["App.zip"]),
    ("squirrel", "darwin/amd64", ["App.zip"]),
    ("squirrel", "windows/amd64", ["App.msix"]),
    ("squirrel", "windows/amd64", ["App-1.1.0-full.nupkg"]),
    ("velopack", "windows/amd64", ["App-1.1.0-full.nupkg"]),
    ("tauri", "windows/amd64", ["App.exe"]),
    ("tauri", "linux/amd64", ["App.AppImage.tar.gz"]),
    ("appcast", "windows/amd64", ["App.exe"]),
    ("appcast", "darwin/amd64", ["App.tar.xz"]),
    ("appimage", "linux/amd64", ["App.AppImage", "App.AppImage.zsync"]),
    ("scoop", "windows/amd64", ["App.zip"]),
    ("winget", "windows/amd64", ["App.msi"]),
]


@pytest.mark.parametrize(("name", "target", "names"), COMPLETE)
def test_a_file_of_another_kind_is_in_no_feed(name: str, target: str, names: list[str]) -> None:
    judge = next(each.judge for each in FEEDS if each.name == name)
    files = [file(each, SIGNED) for each in names]
    found = judge(build("1.1.0", target, *files))
    assert found is not None and found.status is FeedStatus.LISTED
    hosted = replace(files[0], kind=FileKind.OTHER)
    assert judge(build("1.1.0", target, hosted, *files[1:])) is None


def test_a_portable_program_beside_the_installer_is_left_out() -> None:
    installer, portable = file("B.exe", SIGNED), file("A.exe", SIGNED, kind=FileKind.OTHER)
    both = build("1.1.0", "windows/amd64", portable, installer)
    for name in ("electron", "tauri", "appcast", "scoop", "winget"):
        judge = next(each.judge for each in FEEDS if each.name == name)
        found = judge(both)
        assert found is not None and found.files == (installer,), name


def test_a_delta_of_another_kind_is_left_out() -> None:
    judge = next(each.judge for each in FEEDS if each.name == "appcast")
    main, delta = file("App.zip", SIGNED), file("1.delta", SIGNED, delta_from="1")
    found = judge(build("1.1.0", "darwin/amd64", main, delta))
    assert found is not None and found.files == (main, delta)
    found = judge(build("1.1.0", "darwin/amd64", main, replace(delta, kind=FileKind.OTHER)))
    assert found is not None and found.files == (main,)
