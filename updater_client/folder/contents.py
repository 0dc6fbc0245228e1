"""What the files of a folder are: feed files, signatures beside files, and files for users. PURE.

Who has the files gives their bytes: a disk, or somebody who told them.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from dataclasses import replace

import updater_client.folder.appcast as appcast
import updater_client.folder.electron as electron
import updater_client.folder.packages as packages
from updater_client.folder.model import Contents, Feed, FeedError, FoundFile, LeftOut, Problem

MAX_SIGNATURE_BYTES = 16 << 10
SIGNATURES = (".sig", ".minisig")

Read = Callable[[FoundFile], bytes]
"""Returns the bytes of a file."""


def read_contents(files: Iterable[FoundFile], wanted: str | None, read: Read, *, max_bytes: int) -> Contents:
    """Return what files are; `wanted` is the version that is asked for, if one is.

    `read` is asked for those of `must_be_read` alone, and feed files of at most `max_bytes` bytes. What it raises is
    raised.
    """
    here = list(files)
    places = {file.place for file in here}
    feeds: list[Feed] = []
    signatures: dict[str, str] = {}
    kept: list[FoundFile] = []
    left_out: list[LeftOut] = []
    problems: list[Problem] = []
    for file in here:
        try:
            feed = _read_feed(file, wanted, lambda each: _content(each, read, max_bytes))
        except FeedError as error:
            remedy = f"mend it, or leave it out with --exclude {file.name}"
            problems.append(Problem(f"{file.place}: {error}", remedy, place=file.place))
            continue
        if feed is not None:
            feeds.append(feed)
            left_out.append(LeftOut(file.place, "says what the others are; the server writes its own"))
        elif (signed := _find_signed(file, places)) and (text := _find_signature(file, read)):
            signatures[signed] = text
        else:
            kept.append(file)
    return Contents(tuple(kept), _with_platforms(feeds), signatures, tuple(left_out), tuple(problems))


def must_be_read(files: Iterable[FoundFile], max_bytes: int) -> list[FoundFile]:
    """Return the files whose bytes count, and not their names alone, in their order.

    Those that could be feed files and have at most `max_bytes` bytes, and those that could be signatures beside files.
    """
    here = list(files)
    places = {file.place for file in here}
    return [
        file
        for file in here
        if (_may_be_feed(file.name) and file.size_bytes <= max_bytes)
        or (_find_signed(file, places) and 0 < file.size_bytes <= MAX_SIGNATURE_BYTES)
    ]


def _with_platforms(feeds: list[Feed]) -> tuple[Feed, ...]:
    """Give Velopack's feed files a platform where only one of the same word tells it: by its installer."""
    known = {_word(feed): feed.platform for feed in feeds if feed.platform}
    return tuple(
        feed
        if feed.platform or feed.maker not in ("velopack", "squirrel")
        else replace(feed, platform=known.get(_word(feed)))
        for feed in feeds
    )


def _word(feed: Feed) -> tuple[str, str]:
    """Return the folder of a feed file, and what its name says behind `releases.`, `assets.` or `RELEASES-`."""
    folder, _, name = feed.place.rpartition("/")
    matches = (pattern.fullmatch(name) for pattern in (packages.VELOPACK, packages.ASSETS, packages.RELEASES))
    return folder, next((match["word"] or "" for match in matches if match), name)


def _is_appcast(name: str) -> bool:
    lower = name.lower()
    return lower.startswith("appcast") and lower.endswith(".xml")


def _is_list_of_packages(name: str) -> bool:
    return packages.RELEASES.fullmatch(name) is not None and not name.lower().endswith((".md", ".txt", ".html"))


def _may_be_feed(name: str) -> bool:
    patterns = (electron.NAME, packages.VELOPACK, packages.ASSETS)
    return _is_appcast(name) or _is_list_of_packages(name) or any(each.fullmatch(name) for each in patterns)


def _read_feed(file: FoundFile, wanted: str | None, read: Read) -> Feed | None:
    """Return what a file says when it is a feed file; None for another file.

    Raises:
        FeedError: it is one that cannot be read. Also what `read` raises.
    """
    if _is_appcast(file.name):
        return appcast.read(file.place, read(file), wanted)
    if electron.NAME.fullmatch(file.name):
        try:
            return electron.read(file.place, _text(read(file)))
        except FeedError:
            if electron.is_usual(file.name):
                raise
            return None
    if packages.VELOPACK.fullmatch(file.name):
        return packages.read_velopack(file.place, _text(read(file)), wanted)
    if packages.ASSETS.fullmatch(file.name):
        return packages.read_assets(file.place, _text(read(file)))
    if _is_list_of_packages(file.name):
        return packages.read_releases(file.place, _text(read(file)), wanted)
    return None


def _content(file: FoundFile, read: Read, max_bytes: int) -> bytes:
    if file.size_bytes > max_bytes:
        raise FeedError("it is too long for a feed file")
    return read(file)


def _text(content: bytes) -> str:
    try:
        # .NET on Windows may write UTF-16.
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise FeedError("it is no UTF-8") from None


def _find_signed(file: FoundFile, places: set[str]) -> str | None:
    """Return the place of the file that a signature is beside; None for other files."""
    end = next((end for end in SIGNATURES if file.place.endswith(end)), None)
    signed = file.place.removesuffix(end) if end else None
    return signed if signed in places else None


def _find_signature(file: FoundFile, read: Read) -> str | None:
    """Return the text of a minisign signature, as Tauri writes it (base64) or minisign; None for another kind's."""
    if not 0 < file.size_bytes <= MAX_SIGNATURE_BYTES:
        return None
    try:
        text = read(file).decode().strip()
        plain = text if text.startswith("untrusted comment:") else base64.b64decode(text, validate=True).decode()
    except ValueError:  # no UTF-8, no base64, or not even ASCII
        return None
    return text if plain.startswith("untrusted comment:") else None
