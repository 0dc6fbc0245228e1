"""What people call platforms and architectures, and what the server calls them. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

PLATFORMS = ("windows", "linux", "darwin", "android", "ios")
ARCHITECTURES = ("amd64", "arm64", "386", "arm")

_PLATFORM_OF_WORD = {
    **{word: word for word in PLATFORMS},
    **dict.fromkeys(("macos", "mac", "osx", "macosx", "mac os", "mac os x", "os x"), "darwin"),
    **dict.fromkeys(("win", "win32", "win64", "cygwin"), "windows"),
    **dict.fromkeys(("gnu/linux", "linux2"), "linux"),
    "ipados": "ios",
}
_ARCHITECTURE_OF_WORD = {
    **dict.fromkeys(("amd64", "x64", "x86_64", "x86-64"), "amd64"),
    **dict.fromkeys(("arm64", "aarch64", "armv8", "arm64-v8a"), "arm64"),
    **dict.fromkeys(("386", "i386", "i486", "i586", "i686", "ia32", "x86"), "386"),
    **dict.fromkeys(("arm", "armhf", "armv6", "armv6l", "armv7", "armv7l", "armv8l", "armeabi-v7a"), "arm"),
}


def find_platform(word: str) -> str | None:
    """Return the platform that a word of any case stands for, such as `darwin` for `macOS`; None for others."""
    return _PLATFORM_OF_WORD.get(word.strip().lower())


def find_architecture(word: str) -> str | None:
    """Return the architecture that a word of any case stands for, such as `amd64` for `x64`; None for others."""
    return _ARCHITECTURE_OF_WORD.get(word.strip().lower())


def known_platforms(words: Iterable[str]) -> list[str]:
    """Return platforms as the server calls them, in their order and once each; words that are none stay."""
    return list(dict.fromkeys(find_platform(word) or word for word in words))


def close_platform(word: str) -> str | None:
    """Return the word that somebody meant who wrote one that is no platform; None when none is close."""
    return _closest(word, _PLATFORM_OF_WORD)


def close_architecture(word: str) -> str | None:
    """Return the word that somebody meant who wrote one that is no architecture; None when none is close."""
    return _closest(word, _ARCHITECTURE_OF_WORD)


def meant(fields: Iterable[str], platform: object, architecture: object) -> str | None:
    """Return a hint for a refusal that names these fields: the words that were meant; None when none are close."""
    found = []
    if "platform" in fields and isinstance(platform, str) and (close := close_platform(platform)):
        found.append(close)
    if {"architecture", "arch"} & set(fields) and isinstance(architecture, str):
        found += [close] if (close := close_architecture(architecture)) else []
    return f"did you mean {' and '.join(found)}?" if found else None


def _closest(word: str, words: dict[str, str]) -> str | None:
    lower = word.strip().lower()
    if lower in words:
        return None
    return next(iter(get_close_matches(lower, words, n=1, cutoff=0.6)), None)
