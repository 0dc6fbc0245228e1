"""Squirrel and Velopack: lists of packages with their deltas, and updates of macOS by their zip."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
import pytest

from tests.feeds.values import answer, build, file
from updater.catalog.files import FileKind
from updater.catalog.platforms import Target
from updater.feeds import squirrel, velopack
from updater.feeds.squirrel import SquirrelReleases, SquirrelUpdate
from updater.feeds.velopack import VelopackReleases
from updater.offers.feed_choice import RELEASES_SHOWN, FeedBuild, FeedStatus

WINDOWS, DARWIN = Target("windows", "amd64"), Target("darwin", "arm64")


def sha1(name: str) -> str:
    return hashlib.sha1(name.encode()).hexdigest().upper()


def package(version: str, *others: Any, **more: Any) -> FeedBuild:
    """Return a build with its full package and a delta."""
    full = file(f"App-{version}-full.nupkg", kind=FileKind.PACKAGE)
    delta = file(f"App-{version}-delta.nupkg", kind=FileKind.DELTA, size_bytes=10)
    return build(version, "windows/amd64", *(others or (full, delta)), **more)


def lines(builds: list[FeedBuild], current: str | None = None) -> list[str]:
    rendered = answer(SquirrelReleases(WINDOWS), builds, current)
    assert rendered is not None
    assert (rendered.status, rendered.media_type) == (200, "text/plain")
    assert rendered.body.endswith(b"\n")
    return rendered.body.decode().splitlines()


def names(builds: list[FeedBuild], current: str | None = None) -> list[str]:
    return [each.split(" ")[1] for each in lines(builds, current)]


def assets(builds: list[FeedBuild], current: str | None = None) -> list[dict[str, Any]]:
    rendered = answer(VelopackReleases(WINDOWS), builds, current)
    assert rendered is not None
    assert (rendered.status, rendered.media_type) == (200, "application/json")
    body = orjson.loads(rendered.body)
    assert body.keys() == {"Assets"}
    return list(body["Assets"])


def test_squirrel_lists_the_oldest_first() -> None:
    found = lines([package("1.1.0"), package("1.2.0")], "1.0.0")
    assert found == [
        f"{sha1('App-1.1.0-full.nupkg')} App-1.1.0-full.nupkg 1000",
        f"{sha1('App-1.1.0-delta.nupkg')} App-1.1.0-delta.nupkg 10",
        f"{sha1('App-1.2.0-full.nupkg')} App-1.2.0-full.nupkg 1000",
        f"{sha1('App-1.2.0-delta.nupkg')} App-1.2.0-delta.nupkg 10",
    ]
    assert answer(SquirrelReleases(WINDOWS), []) is None


def test_velopack_lists_the_newest_first() -> None:
    found = assets([package("1.1.0"), package("1.2.0", notes="*new*")], "1.0.0")
    name = "App-1.2.0-full.nupkg"
    assert found[0] == {
        "PackageId": "App",
        "Version": "1.2.0",
        "Type": "Full",
        "FileName": name,
        "SHA1": sha1(name),
        "SHA256": hashlib.sha256(name.encode()).hexdigest().upper(),
        "Size": 1000,
        "NotesMarkdown": "*new*",
        "NotesHTML": found[0]["NotesHTML"],
    }
    assert "<em>new</em>" in found[0]["NotesHTML"]
    assert [(each["Version"], each["Type"]) for each in found] == [
        ("1.2.0", "Full"),
        ("1.2.0", "Delta"),
        ("1.1.0", "Full"),
        ("1.1.0", "Delta"),
    ]
    assert assets([]) == []


@pytest.mark.parametrize(
    "spoilt",
    [
        {"sha1": None},
        {"quarantined": True},
        {"kind": FileKind.OTHER},
        {"name": "App 1.2.0-delta.nupkg"},
        {"name": "App-1.2.0-delta.bin"},
    ],
)
def test_deltas_are_listed_only_where_they_lead_all_the_way(spoilt: dict[str, Any]) -> None:
    full = file("App-1.2.0-full.nupkg", kind=FileKind.PACKAGE)
    delta = file(**({"name": "App-1.2.0-delta.nupkg", "kind": FileKind.DELTA} | spoilt))
    builds = [package("1.1.0"), package("1.2.0", full, delta)]
    assert names(builds, "1.0.0") == ["App-1.1.0-full.nupkg", "App-1.2.0-full.nupkg"]
    assert [each["Type"] for each in assets(builds, "1.0.0")] == ["Full", "Full"]
    # To a client behind the gap, the way has all its deltas.
    later = [*builds, package("1.3.0")]
    assert "App-1.3.0-delta.nupkg" in names(later, "1.2.0")
    assert "App-1.3.0-delta.nupkg" not in names(later, "1.1.0")


@pytest.mark.parametrize(("releases", "deltas"), [(3, 3), (RELEASES_SHOWN - 1, 49), (RELEASES_SHOWN, 0), (60, 0)])
def test_a_way_that_is_not_seen_to_its_end_has_no_deltas(releases: int, deltas: int) -> None:
    found = names([package(f"1.{number}.0") for number in range(1, releases + 1)], "1.0.0")
    assert sum("delta" in each for each in found) == deltas


@pytest.mark.parametrize(
    ("name", "digest", "status"),
    [
        ("App.NUPKG", "x", FeedStatus.LISTED),
        ("App.nupkg", None, FeedStatus.DIGEST_PENDING),
        ("A pp.nupkg", "x", None),
        ("App.zip", "x", None),
    ],
)
def test_which_packages_are_listed(name: str, digest: str | None, status: FeedStatus | None) -> None:
    each = build("1.1.0", "windows/amd64", file(name, kind=FileKind.PACKAGE, sha1=digest))
    for found in (
        squirrel.judge(each),
        velopack.judge(each),
        SquirrelReleases(WINDOWS).judge(each),
        VelopackReleases(WINDOWS).judge(each),
    ):
        assert (found.status if found else None) is status
    assert squirrel.judge(build("1.1.0", "linux/amd64", file("App.nupkg", kind=FileKind.PACKAGE))) is None
    assert velopack.judge(build("1.1.0", "android/amd64", file("App.nupkg", kind=FileKind.PACKAGE))) is None
    assert velopack.judge(build("1.1.0", "linux/amd64", file("App.nupkg", kind=FileKind.PACKAGE))) is not None


def test_a_new_release_in_the_words_of_squirrel() -> None:
    builds = [build("1.1.0", "darwin/arm64", file("my app.zip"), file("other.zip"))]
    rendered = answer(SquirrelUpdate(DARWIN), builds, "1.0.0")
    assert rendered is not None
    assert (rendered.status, rendered.media_type) == (200, "application/json")
    assert orjson.loads(rendered.body) == {
        "url": "https://u.example/1.1.0/darwin/arm64/my%20app.zip",
        "name": "1.1.0",
        "notes": "Notes of 1.1.0",
        "pub_date": "2026-01-05T03:04:05+00:00",
    }
    for known in ("1.1.0", "2.0.0"):
        nothing = answer(SquirrelUpdate(DARWIN), builds, known)
        assert nothing is not None and (nothing.status, nothing.body) == (204, b"")


def test_what_squirrel_says_of_builds() -> None:
    assert squirrel.judge(build("1.0.0", "darwin/arm64", file("a.dmg"))) == (FeedStatus.MISSING_ZIP, ())
    assert squirrel.judge(build("1.0.0", "darwin/arm64", file("a.tar.gz"))) is None
    assert squirrel.judge(build("1.0.0", "windows/amd64", file("a.exe"))) is None
    assert squirrel.judge(build("1.0.0", "windows/amd64", file("a.dmg"))) is None
    assert squirrel.judge(build("1.0.0", "linux/amd64", file("a.zip"))) is None
    msix = build("1.0.0", "windows/amd64", file("a.msix", kind=FileKind.INSTALLER))
    assert [each and each.status for each in (squirrel.judge(msix), SquirrelUpdate(WINDOWS).judge(msix))] == [
        FeedStatus.LISTED
    ] * 2
    assert SquirrelReleases(WINDOWS).judge(msix) is None
    waiting = file("a.nupkg", kind=FileKind.PACKAGE, sha1=None)
    both = squirrel.judge(build("1.0.0", "windows/amd64", waiting, file("a.msix", kind=FileKind.INSTALLER)))
    assert both is not None and (both.status, [each.name for each in both.files]) == (FeedStatus.LISTED, ["a.msix"])
    damaged = file("b.zip", quarantined=True)
    first_alone = squirrel.judge(build("1.0.0", "darwin/arm64", file("a.zip"), damaged))
    assert first_alone is not None and [each.name for each in first_alone.files] == ["a.zip"]


@pytest.mark.parametrize(
    ("name", "version", "package_id"),
    [
        ("My.App-1.2.0-full.nupkg", "1.2.0", "My.App"),
        ("my-app-1.2.0-Beta-full.nupkg", "1.2.0-beta", "my-app"),
        ("my-app-2.0-full.nupkg", "1.2.0", "my"),
        ("-1.2.0-full.nupkg", "1.2.0", ""),
        ("a-1.2.0-b-1.2.0.nupkg", "1.2.0", "a"),
        ("A-1.2.0-RC-full.nupkg", "1.2.0-RC", "A"),
    ],
)
def test_the_package_is_called_what_stands_before_the_version(name: str, version: str, package_id: str) -> None:
    assert velopack._package_id(name, version) == package_id


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("releases.win.json", True),
        ("RELEASES.WIN.JSON", True),
        ("releases.x.json", True),
        ("releases..json", False),
        ("releases.json", False),
        ("release.win.json", False),
        ("releases.win.yml", False),
    ],
)
def test_which_names_are_the_list(name: str, known: bool) -> None:
    assert velopack.is_list(name) is known


def test_where_clients_find_them() -> None:
    assert squirrel.FEED.url(WINDOWS) == "squirrel/win32-x64"
    assert squirrel.FEED.url(DARWIN) == "squirrel/darwin-arm64"
    assert squirrel.FEED.url(Target("linux", "amd64")) is None
    assert velopack.FEED.url(Target("darwin", "amd64")) == "velopack/osx-x64"
    assert velopack.FEED.url(Target("android", "arm64")) is None
