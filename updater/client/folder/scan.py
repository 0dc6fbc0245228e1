"""Walk a folder: which files builds leave for users, without what they are made of."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from updater.client.folder.model import FoundFile, LeftOut, Problem, Wishes
from updater.client.folder.names import fits

MAX_FILES = 20_000
MAX_DEPTH = 12

# What installers are made of: electron-builder's and Tauri's own folders, and bundles of macOS.
_INSIDES = ("*-unpacked", "*.app", "*.appdir", "*.framework", "*.dsym", "*.lproj", "node_modules", "__appimage*")
_OF_CHROMIUM = "resources.pak"  # lies beside the program of each unpacked Electron application
_OLD = "old_updates"  # where Sparkle puts what its appcast does not name any more
_MADE_FROM = (".deb", ".rpm", ".dmg", ".pkg", ".appimage", ".msi", ".exe", ".zip", ".snap")


def scan(folder: Path, wishes: Wishes) -> tuple[list[FoundFile], list[LeftOut], list[Problem]]:
    """Return the files below a folder by their place, and those that are left out whatever they are.

    Hidden files and folders are not looked at. Links are not followed: they may lead anywhere. One to a file is taken
    when `include` names it.

    Raises:
        OSError: a folder cannot be read.
    """
    found: list[FoundFile] = []
    left_out: list[LeftOut] = []
    for entry, place in _walk(folder, "", 0):
        if wishes.exclude and fits(wishes.exclude, place):
            continue
        if entry.is_symlink() and not (entry.is_file() and wishes.include and fits(wishes.include, place)):
            left_out.append(LeftOut(place, "a link: --include with its name takes it"))
            continue
        if not entry.is_file():
            left_out.append(LeftOut(place, "no regular file"))
            continue
        if len(found) >= MAX_FILES:
            problem = Problem(f"the folder holds more than {MAX_FILES} files", "give the one with the installers alone")
            return [], [], [problem]
        name = unicodedata.normalize("NFC", entry.name)
        found.append(FoundFile(Path(entry.path), place, name, entry.stat().st_size, entry.is_symlink()))
    return found, left_out, []


def _walk(folder: Path, below: str, depth: int) -> Iterator[tuple[os.DirEntry[str], str]]:
    with os.scandir(folder) as entries:
        here = sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
    files = {each.name.lower() for each in here if not each.is_dir(follow_symlinks=False)}
    if below and _OF_CHROMIUM in files:
        return
    for entry in here:
        place = f"{below}{_readable(entry.name)}"
        if not entry.is_dir(follow_symlinks=False):
            yield entry, place
        elif depth < MAX_DEPTH and not _is_inside(entry.name.lower(), files):
            yield from _walk(Path(entry.path), f"{place}/", depth + 1)


def _is_inside(name: str, files: set[str]) -> bool:
    """Say whether a folder is what an installer was made of: by its name, or by a file beside it that is made of it."""
    return (
        name == _OLD
        or any(fnmatchcase(name, pattern) for pattern in _INSIDES)
        or any(f"{name}{end}" in files for end in _MADE_FROM)
    )


def _readable(name: str) -> str:
    """Return a name that is no Unicode with marks in the place of what cannot be shown."""
    return name.encode(errors="replace").decode()
