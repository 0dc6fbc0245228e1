"""Read what Velopack and Squirrel.Windows leave: `releases.win.json`, `assets.win.json`, `RELEASES`. PURE.

Source: `VelopackAssetFeed` and `VelopackAsset` of Velopack; `ReleaseEntry` of Squirrel.Windows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from updater_client.folder.model import Feed, FeedError, NamedFile, checked_version
from updater_client.folder.names import architectures_of, last_part, platform_in, platform_of
from updater_client.folder.versions import completed, order, version_key

VELOPACK = re.compile(r"releases\.(?P<word>.+)\.json", re.IGNORECASE)
ASSETS = re.compile(r"assets\.(?P<word>.+)\.json", re.IGNORECASE)
RELEASES = re.compile(r"RELEASES(?:-(?P<word>[A-Za-z0-9_.-]+?))?")

_LINE = re.compile(r"(?P<sha1>[0-9a-fA-F]{40})\s+(?P<name>\S+)\s+(?P<size>\d{1,18})(?:\s.*)?")
# To split a name takes time by the square of its length, and in a list of packages a stranger may write any.
_MAX_NAME = 1_024
_PACKAGE = re.compile(
    r"(?P<id>.+?)-(?P<version>\d+(?:\.\d+){1,3}(?:[-+][0-9A-Za-z.+-]+?)?)-(?P<kind>full|delta)\.nupkg", re.IGNORECASE
)


class Package(NamedTuple):
    """What the name of a package tells."""

    version: str
    kind: str


class _Entry(NamedTuple):
    version: str
    file: NamedFile
    notes: str = ""


def read_package_name(name: str, word: str | None = None) -> Package | None:
    """Split `App-1.2.0-osx-full.nupkg`; a word behind the version that names a platform, or is `word`, is none of it.

    Returns:
        None when the name is no package's.
    """
    match = _PACKAGE.fullmatch(name) if len(name) <= _MAX_NAME else None
    if match is None:
        return None
    version = match["version"]
    if word and version.lower().endswith(f"-{word.lower()}"):
        version = version[: -len(word) - 1]
    core, mark, rest = version.partition("-")
    if mark and platform_in(rest.partition("-")[0]):
        version = core
    elif mark and "-" in rest:
        version = _without_platform(version)
    return Package(version, match["kind"].lower())


def _without_platform(version: str) -> str:
    parts = version.split("-")
    end = next((at for at, each in enumerate(parts) if at and platform_in(each)), len(parts))
    return "-".join(parts[:end])


def read_velopack(place: str, text: str, wanted: str | None) -> Feed:
    """Read `releases.{word}.json`: the newest version in it, or the wanted one.

    Raises:
        FeedError: it is none.
    """
    word = _word(VELOPACK, place)
    entries = []
    for each in _objects(_load(text), "Assets"):
        name, version = each.get("FileName"), each.get("Version")
        if not isinstance(name, str) or not isinstance(version, str):
            raise FeedError("an asset of it has no FileName or no Version")
        checksums = {kind.lower(): str(each[kind]) for kind in ("SHA1", "SHA256") if each.get(kind)}
        size = each.get("Size")
        file = NamedFile(last_part(name), checksums, size if isinstance(size, int) else None)
        entries.append(_Entry(checked_version(version), file, str(each.get("NotesMarkdown") or "")))
    return _newest(place, "velopack", word, entries, wanted)


def read_assets(place: str, text: str) -> Feed:
    """Read `assets.{word}.json`: it names what Velopack made last; its version is that of the packages among it.

    Raises:
        FeedError: it is none.
    """
    word = _word(ASSETS, place)
    files: list[NamedFile] = []
    others: dict[str, str] = {}
    version = ""
    for each in _objects(_load(text), "Assets"):
        name = each.get("RelativeFileName") or each.get("FileName")
        if not isinstance(name, str):
            raise FeedError("an asset of it has no RelativeFileName")
        if str(each.get("Type")).lower() == "portable":
            others[last_part(name)] = "for people who want no installer"
        elif package := read_package_name(last_part(name), word):
            version = checked_version(package.version)
        else:
            files.append(NamedFile(last_part(name)))
    by_name = (platform for file in files if (platform := platform_of(file.name)))
    platform = platform_in(word) or next(by_name, None)
    return Feed(place, "velopack", completed(version), tuple(files), others, platform, _architecture(word))


def read_releases(place: str, text: str, wanted: str | None) -> Feed | None:
    """Read `RELEASES` or `RELEASES-{word}`: the newest version in it, or the wanted one; None when it has no line.

    Raises:
        FeedError: a line of it is none.
    """
    word = _word(RELEASES, place)
    entries = []
    for line in text.removeprefix("\ufeff").splitlines():
        if not (plain := line.partition("#")[0].strip()):
            continue
        match = _LINE.fullmatch(plain)
        package = match and read_package_name(last_part(match["name"]), word)
        if match is None or package is None:
            raise FeedError(f"a line of it names no package: {plain[:80]}")
        file = NamedFile(last_part(match["name"]), {"sha1": match["sha1"].lower()}, int(match["size"]))
        entries.append(_Entry(checked_version(package.version), file))
    return _newest(place, "squirrel", word, entries, wanted) if entries else None


def _newest(place: str, maker: str, word: str, entries: Iterable[_Entry], wanted: str | None) -> Feed:
    found = list(entries)
    of_wanted: Callable[[_Entry], bool] = lambda each: version_key(each.version) == version_key(wanted or "")  # noqa: E731
    versions = [each.version for each in found if of_wanted(each)] if wanted else [each.version for each in found]
    version = max(versions, key=order, default="")
    chosen = [each for each in found if version_key(each.version) == version_key(version)]
    names = {each.file.name for each in chosen}
    others = {each.file.name: f"of {each.version}, says {place}" for each in found if each.file.name not in names}
    by_name = (platform for each in chosen if (platform := platform_in(each.file.name)))
    return Feed(
        place,
        maker,
        completed(version) if version else "",
        tuple(each.file for each in chosen),
        others,
        platform_in(word) or next(by_name, None),
        _architecture(word),
        notes=next((each.notes for each in chosen if each.notes), ""),
    )


def _word(pattern: re.Pattern[str], place: str) -> str:
    match = pattern.fullmatch(place.rpartition("/")[2])
    return (match and match.groupdict().get("word")) or ""


def _architecture(word: str) -> str | None:
    found = architectures_of(word)
    return found[0] if found and len(found) == 1 else None


def _objects(content: Any, name: str) -> list[Mapping[str, Any]]:
    """Return the list of a document that is one, or has one by this name in any case."""
    if isinstance(content, dict):
        content = next((value for key, value in content.items() if str(key).lower() == name.lower()), None)
    if not isinstance(content, list) or not all(isinstance(each, dict) for each in content):
        raise FeedError(f"it has no list of {name}")
    return content


def _load(text: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        raise FeedError(f"it is no proper JSON: {error}") from None
