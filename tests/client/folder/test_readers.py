"""What feed files say, each reader alone: real shapes, old shapes, and what is hostile or broken."""

from __future__ import annotations

import json
import time

import pytest

from updater_client.folder import appcast, electron, packages
from updater_client.folder.markdown import from_html
from updater_client.folder.model import Feed, FeedError
from updater_client.folder.names import architectures_of, is_kept, kind_of, last_part, platform_of
from updater_client.folder.versions import (
    completed,
    is_in_name,
    is_newer_build,
    order,
    proposed_channel,
    version_key,
    versions_in,
)


def read_electron(text: str, place: str = "latest.yml") -> Feed:
    feed = electron.read(place, text)
    assert feed is not None
    return feed


@pytest.mark.parametrize(
    ("name", "platform", "architecture"),
    [
        ("latest.yml", "windows", None),
        ("beta.yml", "windows", None),
        ("latest-mac.yml", "darwin", None),
        ("alpha-linux.yml", "linux", None),
        ("latest-linux-arm64.yml", "linux", "arm64"),
        ("latest-linux-arm.yml", "linux", "arm"),
        ("sub/latest-linux-ia32.yml", "linux", "386"),
    ],
)
def test_the_name_of_electrons_file_tells_the_target(name: str, platform: str, architecture: str | None) -> None:
    feed = read_electron("version: 1.2.0\nfiles: [{url: a.exe, sha512: eA==, size: 5}]\n", name)
    assert (feed.platform, feed.architecture) == (platform, architecture)


def test_electrons_file_keeps_versions_and_systems_as_text() -> None:
    text = """
version: 1.20
files:
  - url: https://example.com/d/My%20App-1.20.exe?x=1
    sha512: abc
    size: 12
  - {url: "other.exe", sha512: def}
path: My App.exe
minimumSystemVersion: 10.0
minimumAge: 2020-01-01
vendor: {name: Größe, tested: true}
stagingPercentage: 25
releaseNotes: [{version: 1.20, note: "- new"}, {version: 1.19, note: null}]
releaseDate: 2026-01-01T00:00:00.000Z
"""
    feed = read_electron(text)
    assert feed.version == "1.20"
    assert [(each.name, each.size_bytes) for each in feed.files] == [("My App-1.20.exe", 12), ("other.exe", None)]
    assert feed.metadata == {
        "electron": {
            "minimumSystemVersion": "10.0",
            "minimumAge": "2020-01-01",
            "vendor": {"name": "Größe", "tested": True},
        }
    }
    assert feed.notes == "## 1.20\n\n- new\n\n## 1.19"
    assert "stagingPercentage 25" in str(feed.remarks[0])


def test_electrons_first_form_has_one_path() -> None:
    feed = read_electron("version: 1.0.0\npath: App-1.0.0.exe\nsha512: abc\n")
    assert [(each.name, dict(each.checksums)) for each in feed.files] == [("App-1.0.0.exe", {"sha512": "abc"})]


@pytest.mark.parametrize(
    "text",
    ["", "x64: {a: b}\n", "provider: generic\nurl: x\n", "version: '3'\nservices: {}\n", "[1, 2]", "version: 1.0.0"],
)
def test_other_yaml_is_no_feed_file(text: str) -> None:
    assert electron.read("docker-compose.yml", text) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("version: [1]\nfiles: []\npath: a", "no text"),
        ("version: 1.0.0\nfiles: {a: b}", "no list"),
        ("version: 1.0.0\nfiles: [1]", "no list"),
        ("version: 1.0.0\nfiles: [{sha512: a}]", "no url"),
        ("version: 1.0.0\nfiles: [{url: a/}]", "no url"),
        ("version: 1.0.0\nfiles: [{url: 'a", "no proper YAML"),
        ("a: !!python/object/apply:os.system ['true']\nversion: 1.0.0\nfiles: []", "no proper YAML"),
        ("a: &a [x]\nb: *a\nversion: 1.0.0\nfiles: []", "aliases"),
        ("a: " + "[" * 5000, "no proper YAML"),
    ],
)
def test_a_broken_file_of_electron_is_named(text: str, said: str) -> None:
    with pytest.raises(FeedError, match=said):
        electron.read("latest.yml", text)


