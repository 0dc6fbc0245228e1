"""WinGet: manifests, searches, and what the source says of itself."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.feeds.values import answer, app, build, file
from updater.feeds.winget import (
    WingetManifests,
    WingetSearch,
    is_match,
    judge,
    names_of,
    render_information,
    select_version,
)
from updater.offers.feed_choice import FeedBuild

SAID = {
    "package_identifier": "Example.MyApp",
    "publisher": "Example Inc",
    "license": "MIT",
    "short_description": "Does things",
}
APP = app({"winget": SAID})


def manifests(builds: list[FeedBuild], **said: Any) -> list[dict[str, Any]]:
    rendered = answer(WingetManifests(), builds, application=app({"winget": SAID | said}))
    assert rendered is not None
    data = orjson.loads(rendered.body)["Data"]
    assert data["PackageIdentifier"] == "Example.MyApp"
    found: list[dict[str, Any]] = data["Versions"]
    return found


def test_manifests_of_all_versions() -> None:
    exe, msi, zip_file = file("a.exe"), file("a.msi"), file("a.zip")
    builds = [
        build("1.1.0", "windows/amd64", zip_file, msi, exe, notes="# New\n\n* **x**"),
        build("1.1.0", "windows/arm64", file("b.msix"), notes=""),
        build("1.0.0", "windows/386", exe, notes=""),
    ]
    newest, oldest = manifests(builds, scope="user", installer_type={"exe": "inno"})
    assert newest["PackageVersion"] == "1.1.0"
    assert newest["DefaultLocale"] == {
        "PackageLocale": "en-US",
        "Publisher": "Example Inc",
        "PackageName": "My App",
        "License": "MIT",
        "ShortDescription": "Does things",
        "ReleaseNotes": "New\n\n- x",
    }
    assert [(each["Architecture"], each["InstallerType"]) for each in newest["Installers"]] == [
        ("x64", "inno"),
        ("x64", "wix"),
        ("x64", "zip"),
        ("arm64", "msix"),
    ]
    assert newest["Installers"][0] == {
        "Architecture": "x64",
        "InstallerType": "inno",
        "InstallerUrl": "https://u.example/1.1.0/windows/amd64/a.exe",
        "InstallerSha256": exe.digest.upper(),
        "ReleaseDate": "2026-01-05",
        "Scope": "user",
    }
    assert newest["Installers"][2]["NestedInstallerType"] == "portable"
    assert newest["Installers"][2]["NestedInstallerFiles"] == [{"RelativeFilePath": "my-app.exe"}]
    assert "ReleaseNotes" not in oldest["DefaultLocale"]
    assert manifests(builds)[0]["Installers"][0]["InstallerType"] == "nullsoft"
    named = manifests(builds, portable_files=["bin/app.exe"])[0]["Installers"][2]
    assert named["NestedInstallerFiles"] == [{"RelativeFilePath": "bin/app.exe"}]


def test_notes_are_bounded() -> None:
    (version,) = manifests([build("1.0.0", "windows/amd64", file("a.exe"), notes="word " * 12_000)])
    assert len(version["DefaultLocale"]["ReleaseNotes"]) <= 10_000


def test_one_installer_for_several_architectures_has_one_address() -> None:
    (version,) = manifests([build("1.0.0", f"windows/{each}", file("a.exe")) for each in ("arm64", "amd64")])
    assert [each["Architecture"] for each in version["Installers"]] == ["x64", "arm64"]
    assert {each["InstallerUrl"] for each in version["Installers"]} == {"https://u.example/1.0.0/windows/amd64/a.exe"}


def test_one_version() -> None:
    builds = [build(version, "windows/amd64", file("a.exe")) for version in ("1.0.0", "1.1.0")]
    rendered = answer(WingetManifests(), builds, application=APP)
    assert rendered is not None
    assert select_version(rendered.body, None) == rendered.body
    only = select_version(rendered.body, "1.0.0")
    assert only is not None
    assert [each["PackageVersion"] for each in orjson.loads(only)["Data"]["Versions"]] == ["1.0.0"]
    assert select_version(rendered.body, "9.0.0") is None


def test_nothing_to_show() -> None:
    assert answer(WingetManifests(), [], application=APP) is None
    found = answer(WingetSearch(), [], application=APP)
    assert found is not None and found.status == 204
    assert found.body == b""
    builds = [build("1.0.0", "windows/amd64", file("a.exe"))]
    assert answer(WingetManifests(), builds) is None
    assert answer(WingetSearch(), builds) is None


def test_a_search_gives_the_package_with_its_versions() -> None:
    builds = [build(version, "windows/amd64", file("a.exe")) for version in ("1.0.0", "1.1.0")]
    rendered = answer(WingetSearch(), builds, application=APP)
    assert rendered is not None
    found = orjson.loads(rendered.body)
    assert found["Data"] == [
        {
            "PackageIdentifier": "Example.MyApp",
            "PackageName": "My App",
            "Publisher": "Example Inc",
            "Versions": [{"PackageVersion": "1.1.0"}, {"PackageVersion": "1.0.0"}],
        }
    ]
    assert found["RequiredPackageMatchFields"] == []


def _match(word: str, kind: str = "Substring") -> dict[str, str]:
    return {"KeyWord": word, "MatchType": kind}


def _field(name: str, word: str, kind: str = "Substring") -> dict[str, Any]:
    return {"PackageMatchField": name, "RequestMatch": _match(word, kind)}


@pytest.mark.parametrize(
    ("search", "fits"),
    [
        ({}, True),
        ({"FetchAllManifests": True}, True),
        ({"Query": _match("myapp")}, True),
        ({"Query": _match("my app")}, True),
        ({"Query": _match("EXAMPLE INC")}, True),
        ({"Query": _match("other")}, False),
        ({"Query": None, "Inclusions": None, "Filters": None}, True),
        ({"Query": _match("Example.MyApp", "Exact")}, True),
        ({"Query": _match("example.myapp", "Exact")}, False),
        ({"Query": _match("example.myapp", "CaseInsensitive")}, True),
        ({"Query": _match("Example", "CaseInsensitive")}, False),
        ({"Query": _match("example.", "StartsWith")}, True),
        ({"Query": _match("app", "StartsWith")}, False),
        ({"Inclusions": [_field("PackageName", "app")]}, True),
        ({"Inclusions": [_field("PackageName", "example")]}, False),
        ({"Inclusions": [_field("ProductCode", "app")]}, False),
        ({"Inclusions": [_field("ProductCode", "x"), _field("PackageIdentifier", "myapp")]}, True),
        ({"Query": _match("other"), "Inclusions": [_field("PackageName", "app")]}, True),
        ({"Query": _match("app"), "Filters": [_field("PackageIdentifier", "other")]}, False),
        ({"Query": _match("app"), "Filters": [_field("PackageIdentifier", "myapp")]}, True),
        ({"Filters": [_field("PackageIdentifier", "Example.MyApp", "Exact")]}, True),
        ({"FetchAllManifests": True, "Filters": [_field("PackageName", "nothing")]}, False),
        ({"FetchAllManifests": True, "Query": _match("other")}, True),
        ({"FetchAllManifests": False, "Query": _match("other")}, False),
        ({"FetchAllManifests": "yes", "Query": _match("other")}, False),
        ({"Inclusions": [{"RequestMatch": _match("example inc")}]}, True),
        ({"Inclusions": [{"RequestMatch": _match("other")}]}, False),
        ({"Inclusions": [{"PackageMatchField": "PackageName"}]}, True),
        ({"Query": {"MatchType": "Substring"}}, True),
        ({"Query": {"KeyWord": "x"}}, True),
        ({"Query": {"KeyWord": "other"}}, False),
    ],
)
def test_what_a_search_fits(search: dict[str, Any], fits: bool) -> None:
    assert is_match(names_of(APP), search) is fits


def test_what_the_source_says_of_itself() -> None:
    data = orjson.loads(render_information(APP, "stable"))["Data"]
    unknown = data.pop("UnsupportedPackageMatchFields")
    assert data == {
        "SourceIdentifier": "updater.my-app.stable",
        "ServerSupportedVersions": ["1.0.0", "1.1.0", "1.4.0"],
        "RequiredPackageMatchFields": [],
        "UnsupportedQueryParameters": ["Channel", "Market"],
        "RequiredQueryParameters": [],
    }
    assert {"Moniker", "Tag", "ProductCode"} < set(unknown)
    longest = orjson.loads(render_information(APP, "c" * 200))["Data"]["SourceIdentifier"]
    assert longest == "updater.my-app." + "c" * (128 - len("updater.my-app."))
    found = answer(WingetSearch(), [build("1.0.0", "windows/amd64", file("a.exe"))], application=APP)
    assert found is not None
    assert orjson.loads(found.body)["UnsupportedPackageMatchFields"] == unknown


def test_answers_are_json() -> None:
    for question in (WingetManifests(), WingetSearch()):
        found = answer(question, [build("1.0.0", "windows/amd64", file("a.exe"))], application=APP)
        assert found is not None and (found.status, found.media_type) == (200, "application/json")


def test_files_of_several_architectures_have_addresses_of_their_own() -> None:
    builds = [build("1.0.0", f"windows/{each}", file(f"{each}.exe")) for each in ("amd64", "arm64")]
    (found,) = manifests(builds)
    assert sorted(each["InstallerUrl"] for each in found["Installers"]) == [
        f"https://u.example/1.0.0/windows/{each}/{each}.exe" for each in ("amd64", "arm64")
    ]


def test_which_files() -> None:
    names = ["a.nsis.zip", "a.msi.zip", "a.zip", "a.msix", "a.7z", "a.EXE"]
    judgement = judge(build("1.0.0", "windows/amd64", *map(file, names)))
    assert judgement is not None and [each.name for each in judgement.files] == ["a.EXE", "a.msix", "a.zip"]
    assert judge(build("1.0.0", "windows/amd64", file("a.7z"))) is None
    assert judge(build("1.0.0", "linux/amd64", file("a.exe"))) is None
