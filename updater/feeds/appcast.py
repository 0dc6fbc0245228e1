"""Appcasts, which Sparkle, WinSparkle and NetSparkle read. PURE.

Source: Sparkle 2, `SUAppcastItem.m` and `SUAppcastDriver.m`; RSS 2.0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

from updater.catalog.files import FileKind
from updater.catalog.model import Build, BuildFile
from updater.catalog.platforms import Target
from updater.catalog.versions import Version, parse_version
from updater.feeds.model import Feed, OneTarget, Page, Rendered, fitting_files, judge_files
from updater.feeds.notes import to_html, xml_text
from updater.offers.feed_choice import Candidate, FeedBuild, FeedStatus, Judgement, Shape

if TYPE_CHECKING:
    from xml.dom.minidom import Document, Element

MEDIA_TYPE: Final = "application/rss+xml; charset=utf-8"
NAMESPACE: Final = "http://www.andymatuschak.org/xml-namespaces/sparkle"
ITEMS_SHOWN: Final = 10
# NetSparkle passes over an item whose system is not just `win` or `windows`: it asks for `win.xml`.
_PLATFORMS: Final = {"macos": "darwin", "windows": "windows", "linux": "linux", "win": "windows"}
_PLAIN: Final = "win"
_ARCHITECTURES: Final = {"": "amd64", "-x64": "amd64", "-arm64": "arm64", "-x86": "386"}
# What updates an application, the best first: of the files of one ending, the first that is signed.
_ENDINGS: Final = {
    "darwin": (".zip", ".tar.gz", ".tar.xz", ".dmg", ".pkg"),
    "windows": (".exe", ".msi"),
    "linux": (".appimage", ".deb", ".rpm", ".tar.gz"),
}
_WINDOWS_WORDS: Final = {"amd64": "x64", "arm64": "arm64", "386": "x86"}
_SCHEME: Final = "ed25519"
# What the developer may say of an item beside its version.
_PASSED: Final = ("minimumSystemVersion", "maximumSystemVersion", "minimumAutoupdateVersion", "hardwareRequirements")


@dataclass(frozen=True, slots=True)
class Appcast(OneTarget):
    """The question of one file. `plain`: on windows, the system is named without the architecture."""

    plain: bool = False

    @property
    def shape(self) -> Shape:
        """Return the shape: the client compares versions itself, and chooses among several."""
        return Shape.LIST

    def judge(self, each: FeedBuild) -> Judgement | None:
        """Judge a build."""
        return judge(each)

    def render(self, page: Page) -> Rendered:
        """Return the document: what is shown and what is below it; without any item when there is nothing."""
        from xml.dom.minidom import Document  # here: half a MiB that a service without such clients does without

        document = Document()
        rss = document.appendChild(document.createElement("rss"))
        rss.setAttribute("version", "2.0")
        rss.setAttribute("xmlns:sparkle", NAMESPACE)
        channel = rss.appendChild(document.createElement("channel"))
        _add(document, channel, "title", page.application.name)
        for each in page.choice.listed[:ITEMS_SHOWN]:
            channel.appendChild(_item(document, page, each, _system(self.target, plain=self.plain)))
        return Rendered(document.toxml(encoding="utf-8"), MEDIA_TYPE)


def read_word(word: str) -> Appcast | None:
    """Return the question of a file's name without `.xml`, such as `macos-arm64`; None for another word."""
    platform = word.partition("-")[0]
    architecture = _ARCHITECTURES.get(word.removeprefix(platform))
    if platform not in _PLATFORMS or architecture is None:
        return None
    return Appcast(Target(_PLATFORMS[platform], architecture), plain=platform == _PLAIN)


def judge(each: FeedBuild) -> Judgement | None:
    """Return what the feed says of a build: its first signed file; on darwin, its signed deltas behind it."""
    endings = _ENDINGS.get(each.build.target.platform, ())
    fitting = fitting_files(each, endings)
    if not fitting:
        return None
    signed = [file for file in fitting if _SCHEME in file.signatures]
    if not signed:
        return Judgement(FeedStatus.MISSING_SIGNATURE)
    judgement = judge_files(signed[:1])
    if each.build.target.platform != "darwin" or judgement.status is not FeedStatus.LISTED:
        return judgement
    return Judgement(judgement.status, (*judgement.files, *(file for file in each.files if _is_delta(file))))


def _is_delta(file: BuildFile) -> bool:
    is_usable = _SCHEME in file.signatures and file.delta_from is not None and not file.quarantined
    return is_usable and file.kind is FileKind.DELTA and file.name.lower().endswith(".delta")


