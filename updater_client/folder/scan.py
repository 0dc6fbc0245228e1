"""Find the files below a folder of this machine."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from updater_client.folder.model import FoundFile, LeftOut, Problem, Wishes
from updater_client.folder.names import fits
from updater_client.folder.walking import walk

MAX_FILES = 20_000
A_LINK = "a link"
_MOUNT_POINT = 0xA0000003  # IO_REPARSE_TAG_MOUNT_POINT


def scan(folder: Path, wishes: Wishes) -> tuple[list[FoundFile], list[LeftOut], list[Problem]]:
    """Return the files below a folder by their place, and those that are left out whatever they are.

    Hidden files and folders are not looked at. Links are not followed: they may lead anywhere. One to a file is taken
    when `include` names it.

    Raises:
        OSError: a folder cannot be read.
    """

    def open_folder(entry: os.DirEntry[str] | None) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        if entry is not None and is_junction(entry.stat(follow_symlinks=False)):
            return nullcontext(iter(()))
        return os.scandir(folder if entry is None else entry.path)

    found: list[FoundFile] = []
    left_out: list[LeftOut] = []
    for entry, place in walk(open_folder):
        if wishes.exclude and fits(wishes.exclude, place):
            continue
        if entry.is_symlink() and not (entry.is_file() and wishes.include and fits(wishes.include, place)):
            left_out.append(LeftOut(place, A_LINK, "--include with its name takes it"))
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


def is_junction(status: os.stat_result) -> bool:
    """Say whether a folder is one that Windows links to elsewhere, and that counts as no link in Python."""
    return getattr(status, "st_reparse_tag", 0) == _MOUNT_POINT
