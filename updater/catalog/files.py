"""Names and kinds of the files of a build. PURE."""

from __future__ import annotations

import re
from enum import StrEnum

from updater.catalog.platforms import Target

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,16}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


class FileKind(StrEnum):
    """What a file is for."""

    INSTALLER = "installer"
    ARCHIVE = "archive"
    PACKAGE = "package"
    DELTA = "delta"
    BLOCKMAP = "blockmap"
    ZSYNC = "zsync"
    OTHER = "other"


# The end of a name, in lower case, and the kind that it tells. The first that fits counts.
_ENDINGS: tuple[tuple[FileKind, tuple[str, ...]], ...] = (
    (FileKind.DELTA, ("-delta.nupkg", ".delta")),
    (FileKind.PACKAGE, ("-full.nupkg",)),
    (FileKind.BLOCKMAP, (".blockmap",)),
    (FileKind.ZSYNC, (".zsync",)),
    (FileKind.ARCHIVE, (".zip", ".tar.gz", ".tar.xz", ".7z")),
    (
        FileKind.INSTALLER,
        (".exe", ".msi", ".msix", ".dmg", ".pkg", ".deb", ".rpm", ".pacman", ".appimage", ".apk"),
    ),
)


def kind_of(name: str) -> FileKind:
    """Return the kind that a file's name tells."""
    lower = name.lower()
    return next((kind for kind, endings in _ENDINGS if lower.endswith(endings)), FileKind.OTHER)


def name_key(name: str) -> str:
    """Return the form in which two names are compared: those that differ only in case are the same name."""
    return name.casefold()


def suffix_of(name: str) -> str:
    """Return the end of a name that a generated name keeps: `.dmg` of `App 1.0.dmg`.

    Empty when what follows the last dot is not 1 to 16 letters and digits.
    """
    base = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem, dot, end = base.rpartition(".")
    return dot + end if stem and _SUFFIX.fullmatch(dot + end) else ""


def generated_name(application_id: str, version: str, target: Target, suffix: str) -> str:
    """Return the name that a build's primary file gets: `my-app-1.2.0-windows-amd64.exe`."""
    return safe_name("-".join((application_id, version, target.platform, target.architecture))) + suffix


def safe_name(text: str) -> str:
    """Return a file name without anything that a shell, a path or a header could misread."""
    return _UNSAFE.sub("_", text).lstrip(".-") or "download"
