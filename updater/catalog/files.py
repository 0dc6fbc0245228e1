"""Names and kinds of the files of a build. PURE."""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum

from updater.catalog.platforms import Target
from updater.errors import Invalid

MAX_NAME_BYTES = 180
MAX_FILES = 32
"""How many files of its developer a build has at most: the primary one and its companions."""

# One ending, or those that only mean something together. Digits alone are the end of a version: `mkcert-v1.4.4`.
_SUFFIX = re.compile(
    r"(?:(?:\.(?:app|appimage))?\.tar|\.(?:app|appimage|msi|nsis)(?=\.zip))?\.(?=[0-9]*[a-z])[a-z0-9]{1,16}",
    re.ASCII | re.IGNORECASE,
)
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")
_NEVER_IN_NAMES = frozenset('/\\:*?"<>|%')
# Control, format, surrogate, private and unassigned characters; separators of lines and paragraphs.
_NEVER_SHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Source: "Naming Files, Paths, and Namespaces" of the Windows documentation: whatever follows the first dot.
_DEVICE = re.compile(
    r"(?:con|conin\$|conout\$|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3]) *(?:\..*)?",
    re.IGNORECASE,
)


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
    """Return the form in which two names are compared: those that differ only in case, or composition, are the same."""
    return unicodedata.normalize("NFC", name).casefold()


def own_name(text: str) -> str | None:
    """Return the name that a publisher's text gives a file, in NFC; None when no system could keep it as it is.

    A name has 1 to 180 bytes of UTF-8. It holds no characters that are never shown, and none that a path or a shell
    reads; it does not begin with a dot, hyphen or space, does not end with a dot or space, and is no device of Windows.
    """
    name = unicodedata.normalize("NFC", text)
    if any(each in _NEVER_IN_NAMES or unicodedata.category(each) in _NEVER_SHOWN for each in name):
        return None
    fits = 1 <= len(name.encode()) <= MAX_NAME_BYTES and name[0] not in ".- " and name[-1] not in ". "
    return name if fits and not _DEVICE.fullmatch(name) else None


def require_name(text: str, field: str = "file_name") -> str:
    """Return the name of a companion as `own_name` does. Raises Invalid for one that no system could keep."""
    name = own_name(text)
    if name is None:
        raise Invalid(
            {
                field: f'expected 1 to {MAX_NAME_BYTES} bytes without control characters and / \\ : * ? " < > | %, not '
                "beginning with a dot, hyphen or space, not ending with a dot or space, and no device of Windows"
            }
        )
    return name


def require_package_name(name: str, kind: FileKind, version: str, field: str = "file_name") -> None:
    """Hold packages to the names that their clients read versions from; all other files may be called anything.

    Raises:
        Invalid: a package that is not called `{Id}-{version}[-{word}]-full.nupkg`, or a delta package not so with
            `-delta.nupkg`.
    """
    lower = name.lower()
    if kind is not FileKind.PACKAGE and not (kind is FileKind.DELTA and lower.endswith(".nupkg")):
        return
    end = f"-{'full' if kind is FileKind.PACKAGE else 'delta'}.nupkg"
    stem = name[: -len(end)] if lower.endswith(end) else ""
    if re.fullmatch(rf".+-{re.escape(version)}(?:-[A-Za-z][A-Za-z0-9_-]*)?", stem) is None:
        raise Invalid({field: f"a {kind.value} must be called {{Id}}-{version}[-{{word}}]{end}"})


def further_digest(kind: FileKind) -> str | None:
    """Return the digest that feeds give of a kind of file beside the SHA-256: `sha512`, `sha1`, or None."""
    if kind in (FileKind.INSTALLER, FileKind.ARCHIVE):
        return "sha512"
    return "sha1" if kind in (FileKind.PACKAGE, FileKind.DELTA) else None


def suffix_of(name: str) -> str:
    """Return the end of a name that a generated name keeps: `.dmg` of `App 1.0.dmg`, `.tar.gz` of `app.tar.gz`.

    Empty when what follows the last dot is not 1 to 16 letters and digits, with a letter among them.
    """
    base = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    # The first position at which everything to the end is a suffix has the longest one; a name needs a beginning.
    dots = (place for place, each in enumerate(base) if each == "." and place)
    return next((base[place:] for place in dots if _SUFFIX.fullmatch(base, place)), "")


def primary_name(uploaded: str, application_id: str, version: str, target: Target) -> str:
    """Return the name of a build's primary file: its own, else a generated one with the suffix of `uploaded`."""
    return own_name(uploaded) or generated_name(application_id, version, target, suffix_of(uploaded))


def generated_name(application_id: str, version: str, target: Target, suffix: str) -> str:
    """Return the name of a file that has none of its own: `my-app-1.2.0-windows-amd64.exe`."""
    return safe_name("-".join((application_id, version, target.platform, target.architecture))) + suffix


def safe_name(text: str) -> str:
    """Return a file name without anything that a shell, a path or a header could misread."""
    return _UNSAFE.sub("_", text).lstrip(".-") or "download"