def _item(document: Document, page: Page, candidate: Candidate, system: str) -> Element:
    listed = candidate.builds[0]
    build, (main, *deltas) = listed.build, listed.files
    item = document.createElement("item")
    _add(document, item, "title", f"{page.application.name} {candidate.version.text}")
    _add(document, item, "pubDate", format_datetime(build.released_at.astimezone(UTC)))
    _add(document, item, "sparkle:version", spoken_version(build))
    _add(document, item, "sparkle:shortVersionString", candidate.version.text)
    if build.notes.strip():
        _add_cdata(document, item, "description", to_html(build.notes))
    said = _metadata(build)
    for name in _PASSED:
        if name in said:
            _add(document, item, f"sparkle:{name}", said[name])
    if candidate.minimum is not None:
        _add(document, item, "sparkle:minimumUpdateVersion", _spoken(page, candidate.minimum))
    critical = _critical_below(page, candidate)
    if critical is not None:
        _add(document, item, "sparkle:criticalUpdate").setAttribute("sparkle:version", _spoken(page, critical))
    enclosure = _add(document, item, "enclosure")
    _describe(enclosure, page, build, main)
    enclosure.setAttribute("sparkle:os", system)
    if build.target.platform == "windows" and "installerArguments" in said:
        enclosure.setAttribute("sparkle:installerArguments", said["installerArguments"])
    if deltas:
        listing = _add(document, item, "sparkle:deltas")
        for each in deltas:
            delta = _add(document, listing, "enclosure")
            _describe(delta, page, build, each)
            delta.setAttribute("sparkle:deltaFrom", xml_text(each.delta_from or ""))
    return item


def _describe(enclosure: Element, page: Page, build: Build, file: BuildFile) -> None:
    enclosure.setAttribute("url", page.file_url(build, file))
    enclosure.setAttribute("length", str(file.size_bytes))
    enclosure.setAttribute("type", "application/octet-stream")
    enclosure.setAttribute("sparkle:edSignature", file.signatures[_SCHEME].strip())


def _add(document: Document, parent: Element, name: str, text: str | None = None) -> Element:
    child: Element = parent.appendChild(document.createElement(name))
    if text is not None:
        child.appendChild(document.createTextNode(xml_text(text)))
    return child


def _add_cdata(document: Document, parent: Element, name: str, text: str) -> None:
    """Add an element with a text as it is: a section ends within what would end it, and the next one goes on."""
    child = _add(document, parent, name)
    for part in xml_text(text).replace("]]>", "]]\0>").split("\0"):
        child.appendChild(document.createCDATASection(part))


def _metadata(build: Build) -> dict[str, str]:
    """Return what the developer says to Sparkle of a build: texts, and numbers as texts."""
    said = build.metadata.get("sparkle")
    if not isinstance(said, Mapping):
        return {}
    return {key: xml_text(str(value)) for key, value in said.items() if _is_text(value)}


def _is_text(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool) and str(value) != ""


def spoken_version(build: Build) -> str:
    """Return the version that clients compare: the developer's `CFBundleVersion`, else the build's own."""
    return _metadata(build).get("version") or build.version.text.partition("+")[0]


def _spoken(page: Page, version: Version) -> str:
    """Return a version as clients compare it: as its release says it, when that is one that the client could see."""
    seen = page.choice.listed
    found = next((each for each in seen if each.version.sort_key == version.sort_key), None)
    return version.text.partition("+")[0] if found is None else spoken_version(found.builds[0].build)


def _critical_below(page: Page, candidate: Candidate) -> Version | None:
    """Return the version below which a client must take an item, None when there is none, or when it is not below."""
    application, key = page.application, candidate.version.sort_key
    if application.config["required_update"]:
        highest: Version | None = candidate.version
    else:
        at_most = (each for each in page.choice.listed if each.version.sort_key <= key)
        required = [each.version for each in at_most if each.required]
        if application.config["min_version"]:
            floor = parse_version(application.config["min_version"], application.scheme)
            required += [floor] if floor.sort_key <= key else []
        highest = max(required, key=lambda version: version.sort_key, default=None)
    current = page.client.current
    if highest is None or (current is not None and current.sort_key >= highest.sort_key):
        return None
    return highest


def _system(target: Target, *, plain: bool) -> str:
    """Return whose files they are. Source: WinSparkle 0.8, `appcast.cpp`; NetSparkle 3, `AppCastItem.cs`."""
    if target.platform == "windows":
        return "windows" if plain else f"windows-{_WINDOWS_WORDS[target.architecture]}"
    return "macos" if target.platform == "darwin" else "linux"


def _url(target: Target) -> str | None:
    platform = next((word for word, platform in _PLATFORMS.items() if platform == target.platform), None)
    word = next((word for word, architecture in _ARCHITECTURES.items() if architecture == target.architecture), None)
    return None if platform is None or word is None else f"appcast/{platform}{word}.xml"


FEED: Final = Feed("appcast", judge, _url)