def test_yaml_cannot_stand_for_endless_data() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    began = time.monotonic()
    with pytest.raises(FeedError):
        electron.read("latest.yml", bomb + "version: 1.0.0\npath: a\n")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("name", "word", "version", "kind"),
    [
        ("App-1.2.0-full.nupkg", None, "1.2.0", "full"),
        ("My.App-x-1.2.0-delta.nupkg", None, "1.2.0", "delta"),
        ("App-1.2.0-osx-full.nupkg", None, "1.2.0", "full"),
        ("App-1.2.0-beta.3-full.nupkg", None, "1.2.0-beta.3", "full"),
        ("App-1.2.0-beta3-Full.nupkg", None, "1.2.0-beta3", "full"),
        ("App-1.2.0-beta.3-win-x64-full.nupkg", None, "1.2.0-beta.3", "full"),
        ("App-1.2.0-beta.3-inside-full.nupkg", "inside", "1.2.0-beta.3", "full"),
        ("App-1.2.0-beta-full.nupkg", "beta", "1.2.0", "full"),
        ("App-1.2.0+7-full.nupkg", None, "1.2.0+7", "full"),
    ],
)
def test_names_of_packages(name: str, word: str | None, version: str, kind: str) -> None:
    assert packages.read_package_name(name, word) == (version, kind)


def test_names_that_are_no_packages() -> None:
    for name in ("App-1.2.0.nupkg", "App-full.nupkg", "App.exe", "-1.0.0-full.nupkg"):
        assert packages.read_package_name(name) is None


SHA1 = "0123456789abcdef0123456789ABCDEF01234567"


def test_releases_of_squirrel() -> None:
    text = f"\ufeff{SHA1} https://x.example/a/App-1.9.0-full.nupkg?id=1 100\r\n\n# comment\n"
    text += f"{SHA1} App-1.10.0-full.nupkg 200 # 10%\n"
    feed = packages.read_releases("RELEASES", text, None)
    assert feed is not None
    assert (feed.version, feed.platform) == ("1.10.0", None)
    assert [(each.name, dict(each.checksums), each.size_bytes) for each in feed.files] == [
        ("App-1.10.0-full.nupkg", {"sha1": SHA1.lower()}, 200)
    ]
    assert dict(feed.others) == {"App-1.9.0-full.nupkg": "of 1.9.0, says RELEASES"}
    older = packages.read_releases("RELEASES", text, "1.9.0")
    assert older is not None and older.version == "1.9.0"
    assert packages.read_releases("RELEASES", "\n", None) is None
    for wrong in ("hello", f"{SHA1} App.exe 100", f"{SHA1[:-1]} App-1.0.0-full.nupkg 100"):
        with pytest.raises(FeedError, match="names no package"):
            packages.read_releases("RELEASES", wrong, None)


def test_the_newest_release_is_above_its_own_pre_releases() -> None:
    versions = ("1.2.0-beta.10", "1.2.0", "1.2.0-beta.9", "1.1.99")
    assets = [{"FileName": f"A-{each}-full.nupkg", "Version": each, "Type": "Full", "Size": 1} for each in versions]
    text = json.dumps({"Assets": assets})
    assert packages.read_velopack("releases.win.json", text, None).version == "1.2.0"
    assert (
        packages.read_velopack("releases.win.json", text, "1.2.0-beta.10").files[0].name == "A-1.2.0-beta.10-full.nupkg"
    )
    assert packages.read_velopack("releases.win.json", text, "9.0.0").files == ()
    assert sorted(versions, key=order) == ["1.1.99", "1.2.0-beta.9", "1.2.0-beta.10", "1.2.0"]


@pytest.mark.parametrize(
    "text", ["", "{}", '{"Assets": {}}', '{"Assets": [1]}', '{"Assets": [{"FileName": "a"}]}', "[" * 90_000]
)
def test_a_broken_file_of_velopack_is_named(text: str) -> None:
    with pytest.raises(FeedError):
        packages.read_velopack("releases.win.json", text, None)


def cast(items: str, head: str = "") -> bytes:
    space = "http://www.andymatuschak.org/xml-namespaces/sparkle"
    return f'<?xml version="1.0"?>{head}<rss xmlns:sparkle="{space}"><channel>{items}</channel></rss>'.encode()


