"""What all feeds together say of an application, and where clients of each find it."""

from __future__ import annotations

from tests.feeds.values import app, build, file, snapshot
from updater.catalog.model import ReleaseStatus
from updater.catalog.platforms import Target
from updater.feeds.registry import feed_statuses, view_feeds

BUILDS = [
    build("1.1.0", "linux/arm64", file("b.AppImage")),
    build("1.1.0", "linux/amd64", file("a.AppImage")),
    build("1.1.0", "windows/amd64", file("a.exe")),
]


def test_feeds_are_seen_by_feed_and_target() -> None:
    seen = view_feeds(snapshot(BUILDS), 0)
    electron = [each for each in seen if each.feed == "electron"]
    assert [each.target for each in electron] == [
        Target("windows", "amd64"),
        Target("linux", "amd64"),
        Target("linux", "arm64"),
    ]
    assert {each.url for each in electron} == {"electron"}
    assert {each.view.version for each in electron} == {"1.1.0"}
    (scoop,) = [each for each in seen if each.feed == "scoop"]
    assert (scoop.target, scoop.url) == (Target("windows", "amd64"), "scoop/my-app.json")
    assert {each.feed for each in seen} == {"electron", "tauri", "appcast", "appimage", "scoop"}


def test_architectures_that_are_asked_as_one_show_one_release() -> None:
    """A client of windows on another architecture is shown the release, too; that of linux is not."""
    builds = [
        build("1.2.0", "windows/arm64", file("a.exe")),
        build("1.2.0", "linux/arm64", file("a.AppImage")),
        *BUILDS,
    ]
    seen = {each.target: each.view.version for each in view_feeds(snapshot(builds), 0) if each.feed == "electron"}
    assert seen == {
        Target("windows", "amd64"): "1.2.0",
        Target("windows", "arm64"): "1.2.0",
        Target("linux", "amd64"): "1.1.0",
        Target("linux", "arm64"): "1.2.0",
    }


def test_a_less_stable_channel_sees_more() -> None:
    beta = build("1.2.0", "windows/amd64", file("a.exe"), channel="beta", channel_position=1)
    for channel, version in ((0, "1.1.0"), (1, "1.2.0")):
        seen = view_feeds(snapshot([*BUILDS, beta]), channel)
        assert {each.view.version for each in seen if each.feed == "scoop"} == {version}


def test_what_each_feed_does_with_a_build() -> None:
    assert feed_statuses(app(), BUILDS[2]) == {
        "electron": "listed",
        "tauri": "missing signature",
        "appcast": "missing signature",
        "scoop": "listed",
    }
    draft = build("1.1.0", "windows/amd64", file("a.exe"), status=ReleaseStatus.DRAFT)
    assert set(feed_statuses(app(), draft).values()) == {"draft"}
    image = feed_statuses(app(), build("1.1.0", "darwin/arm64", file("a.dmg")))
    assert image["electron"] == image["squirrel"] == "missing zip"
    assert feed_statuses(app(), build("1.1.0", "android/arm64", file("a.apk"))) == {}
    package = build("1.1.0", "windows/amd64", file("a-1.1.0-full.nupkg"))
    assert feed_statuses(app(), package) == {"squirrel": "listed", "velopack": "listed"}


def test_a_feed_that_needs_settings_is_of_applications_that_have_them() -> None:
    msi = build("1.1.0", "windows/amd64", file("a.msi"))
    settings = {"winget": {"package_identifier": "A.B", "publisher": "A", "license": "MIT", "short_description": "x"}}
    assert "winget" not in feed_statuses(app(), msi)
    assert feed_statuses(app(settings), msi)["winget"] == "listed"
