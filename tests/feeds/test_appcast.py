"""Appcasts: structure, order, the rule of critical updates, deltas, and notes that break nothing."""

from __future__ import annotations

from xml.dom.minidom import Document
from xml.etree import ElementTree

import pytest

from tests.feeds.test_notes import HOSTILE
from tests.feeds.values import ED25519, SIGNED, answer, app, build, file
from updater.catalog.model import Application
from updater.catalog.platforms import Target
from updater.catalog.versions import Scheme
from updater.feeds.appcast import FEED, NAMESPACE, Appcast, _add_cdata, judge, read_word
from updater.feeds.notes import to_html
from updater.offers.feed_choice import FeedBuild, FeedStatus

MAC = Appcast(Target("darwin", "amd64"))
WINDOWS = Appcast(Target("windows", "amd64"))
SPARKLE = f"{{{NAMESPACE}}}"


def document(
    question: Appcast, builds: list[FeedBuild], current: str | None = None, application: Application | None = None
) -> ElementTree.Element:
    rendered = answer(question, builds, current, application)
    assert rendered is not None and rendered.status == 200
    assert rendered.media_type == "application/rss+xml; charset=utf-8"
    return ElementTree.fromstring(rendered.body)


def items(
    question: Appcast, builds: list[FeedBuild], current: str | None = None, application: Application | None = None
) -> list[ElementTree.Element]:
    return document(question, builds, current, application).findall("channel/item")


def mac(version: str, **more: object) -> FeedBuild:
    return build(version, "darwin/amd64", file("App.zip", SIGNED), **more)


def spoken(found: list[ElementTree.Element]) -> list[str | None]:
    return [each.findtext(f"{SPARKLE}version") for each in found]


def critical(found: list[ElementTree.Element]) -> list[str | None]:
    named = [each.find(f"{SPARKLE}criticalUpdate") for each in found]
    return [None if each is None else each.get(f"{SPARKLE}version") for each in named]


def test_an_item_has_what_the_readers_look_for() -> None:
    metadata = {
        "sparkle": {
            "version": 2043,
            "minimumSystemVersion": "13.0",
            "maximumSystemVersion": "99.0",
            "minimumAutoupdateVersion": "2000",
            "hardwareRequirements": "arm64",
            "installerArguments": "/S",
            "phasedRolloutInterval": 3600,
            "channel": "beta",
        }
    }
    builds = [
        build(
            "1.1.0+b7",
            "darwin/amd64",
            file("App.dmg", SIGNED),
            file("My App.zip", SIGNED, size_bytes=77),
            file("App.delta", SIGNED, delta_from="2042", size_bytes=5),
            file("old.delta", delta_from="2041"),
            metadata=metadata,
            minimum="1.0.0",
            notes="**New**",
        )
    ]
    root = document(MAC, builds)
    assert root.tag == "rss" and root.get("version") == "2.0"
    assert root.findtext("channel/title") == "My App"
    (item,) = root.findall("channel/item")
    assert [(each.tag, each.text) for each in item if each.text] == [
        ("title", "My App 1.1.0+b7"),
        ("pubDate", "Fri, 02 Jan 2026 03:04:05 +0000"),
        (f"{SPARKLE}version", "2043"),
        (f"{SPARKLE}shortVersionString", "1.1.0+b7"),
        ("description", "<p><strong>New</strong></p>\n"),
        (f"{SPARKLE}minimumSystemVersion", "13.0"),
        (f"{SPARKLE}maximumSystemVersion", "99.0"),
        (f"{SPARKLE}minimumAutoupdateVersion", "2000"),
        (f"{SPARKLE}hardwareRequirements", "arm64"),
        (f"{SPARKLE}minimumUpdateVersion", "1.0.0"),
    ]
    enclosures = item.findall("enclosure")
    assert [each.attrib for each in enclosures] == [
        {
            "url": "https://u.example/1.1.0+b7/darwin/amd64/My%20App.zip",
            "length": "77",
            "type": "application/octet-stream",
            f"{SPARKLE}edSignature": ED25519,
            f"{SPARKLE}os": "macos",
        }
    ]
    deltas = item.findall(f"{SPARKLE}deltas/enclosure")
    assert [each.attrib for each in deltas] == [
        {
            "url": "https://u.example/1.1.0+b7/darwin/amd64/App.delta",
            "length": "5",
            "type": "application/octet-stream",
            f"{SPARKLE}edSignature": ED25519,
            f"{SPARKLE}deltaFrom": "2042",
        }
    ]


def test_the_namespace_is_declared_under_its_own_prefix() -> None:
    rendered = answer(MAC, [mac("1.1.0")])
    assert rendered is not None
    assert b'xmlns:sparkle="http://www.andymatuschak.org/xml-namespaces/sparkle"' in rendered.body
    assert b"<sparkle:version>1.1.0</sparkle:version>" in rendered.body
    assert b"<![CDATA[<p>" in rendered.body
    assert rendered.body.startswith(b'<?xml version="1.0" encoding="utf-8"?>')