def test_an_appcast_in_both_spellings() -> None:
    content = cast(
        """<item><enclosure url="https://e.com/App%201.9.zip" sparkle:version="190" sparkle:shortVersionString="1.9"
        length="5" sparkle:edSignature="c2ln"/></item>
        <item><title>only news</title><link>https://e.com</link></item>
        <item><sparkle:version>1100</sparkle:version><sparkle:shortVersionString>1.10.1</sparkle:shortVersionString>
        <sparkle:channel>beta</sparkle:channel><sparkle:maximumSystemVersion>15</sparkle:maximumSystemVersion>
        <description sparkle:format="markdown"># As it is</description>
        <enclosure url="App-1.10.1.exe" length="x" sparkle:os="windows-x64" sparkle:installerArguments="/S"/></item>"""
    )
    feed = appcast.read("appcast.xml", content, None)
    assert (feed.version, feed.channel, feed.notes, feed.platform) == ("1.10.1", "beta", "# As it is", "windows")
    assert feed.metadata == {"sparkle": {"version": "1100", "maximumSystemVersion": "15", "installerArguments": "/S"}}
    assert (feed.files[0].architecture, feed.files[0].size_bytes) == ("amd64", None)
    older = appcast.read("appcast.xml", content, "1.9.0")
    assert (older.version, older.files[0].name, older.files[0].ed25519) == ("1.9.0", "App 1.9.zip", "c2ln")
    assert older.files[0].platform == "darwin"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "no proper XML"),
        (b"<rss>", "no proper XML"),
        (b"<feed/>", "no RSS"),
        (b"\x00\x01", "no proper XML"),
        (cast("<item><enclosure url='a.zip'/></item>"), "no sparkle:version"),
        (cast("<item><sparkle:version>1</sparkle:version><enclosure/></item>"), "no url"),
        (cast("", '<!DOCTYPE rss [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>'), "document type"),
        (cast("", '<!DOCTYPE rss SYSTEM "file:///etc/passwd">'), "document type"),
        (cast("<a>" * 100 + "</a>" * 100), "too deep"),
        (b'<?xml version="1.0" encoding="nonsense"?><rss/>', "no proper XML"),
    ],
)
def test_a_broken_or_hostile_appcast_is_named(content: bytes, said: str) -> None:
    with pytest.raises(FeedError, match=said):
        appcast.read("appcast.xml", content, None)


@pytest.mark.parametrize(
    ("older", "newer"),
    [("1.0", "1.0.1"), ("1.0b1", "1.0"), ("1.9", "1.10"), ("99", "100"), ("1.0a2", "1.0b1"), ("2.0", "2.0.0")],
)
def test_builds_are_compared_as_sparkle_does(older: str, newer: str) -> None:
    assert is_newer_build(newer, older) and not is_newer_build(older, newer)


def test_notes_of_sparkle_become_markdown() -> None:
    html = "<style>p{}</style><h2>New</h2><p>All is <b>faster</b> &amp; <a href='https://x'>here</a>.</p><ul>\n<li>one</li>\n<li>two</li></ul>"
    assert from_html(html) == "## New\n\nAll is **faster** & [here](https://x).\n\n- one\n- two"
    assert from_html("plain *text*\n\n- stays") == "plain *text*\n\n- stays"


@pytest.mark.parametrize(
    ("name", "kind", "platform", "architectures"),
    [
        ("App Setup 1.2.0.exe", "installer", "windows", ()),
        ("App-1.2.0-ia32.msi", "installer", "windows", ("386",)),
        ("App-1.2.0-x64.nsis.zip", "archive", "windows", ("amd64",)),
        ("App_1.2.0_x64_en-US.msi", "installer", "windows", ("amd64",)),
        ("App-1.2.0-universal.dmg", "installer", "darwin", ("amd64", "arm64")),
        ("App.app.tar.gz", "archive", "darwin", ()),
        ("App-1.2.0-osx.zip", "archive", "darwin", ()),
        ("App-1.2.0-arm64-mac.zip", "archive", "darwin", ("arm64",)),
        ("App-osx-Setup.pkg", "installer", "darwin", ()),
        ("app-1.2.0-1.x86_64.rpm", "installer", "linux", ("amd64",)),
        ("app_1.2.0_armhf.deb", "installer", "linux", ("arm",)),
        ("app-1.2.0-armv7l.AppImage", "installer", "linux", ("arm",)),
        ("app_1.2.0_amd64.AppImage.tar.gz", "archive", "linux", ("amd64",)),
        ("app-1.2.0-x86_64.AppImage.zsync", "zsync", "linux", ("amd64",)),
        ("App-1.2.0-full.nupkg", "package", "windows", ()),
        ("App-1.2.0-linux-delta.nupkg", "delta", "linux", ()),
        ("tool-x86_64-unknown-linux-gnu.tar.xz", "archive", "linux", ("amd64",)),
        ("tool-aarch64-apple-darwin", "other", "darwin", ("arm64",)),
        ("tool_1.2.386_macos13_arm64.zip", "archive", "darwin", ("arm64",)),
        ("tool-win64.zip", "archive", "windows", ("amd64",)),
        ("app-release-arm64-v8a.apk", "installer", "android", ("arm64",)),
        ("App-x64-arm64.exe", "installer", "windows", None),
        ("linux-and-mac.zip", "archive", None, ()),
        ("README.md", "other", None, ()),
    ],
)
def test_names_tell_kind_and_target(
    name: str, kind: str, platform: str | None, architectures: tuple[str, ...] | None
) -> None:
    assert (kind_of(name), platform_of(name), architectures_of(name)) == (kind, platform, architectures)


