"""Which version a folder holds, and which of its files are of it. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from updater_client.folder.model import Contents, Feed, FoundFile, NamedFile, Problem, Wishes
from updater_client.folder.names import loose_key
from updater_client.folder.versions import completed, is_in_name, version_key, versions_in


@dataclass(frozen=True)
class Said:
    """What one feed file says of a file that is here."""

    feed: Feed
    file: NamedFile


def find_version(contents: Contents, wishes: Wishes, names: Iterable[str]) -> tuple[str, list[Problem]]:
    """Return the one version of a folder: the wished one, else what feed files say, else what names of files say.

    Returns:
        The empty text, and what settles it, when there are several or none.
    """
    if wishes.version:
        return wishes.version, []
    said: dict[object, list[tuple[str, str]]] = {}
    for feed in contents.feeds:
        if feed.version:
            said.setdefault(version_key(feed.version), []).append((feed.version, feed.place))
    if not said:
        for name in names:
            if len(found := versions_in(name)) == 1:
                said.setdefault(version_key(found[0]), []).append((found[0], name))
    if not said:
        return "", [
            Problem("no version is told, neither by a feed file nor by a name", "give it with --version", "version")
        ]
    if len(said) > 1:
        there = ", ".join(f"{completed(each[0][0])} ({some([place for _, place in each])})" for each in said.values())
        one = completed(max(next(iter(said.values())), key=lambda each: len(each[0]))[0])
        remedy = f"take one with --version, such as --version {one}, or leave files out with --exclude"
        return "", [Problem(f"several versions are here: {there}", remedy, "version")]
    # 1.2.0-beta.3 is rather it than 1.2.0-beta3.
    return completed(max((version for version, _ in next(iter(said.values()))), key=len)), []


def is_of(version: str, name: str) -> bool:
    """Say whether a file may be of a version: its name tells that one, or none."""
    found = versions_in(name)
    return not found or is_in_name(version, name) or version_key(version) in map(version_key, found)


def feeds_of(version: str, feeds: Iterable[Feed]) -> tuple[list[Feed], list[Feed]]:
    """Return the feed files of a version, with those that tell none, and those of others."""
    mine: list[Feed] = []
    others: list[Feed] = []
    for feed in feeds:
        (mine if not feed.version or version_key(feed.version) == version_key(version) else others).append(feed)
    return mine, others


def find_said(files: Iterable[FoundFile], feeds: Iterable[Feed]) -> tuple[dict[str, list[Said]], list[Said]]:
    """Find the files that feed files name.

    Returns:
        What is said of each file, by its place, and what is said of files that are not here.
    """
    exact: dict[str, list[FoundFile]] = {}
    loose: dict[str, list[FoundFile]] = {}
    for file in files:
        exact.setdefault(file.name.casefold(), []).append(file)
        loose.setdefault(loose_key(file.name), []).append(file)
    found: dict[str, list[Said]] = {}
    missing: list[Said] = []
    for feed in feeds:
        for named in feed.files:
            here = exact.get(named.name.casefold()) or loose.get(loose_key(named.name)) or []
            if (nearest := _nearest(feed.place.rpartition("/")[0], here)) is None:
                missing.append(Said(feed, named))
            else:
                found.setdefault(nearest.place, []).append(Said(feed, named))
    return found, missing


def others_of(mine: Iterable[Feed], aside: Iterable[Feed]) -> Mapping[str, str]:
    """Return why files are left out, by the lower form of their names: of other versions, or for no updater."""
    found = {name.casefold(): why for feed in mine for name, why in feed.others.items()}
    for feed in aside:
        found |= {name.casefold(): why for name, why in feed.others.items()}
        found |= {each.name.casefold(): f"of {feed.version}, says {feed.place}" for each in feed.files}
    return found


def _nearest(folder: str, files: list[FoundFile]) -> FoundFile | None:
    """Return the file in a feed file's own folder, else the only one, else the first below that folder."""
    same = [file for file in files if file.folder == folder]
    below = [file for file in files if not folder or file.folder.startswith(f"{folder}/")]
    return next(iter(same or below or files), None)


def some(names: list[str]) -> str:
    """Name at most three, and say how many more there are."""
    shown = ", ".join(names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
