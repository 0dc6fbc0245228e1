"""electron-builder: one file of each platform, in the words of electron-updater."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson
import pytest

from tests.feeds.values import answer, app, build, file
from updater.catalog.platforms import Target
from updater.feeds.electron import FEED, ElectronYml, judge, missing_zip
from updater.offers.feed_choice import FeedBuild, FeedStatus

WINDOWS, DARWIN = ElectronYml("windows"), ElectronYml("darwin")


def sha512(name: str) -> str:
    return base64.b64encode(hashlib.sha512(name.encode()).digest()).decode()


def told(question: ElectronYml, builds: list[FeedBuild], current: str | None = None) -> dict[str, Any]:
    rendered = answer(question, builds, current)
    assert rendered is not None
    assert (rendered.status, rendered.media_type) == (200, "text/yaml; charset=utf-8")
    found: dict[str, Any] = orjson.loads(rendered.body)
    return found


def test_a_release_in_the_words_of_electron() -> None:
    files = file("a b.exe", facts={"block_map_size": 77}), file("z.exe", sha512=hashlib.sha512(b"z.exe").hexdigest())
    builds = [build("1.1.0", "windows/amd64", *files), build("1.0.0", "windows/amd64", file("old.exe"))]
    url = "https://u.example/1.1.0/windows/amd64/a%20b.exe"
    assert told(WINDOWS, builds) == {
        "version": "1.1.0",
        "files": [
            {"url": url, "sha512": sha512("a b.exe"), "size": 1000, "blockMapSize": 77},
            {"url": "https://u.example/1.1.0/windows/amd64/z.exe", "sha512": sha512("z.exe"), "size": 1000},
        ],
        "path": url,
        "sha512": sha512("a b.exe"),
        "releaseName": "1.1.0",
        "releaseNotes": "Notes of 1.1.0",
        "releaseDate": "2026-01-05T03:04:05.678Z",
        "required": False,
    }


def test_an_update_that_must_be_taken_says_so() -> None:
    builds = [build("1.1.0", "windows/amd64", file("a.exe"), required=True)]
    assert told(WINDOWS, builds, "1.0.0")["required"] is True


def test_nothing_to_show_is_no_file() -> None:
    assert answer(WINDOWS, []) is None


def test_what_developers_add_never_replaces_and_never_stages() -> None:
    added = {"vendor": [1], "version": "9", "stagingPercentage": 1, "packages": {}, "minimumSystemVersion": "10"}
    found = told(WINDOWS, [build("1.1.0", "windows/amd64", file("a.exe"), metadata={"electron": added})])
    assert found["vendor"] == [1] and found["minimumSystemVersion"] == "10"
    assert found["version"] == "1.1.0"
    assert not found.keys() & {"stagingPercentage", "packages"}
    for other in ("text", None, ["vendor"]):
        plain = told(WINDOWS, [build("1.1.0", "windows/amd64", file("a.exe"), metadata={"electron": other})])
        assert plain.keys() == found.keys() - {"vendor", "minimumSystemVersion"}


def urls(found: dict[str, Any]) -> list[str]:
    return [each["url"].removeprefix("https://u.example/1.1.0/") for each in found["files"]]


def test_an_address_among_several_architectures_names_its_own() -> None:
    builds = [
        build("1.1.0", "windows/amd64", file("a.exe")),
        build("1.1.0", "windows/arm64", file("b-arm64.exe")),
        build("1.1.0", "windows/386", file("c.exe")),
    ]
    found = urls(told(WINDOWS, builds))
    assert sorted(found) == ["windows/386/c.exe?arch=ia32", "windows/amd64/a.exe?arch=x64", "windows/arm64/b-arm64.exe"]
    assert urls(told(WINDOWS, builds[:1])) == ["windows/amd64/a.exe"]
    zips = [build("1.1.0", f"darwin/{each}", file(f"{each}.zip")) for each in ("amd64", "arm64")]
    assert sorted(urls(told(DARWIN, zips))) == ["darwin/amd64/amd64.zip", "darwin/arm64/arm64.zip"]
    arm = [builds[0], build("1.1.0", "windows/arm", file("d.exe"))]
    assert sorted(urls(told(WINDOWS, arm))) == ["windows/amd64/a.exe?arch=x64", "windows/arm/d.exe"]


def test_a_file_without_its_sha512_waits() -> None:
    builds = [
        build("1.2.0", "windows/amd64", file("new.exe", sha512=None)),
        build("1.1.0", "windows/amd64", file("a.exe")),
    ]
    assert judge(builds[0]) == (FeedStatus.DIGEST_PENDING, ())
    assert told(WINDOWS, builds)["version"] == "1.1.0"


@pytest.mark.parametrize(
    ("target", "names", "listed"),
    [
        ("windows/amd64", ["a.zip", "b.EXE", "c.msi"], ["b.EXE"]),
        ("windows/amd64", ["c.msi"], None),
        ("darwin/arm64", ["a.dmg", "b.ZIP"], ["b.ZIP", "a.dmg"]),
        ("darwin/arm64", ["a.dmg"], FeedStatus.MISSING_ZIP),
        ("darwin/arm64", ["a.pkg"], FeedStatus.MISSING_ZIP),
        ("darwin/arm64", ["a.tar.gz"], None),
        ("linux/amd64", ["a.pacman", "b.rpm", "c.deb", "d.AppImage"], ["d.AppImage", "c.deb", "b.rpm", "a.pacman"]),
        ("android/arm64", ["a.apk"], None),
    ],
)
def test_which_files(target: str, names: list[str], listed: list[str] | FeedStatus | None) -> None:
    each = build("1.1.0", target, *(file(name) for name in names))
    found = judge(each)
    asked = ElectronYml(*target.split("/")).judge(each)
    assert found == asked
    if listed is None:
        assert found is None
    elif isinstance(listed, list):
        assert found is not None and found.status is FeedStatus.LISTED
        assert [each.name for each in found.files] == listed
    else:
        assert found == (listed, ()) == missing_zip(each)


def test_a_time_is_written_as_javascript_does() -> None:
    early = build("1.1.0", "windows/amd64", file("a.exe"))
    moved = early.build.created_at.replace(microsecond=5_999)
    found = told(WINDOWS, [build("1.1.0", "windows/amd64", file("a.exe"), created_at=moved)])
    assert found["releaseDate"] == "2026-01-05T03:04:05.005Z"


def test_where_clients_find_it() -> None:
    assert [FEED.url(Target(each, "amd64")) for each in ("windows", "darwin", "linux")] == ["electron"] * 3
    assert FEED.url(Target("android", "arm64")) is None
    assert FEED.is_of(app())