def test_windows_has_its_own_words() -> None:
    metadata = {"sparkle": {"installerArguments": "/S /NCRC"}}
    builds = [build("1.1.0", "windows/arm64", file("a.msi", SIGNED), file("a.exe", SIGNED), metadata=metadata)]
    (item,) = items(Appcast(Target("windows", "arm64")), builds)
    (enclosure,) = item.findall("enclosure")
    assert enclosure.get(f"{SPARKLE}os") == "windows-arm64"
    assert enclosure.get(f"{SPARKLE}installerArguments") == "/S /NCRC"
    assert str(enclosure.get("url")).endswith("a.exe")
    assert item.find(f"{SPARKLE}deltas") is None
    empty = [build("1.1.0", "windows/arm64", file("a.exe", SIGNED), metadata={"sparkle": {"installerArguments": ""}})]
    (item,) = items(Appcast(Target("windows", "arm64")), empty)
    assert item.find("enclosure").get(f"{SPARKLE}installerArguments") is None  # type: ignore[union-attr]


def test_netsparkle_finds_a_system_that_it_knows() -> None:
    builds = [build("1.1.0", "windows/amd64", file("a.exe", SIGNED))]
    for word, system in (("win", "windows"), ("win-x64", "windows"), ("windows", "windows-x64")):
        question = read_word(word)
        assert question is not None
        (item,) = items(question, builds)
        enclosure = item.find("enclosure")
        assert enclosure is not None and enclosure.get(f"{SPARKLE}os") == system


def test_ten_items_the_newest_first() -> None:
    found = items(MAC, [mac(f"1.{minor}.0") for minor in range(12)])
    assert spoken(found) == [f"1.{minor}.0" for minor in range(11, 1, -1)]


def test_what_is_not_shown_is_not_listed() -> None:
    builds = [mac("1.0.0"), mac("1.1.0"), mac("2.0.0", minimum="1.1.0")]
    assert spoken(items(MAC, builds)) == ["1.1.0", "1.0.0"]
    assert spoken(items(MAC, builds, "1.0.0")) == ["1.1.0", "1.0.0"]
    assert spoken(items(MAC, builds, "1.1.0")) == ["2.0.0", "1.1.0", "1.0.0"]


def test_without_anything_there_is_a_feed_without_items() -> None:
    assert items(MAC, []) == []
    assert items(MAC, [build("1.0.0", "darwin/amd64", file("App.zip"))]) == []


def test_a_required_release_is_critical_for_whom_it_is_above() -> None:
    builds = [mac("1.0.0"), mac("1.1.0", required=True), mac("1.2.0"), mac("1.3.0", required=True), mac("1.4.0")]
    assert critical(items(MAC, builds)) == ["1.3.0", "1.3.0", "1.1.0", "1.1.0", None]
    assert critical(items(MAC, builds, "1.1.0")) == ["1.3.0", "1.3.0", None, None, None]
    assert critical(items(MAC, builds, "1.3.0")) == [None] * 5
    assert critical(items(MAC, builds, application=app(required_update=True))) == [
        "1.4.0", "1.3.0", "1.2.0", "1.1.0", "1.0.0"
    ]  # fmt: skip
    plain = [mac("1.0.0"), mac("1.2.0")]
    assert critical(items(MAC, plain, application=app(min_version="1.1.0"))) == ["1.1.0", None]
    assert critical(items(MAC, plain, application=app(min_version="1.2.0"))) == ["1.2.0", None]
    numbered = [mac("1.0.0", scheme=Scheme.PEP440), mac("1.2.0", scheme=Scheme.PEP440)]
    of_python = app(scheme=Scheme.PEP440, min_version="1.1")
    assert critical(items(MAC, numbered, application=of_python)) == ["1.1", None]
    both = [mac("1.0.0"), mac("1.2.0", required=True), mac("1.3.0")]
    assert critical(items(MAC, both, application=app(min_version="1.1.0"))) == ["1.2.0", "1.2.0", None]


def test_versions_are_told_as_the_developer_numbers_them() -> None:
    def numbered(version: str, number: str, **more: object) -> FeedBuild:
        return mac(version, metadata={"sparkle": {"version": number}}, **more)

    builds = [
        numbered("1.0.0", "1000"),
        numbered("1.1.0", "1100", required=True),
        numbered("1.2.0", "1200", minimum="1.0.0"),
    ]
    found = items(MAC, builds)
    assert spoken(found) == ["1200", "1100", "1000"]
    assert critical(found) == ["1100", "1100", None]
    assert found[0].findtext(f"{SPARKLE}minimumUpdateVersion") == "1000"
    assert [each.findtext(f"{SPARKLE}shortVersionString") for each in found] == ["1.2.0", "1.1.0", "1.0.0"]


