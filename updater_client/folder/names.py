"""What the name of a file tells: its kind, platform and architectures, and whether the server keeps it. PURE."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from fnmatch import fnmatchcase
from urllib.parse import unquote, urlsplit

from updater_client.reserved import is_device
from updater_client.words import find_architecture, find_platform

UNIVERSAL = ("amd64", "arm64")

# The end of a name, in lower case. The first that fits counts.
_KINDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("delta", ("-delta.nupkg", ".delta")),
    ("package", ("-full.nupkg",)),
    ("blockmap", (".blockmap",)),
    ("zsync", (".zsync",)),
    ("archive", (".zip", ".tar.gz", ".tar.xz", ".7z")),
    ("installer", (".exe", ".msi", ".msix", ".dmg", ".pkg", ".deb", ".rpm", ".pacman", ".appimage", ".apk")),
)
_PLATFORMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("windows", (".exe", ".msi", ".msix", ".appx", ".nsis.zip", ".msi.zip", ".nsis.7z")),
    ("darwin", (".dmg", ".pkg", ".app.tar.gz", ".app.tar.xz", ".app.zip")),
    (
        "linux",
        (".deb", ".rpm", ".pacman", ".appimage", ".appimage.tar.gz", ".snap", ".flatpak", ".pkg.tar.zst", ".zsync"),
    ),
    ("android", (".apk", ".aab")),
    ("ios", (".ipa",)),
)
_DULL = (
    *(".txt", ".md", ".log", ".html", ".css", ".js", ".mjs", ".cjs", ".ts", ".map", ".json", ".yml", ".yaml", ".xml"),
    *(
        ".png",
        ".svg",
        ".ico",
        ".icns",
        ".jpg",
        ".gif",
        ".plist",
        ".sh",
        ".ps1",
        ".bat",
        ".py",
        ".d",
        ".pdb",
        ".desktop",
    ),
)
_SPELT_WITH_MARKS = re.compile(r"x86[-_]64", re.IGNORECASE)
# Each run of digits is looked at once: names come from strangers, and may be long.
_VERSIONS = re.compile(r"(?<!\d)\d++(?:\.\d++)+")
_TOKENS = re.compile(r"[A-Za-z0-9]+")
_WITH_NUMBER = re.compile(r"(macos|linux|mac|osx|win|windows|darwin)(32|64)?\d{0,2}")


def kind_of(name: str) -> str:
    """Return the kind that a name's end tells, as the server reads it."""
    lower = name.lower()
    return next((kind for kind, endings in _KINDS if lower.endswith(endings)), "other")


def is_dull(name: str) -> bool:
    """Say whether a file is text or pictures that builds leave beside what they make."""
    return name.lower().endswith(_DULL)


def platform_of(name: str) -> str | None:
    """Return the platform that a name tells by its end, else by a word; None for none, or for several words."""
    lower = name.lower()
    for platform, endings in _PLATFORMS:
        if lower.endswith(endings):
            return platform
    found = platform_in(name)
    # Velopack makes packages for all systems, and names the others.
    return "windows" if found is None and lower.endswith(".nupkg") else found


def platform_in(text: str) -> str | None:
    """Return the one platform that words of a text name; None for none, or for several."""
    found = {platform for word in _words(text) if (platform := _platform_of_word(word))}
    return found.pop() if len(found) == 1 else None


def architectures_of(text: str) -> tuple[str, ...] | None:
    """Return the architectures that words of a text name: both of a universal one, `()` for none.

    Returns:
        None when its words contradict each other.
    """
    found = {each for word in _words(text) if (each := _architectures_of_word(word))}
    if len(found) > 1:
        return None
    return found.pop() if found else ()


def _words(text: str) -> Iterator[str]:
    plain = _VERSIONS.sub(" ", _SPELT_WITH_MARKS.sub("amd64", text))
    return (match[0].lower() for match in _TOKENS.finditer(plain))


def _platform_of_word(word: str) -> str | None:
    numbered = _WITH_NUMBER.fullmatch(word)
    return find_platform(numbered[1] if numbered else word)


def _architectures_of_word(word: str) -> tuple[str, ...] | None:
    if word in ("universal", "universal2"):
        return UNIVERSAL
    found = find_architecture({"linux64": "x64", "win64": "x64", "armeabi": "arm"}.get(word, word))
    return None if found is None else (found,)


def last_part(address: str) -> str:
    """Return the file name in an address or path, decoded, in NFC."""
    path = urlsplit(address).path if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", address) else address
    if path is address and "/" not in address and "%" not in address:
        return unicodedata.normalize("NFC", address)
    return unicodedata.normalize("NFC", unquote(path.partition("?")[0]).replace("\\", "/").rpartition("/")[2])


def loose_key(name: str) -> str:
    """Return what is equal for a name and the form that release pages give it: spaces and such become marks."""
    return re.sub(r"[^0-9a-z]+", "-", unicodedata.normalize("NFC", name).casefold())


def fits(patterns: tuple[str, ...], place: str) -> bool:
    """Say whether one of the patterns fits a file's name, or its path below the folder."""
    name = place.rpartition("/")[2]
    return any(fnmatchcase(each, pattern) for pattern in map(_nfc, patterns) for each in (_nfc(name), _nfc(place)))


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


_NEVER_IN_NAMES = frozenset('/\\:*?"<>|%')
_NEVER_SHOWN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def is_kept(name: str) -> bool:
    """Say whether the server keeps a name in NFC as it is: one that every system can give to a file."""
    if any(each in _NEVER_IN_NAMES or unicodedata.category(each) in _NEVER_SHOWN for each in name):
        return False
    fits = 1 <= len(name.encode()) <= 180 and name[0] not in ".- " and name[-1] not in ". "
    return fits and not is_device(name)
