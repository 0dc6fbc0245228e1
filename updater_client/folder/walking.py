"""Walk what lies in a folder, on a disk or told by somebody: without what installers are made of. PURE."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

MAX_DEPTH = 12

# What installers are made of: electron-builder's and Tauri's own folders, and bundles of macOS.
_INSIDES = ("*-unpacked", "*.app", "*.appdir", "*.framework", "*.dsym", "*.lproj", "node_modules", "__appimage*")
_OF_CHROMIUM = "resources.pak"  # lies beside the program of each unpacked Electron application
_OLD = "old_updates"  # where Sparkle puts what its appcast does not name any more
_MADE_FROM = (".deb", ".rpm", ".dmg", ".pkg", ".appimage", ".msi", ".exe", ".zip", ".snap")


class Entry(Protocol):
    """A file or folder in a folder, as `os.DirEntry` is one."""

    @property
    def name(self) -> str:
        """Return the last part of its path."""

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Tell whether it is a folder."""


E = TypeVar("E", bound=Entry)


def walk(
    open_folder: Callable[[E | None], AbstractContextManager[Iterable[E]]], folder: E | None = None, place: str = ""
) -> Iterator[tuple[E, str]]:
    """Yield what is no folder, with its path below the folder that is walked, in the order of names.

    Hidden files and folders are not looked at, nor is what lies deeper than `MAX_DEPTH`. `open_folder` gives what lies
    in a folder; None is the one that is walked. Raises what `open_folder` raises.
    """
    with open_folder(folder) as entries:
        here = sorted((each for each in entries if not each.name.startswith(".")), key=lambda each: each.name)
    files = {each.name.lower() for each in here if not each.is_dir(follow_symlinks=False)}
    if place and _OF_CHROMIUM in files:
        return
    for entry in here:
        path = f"{place}{_readable(entry.name)}"
        if not entry.is_dir(follow_symlinks=False):
            yield entry, path
        elif place.count("/") < MAX_DEPTH and not _is_inside(entry.name.lower(), files):
            yield from walk(open_folder, entry, f"{path}/")


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