@pytest.mark.parametrize(
    ("target", "names", "chosen"),
    [
        ("darwin/amd64", ["a.pkg", "a.dmg", "a.tar.xz", "a.tar.gz", "a.zip"], "a.zip"),
        ("darwin/amd64", ["a.pkg", "a.dmg"], "a.dmg"),
        ("windows/amd64", ["a.zip", "a.msi"], "a.msi"),
        ("linux/amd64", ["a.tar.gz", "a.rpm", "a.deb", "a.AppImage"], "a.AppImage"),
        ("linux/amd64", ["a.tar.gz"], "a.tar.gz"),
        ("windows/amd64", ["a.zip"], None),
        ("android/arm64", ["a.apk"], None),
    ],
)
def test_which_file(target: str, names: list[str], chosen: str | None) -> None:
    judgement = judge(build("1.0.0", target, *(file(name, SIGNED) for name in names)))
    assert (None if judgement is None else judgement.files[0].name) == chosen
    if chosen is not None:
        unsigned = judge(build("1.0.0", target, *(file(name) for name in names)))
        assert unsigned == (FeedStatus.MISSING_SIGNATURE, ())


def test_the_first_file_that_is_signed_counts() -> None:
    judgement = judge(build("1.0.0", "darwin/amd64", file("a.zip"), file("a.dmg", SIGNED)))
    assert judgement is not None and [each.name for each in judgement.files] == ["a.dmg"]


@pytest.mark.parametrize(
    ("word", "target"),
    [
        ("macos", Target("darwin", "amd64")),
        ("macos-x64", Target("darwin", "amd64")),
        ("macos-arm64", Target("darwin", "arm64")),
        ("windows", Target("windows", "amd64")),
        ("windows-x86", Target("windows", "386")),
        ("linux-arm64", Target("linux", "arm64")),
        ("macos.xml", None),
        ("macos-", None),
        ("macos-x64-x64", None),
        ("darwin", None),
        ("-x64", None),
        ("", None),
    ],
)
def test_words(word: str, target: Target | None) -> None:
    question = read_word(word)
    assert (None if question is None else question.target) == target
    if target is not None:
        url = FEED.url(target)
        assert url is not None
        assert read_word(url.removeprefix("appcast/").removesuffix(".xml")) == question


def test_targets_without_a_word_have_no_address() -> None:
    for target in (Target("android", "arm64"), Target("linux", "arm"), Target("ios", "arm")):
        assert FEED.url(target) is None
    assert FEED.url(Target("linux", "arm64")) == "appcast/linux-arm64.xml"


def test_linux_is_named_as_such() -> None:
    (item,) = items(Appcast(Target("linux", "amd64")), [build("1.0.0", "linux/amd64", file("a.AppImage", SIGNED))])
    enclosure = item.find("enclosure")
    assert enclosure is not None and enclosure.get(f"{SPARKLE}os") == "linux"


def test_deltas_are_listed_on_darwin_alone() -> None:
    delta = file("x.delta", SIGNED, delta_from="1")
    for target, name, listed in (
        ("darwin/amd64", "a.zip", 2),
        ("windows/amd64", "a.exe", 1),
        ("linux/amd64", "a.deb", 1),
    ):
        judgement = judge(build("1.1.0", target, file(name, SIGNED), delta))
        assert judgement is not None and len(judgement.files) == listed
    damaged = judge(build("1.1.0", "darwin/amd64", file("a.zip", SIGNED, quarantined=True), delta))
    assert damaged == (FeedStatus.DAMAGED, ())


def test_what_belongs_to_a_build_and_not_to_its_version_is_not_told() -> None:
    found = items(MAC, [mac("1.1.0+build.7", required=True), mac("1.2.0", minimum="1.0.5+build.3")])
    assert spoken(found) == ["1.2.0", "1.1.0"]
    assert critical(found) == ["1.1.0", "1.1.0"]
    assert found[0].findtext(f"{SPARKLE}minimumUpdateVersion") == "1.0.5"


def test_a_section_holds_what_would_end_it() -> None:
    made = Document()
    root = made.appendChild(made.createElement("root"))
    for text in ("a]]>b", "]]>", "]]>]]>", "]]", "a"):
        _add_cdata(made, root, "text", text)
    found = ElementTree.fromstring(made.toxml())
    assert [each.text for each in found] == ["a]]>b", "]]>", "]]>]]>", "]]", "a"]


@pytest.mark.parametrize("notes", HOSTILE)
def test_hostile_notes_break_no_document(notes: str) -> None:
    (item,) = items(MAC, [mac("1.0.0", notes=notes)])
    html = to_html(notes)
    # A parser takes every line end for a line feed.
    assert (item.findtext("description") or "") == (
        html.replace("\r\n", "\n").replace("\r", "\n") if notes.strip() else ""
    )


def test_hostile_names_and_metadata_break_no_document() -> None:
    hostile = "]]><a b=\"'\x00\x1b\ufffe&amp;\ud800"
    metadata = {"sparkle": {"version": hostile, "minimumSystemVersion": hostile, "hardwareRequirements": ["x"]}}
    builds = [build("1.0.0", "darwin/amd64", file("App.zip", SIGNED), metadata=metadata)]
    (item,) = items(MAC, builds)
    assert item.findtext(f"{SPARKLE}version") == "]]><a b=\"'&amp;"
    assert item.find(f"{SPARKLE}hardwareRequirements") is None
    for strange in ([], "x", {"version": None}, {"version": ""}, {"version": True}):
        assert spoken(items(MAC, [mac("1.0.0", metadata={"sparkle": strange})])) == ["1.0.0"]