def test_numbers_of_any_length_compare() -> None:
    """Python reads no number of more than 4,300 digits."""
    long, longer = f"1.{'9' * 5_000}", f"01.1{'0' * 5_000}"
    assert order(long) < order(longer) and order(f"2.0-{long}") < order(f"2.0-{longer}")
    assert is_newer_build(longer, long) and not is_newer_build(long, longer)
    assert version_key(long) == version_key(f"{long}.0") != version_key(longer)
    assert completed(f"00{long[2:]}") == f"{long[2:]}.0.0"


def test_versions_in_names() -> None:
    assert versions_in("App-1.2.0-arm64.dmg") == ("1.2.0",)
    assert versions_in("App Setup 1.2.0-beta.3.exe") == ("1.2.0-beta.3",)
    assert versions_in("app_1.2.0~rc1_amd64.deb") == ("1.2.0-rc1",)
    assert versions_in("app-v1.2.0-1.x86_64.rpm") == ("1.2.0",)
    assert versions_in("app-1.2.0-ubuntu-22.04.deb") == ("1.2.0",)
    assert versions_in("App-2.0.zip") == ("2.0",)
    assert versions_in("app-x86_64.AppImage") == versions_in("glibc2.31.so") == versions_in("App.exe") == ()
    assert is_in_name("1.2.0-foo.1", "App-1.2.0-foo.1-mac.zip")
    assert is_in_name("1.2.0+b1", "App-1.2.0.exe")
    assert not is_in_name("1.2.0", "App-1.2.01.exe") and not is_in_name("1.2.0", "App-11.2.0.exe")
    assert version_key("2.0") == version_key("v2.0.0") == version_key("2.0.0.0") == version_key("2.0.0+b")
    assert version_key("1.0.0-rc1") == version_key("1.0.0-rc.1") != version_key("1.0.0")
    assert [completed(each) for each in ("2", "2.0", "v1.2", "1.2.3-rc.1", "2.0-beta", "1.2.3.4")] == [
        *("2.0.0", "2.0.0", "1.2.0", "1.2.3-rc.1", "2.0.0-beta", "1.2.3.4")
    ]


def test_a_pre_release_is_proposed_for_the_channel_that_it_names() -> None:
    channels = ("stable", "Beta", "rc")
    wanted = {"1.2.0-beta.3": "Beta", "1.2.0-rc1": "rc", "1.2.0": None, "1.2.0-alpha.1": None, "1.2.0+beta": None}
    assert {version: proposed_channel(version, channels) for version in wanted} == wanted
    assert proposed_channel("1.0.0-beta", None) is None


def test_names_in_addresses() -> None:
    assert last_part("https://e.com/a/My%20App.exe?x=/y#z") == "My App.exe"
    assert last_part("a/b/App.exe") == "App.exe"
    assert last_part("App 100%.exe") == "App 100%.exe"
    assert last_part("Gro\u0308\u00dfe.exe") == "Gr\u00f6\u00dfe.exe"


def test_names_are_kept_as_the_server_keeps_them() -> None:
    from updater.catalog.files import own_name

    names = [
        "App 1.0.exe",
        "größe.exe",
        "a" * 180,
        "a" * 181,
        ".x",
        "-x",
        " x",
        "x.",
        "x ",
        "con.txt",
        "a/b",
        "a%b",
        "a\u202eb",
    ]
    names += ["a+b(1)@~.zip", "LPT1", "a:b", "", "日本語.dmg"]
    for name in names:
        assert (is_kept(name) if name else False) == (own_name(name) is not None), name
