"""Read a folder: its files, what its feed files say, and the signatures beside the files."""

from __future__ import annotations

import base64
import binascii
from dataclasses import replace
from pathlib import Path

import updater.client.folder.appcast as appcast
import updater.client.folder.electron as electron
import updater.client.folder.packages as packages
from updater.client.folder.model import Contents, Feed, FeedError, FoundFile, LeftOut, Problem, Wishes
from updater.client.folder.scan import scan

MAX_FEED_BYTES = 16 << 20
MAX_SIGNATURE_BYTES = 16 << 10
SIGNATURES = (".sig", ".minisig")


def read_folder(folder: Path, wishes: Wishes) -> Contents:
    """Return what a folder holds. Feed files and signatures are read, other files are not.

    Raises:
        OSError: a folder or a feed file cannot be read.
    """
    files, left_out, problems = scan(folder, wishes)
    feeds: list[Feed] = []
    signatures: dict[str, str] = {}
    kept: list[FoundFile] = []
    places = {file.place for file in files}
    for file in files:
        try:
            feed = _read_feed(file, wishes.version)
        except FeedError as error:
            problems.append(Problem(f"{file.place}: {error}", f"mend it, or leave it out with --exclude {file.name}"))
            continue
        if feed is not None:
            feeds.append(feed)
            left_out.append(LeftOut(file.place, "says what the others are; the server writes its own"))
        elif (signed := _find_signed(file, places)) and (text := _find_signature(file)):
            signatures[signed] = text
        else:
            kept.append(file)
    return Contents(tuple(kept), _with_platforms(feeds), signatures, tuple(left_out), tuple(problems))


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


def _read_feed(file: FoundFile, wanted: str | None) -> Feed | None:
    """Return what a file says when it is a feed file; None for another file.

    Raises:
        FeedError: it is one that cannot be read. OSError: the disk.
    """
    lower = file.name.lower()
    if lower.startswith("appcast") and lower.endswith(".xml"):
        return appcast.read(file.place, _content(file), wanted)
    if electron.NAME.fullmatch(file.name):
        try:
            return electron.read(file.place, _text(file))
        except FeedError:
            if electron.is_usual(file.name):
                raise
            return None
    if packages.VELOPACK.fullmatch(file.name):
        return packages.read_velopack(file.place, _text(file), wanted)
    if packages.ASSETS.fullmatch(file.name):
        return packages.read_assets(file.place, _text(file))
    if packages.RELEASES.fullmatch(file.name) and not lower.endswith((".md", ".txt", ".html")):
        return packages.read_releases(file.place, _text(file), wanted)
    return None


def _content(file: FoundFile) -> bytes:
    if file.size_bytes > MAX_FEED_BYTES:
        raise FeedError("it is too long for a feed file")
    return file.path.read_bytes()


def _text(file: FoundFile) -> str:
    content = _content(file)
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


def _find_signature(file: FoundFile) -> str | None:
    """Return the text of a minisign signature, as Tauri writes it (base64) or minisign; None for another kind's.

    Raises:
        OSError: it cannot be read.
    """
    if not 0 < file.size_bytes <= MAX_SIGNATURE_BYTES:
        return None
    try:
        text = file.path.read_bytes().decode().strip()
        plain = text if text.startswith("untrusted comment:") else base64.b64decode(text, validate=True).decode()
    except (UnicodeDecodeError, binascii.Error):
        return None
    return text if plain.startswith("untrusted comment:") else None
