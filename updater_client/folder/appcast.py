"""Read Sparkle's `appcast.xml`. PURE.

Source: "Publishing an update" of Sparkle's documentation; WinSparkle's `appcast.cpp` for `sparkle:os`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from updater_client.folder.markdown import from_html
from updater_client.folder.model import Feed, FeedError, NamedFile, Remark, checked_version
from updater_client.folder.names import architectures_of, last_part, platform_in, platform_of
from updater_client.folder.versions import completed, is_newer_build, version_key
from updater_client.folder.xml import Element, parse

SPARKLE = "http://www.andymatuschak.org/xml-namespaces/sparkle "
_SIZE = re.compile(r"[1-9][0-9]{0,17}")
_METADATA = ("minimumSystemVersion", "maximumSystemVersion", "minimumAutoupdateVersion", "hardwareRequirements")


@dataclass(frozen=True)
class _Item:
    build: str
    version: str
    enclosures: tuple[Element, ...]
    deltas: tuple[Element, ...]
    element: Element


def read(place: str, content: bytes, wanted: str | None) -> Feed:
    """Read an appcast: its newest version, or the wanted one.

    Raises:
        FeedError: it is none, or hostile.
    """
    root = parse(content)
    channel = root.find("channel")
    if root.name != "rss" or channel is None:
        raise FeedError("it is no RSS document")
    items = [item for element in channel.all("item") if (item := _item(element)) is not None]
    candidates = [each for each in items if wanted is None or version_key(wanted) == _key(each)]
    newest: _Item | None = None
    for each in candidates:
        if newest is None or is_newer_build(each.build, newest.build):
            newest = each
    chosen = [] if newest is None else [each for each in candidates if _key(each) == _key(newest)]
    files = [file for item in chosen for file in _files(item)]
    names = {each.name for each in files}
    others = {
        each.name: f"of {item.version}, says {place}"
        for item in items
        if item not in chosen
        for each in _files(item)
        if each.name not in names
    }
    if newest is None:
        return Feed(place, "sparkle", "", (), others)
    platforms = {each.platform for each in files}
    version = completed(newest.version)
    said = Remark(f"{newest.version} of {place} is published as {version}")
    return Feed(
        place,
        "sparkle",
        version,
        tuple(files),
        others,
        platforms.pop() if len(platforms) == 1 else None,
        notes=_notes(newest.element),
        channel=newest.element.text_of(f"{SPARKLE}channel"),
        metadata=_metadata(newest),
        remarks=() if version == newest.version else (said,),
    )


def _item(element: Element) -> _Item | None:
    """Return an item that has something to download; None for one that only informs."""
    enclosures = tuple(element.all("enclosure"))
    if not enclosures:
        return None
    build = _said(element, enclosures[0], "version")
    if build is None:
        raise FeedError("an item of it has no sparkle:version")
    deltas = tuple(each for group in element.all(f"{SPARKLE}deltas") for each in group.all("enclosure"))
    version = checked_version(_said(element, enclosures[0], "shortVersionString") or build)
    return _Item(checked_version(build), version, enclosures, deltas, element)


def _key(item: _Item) -> object:
    return version_key(item.version)


def _said(element: Element, enclosure: Element, name: str) -> str | None:
    """Return what an item says, as an element or as an attribute of its enclosure."""
    return element.text_of(SPARKLE + name) or enclosure.attributes.get(SPARKLE + name, "").strip() or None


def _files(item: _Item) -> Iterator[NamedFile]:
    for enclosure in item.enclosures:
        yield _file(enclosure, None)
    system = item.enclosures[0].attributes.get(f"{SPARKLE}os", "")
    for delta in item.deltas:
        old = delta.attributes.get(f"{SPARKLE}deltaFrom")
        if not old:
            raise FeedError("a delta of it has no sparkle:deltaFrom")
        yield _file(delta, old, system)


def _file(enclosure: Element, delta_from: str | None, system: str = "") -> NamedFile:
    name = last_part(enclosure.attributes.get("url", ""))
    if not name:
        raise FeedError("an enclosure of it has no url")
    system = enclosure.attributes.get(f"{SPARKLE}os") or system
    architectures = architectures_of(system)
    length = enclosure.attributes.get("length", "")
    return NamedFile(
        name,
        size_bytes=int(length) if _SIZE.fullmatch(length) else None,
        platform=platform_in(system) if system else platform_of(name) or "darwin",
        architecture=architectures[0] if architectures and len(architectures) == 1 else None,
        ed25519=enclosure.attributes.get(f"{SPARKLE}edSignature", "").strip() or None,
        delta_from=delta_from,
    )


def _metadata(item: _Item) -> Mapping[str, object]:
    found: dict[str, object] = {"version": item.build}
    found |= {name: text for name in _METADATA if (text := item.element.text_of(SPARKLE + name))}
    arguments = item.enclosures[0].attributes.get(f"{SPARKLE}installerArguments")
    return {"sparkle": found | ({"installerArguments": arguments} if arguments else {})}


def _notes(element: Element) -> str:
    """Return the notes as Markdown."""
    description = element.find("description")
    if description is None:
        return ""
    written_in = description.attributes.get(f"{SPARKLE}format", "html")
    return description.text if written_in in ("plain-text", "markdown") else from_html(description.text)
