"""Versions: parsed, ordered, and as a text that sorts. PURE.

SemVer 2.0 by default; PEP 440 for applications that choose it. Both parse to one frozen `Version` whose
`sort_key` orders plain strings by code point exactly as the scheme orders versions, so that the database and
the in-memory index compare without knowing any scheme.

Versions with one key are one version, whatever their texts: `1.0` and `1.0.0` in PEP 440, `1.0.0+1` and `1.0.0+2` in
SemVer.

Source: semver.org 2.0.0 section 11; PEP 440 "Summary of permitted suffixes and relative ordering".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import semver
from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion
from packaging.version import Version as Pep440

from updater.errors import Invalid

MAX_VERSION_CHARACTERS = 100

# Sorts behind every identifier: a release comes after all of its pre-releases.
_LAST = "~"
# Sorts before every character an identifier may hold: "alpha" < "alpha0", and a shorter list comes first.
_END = "!"
# The epoch and the numbers of a normalised version.
_PEP440_RELEASE = re.compile(r"(?:[0-9]+!)?[0-9]+(?:\.[0-9]+)*")


class Scheme(StrEnum):
    """How an application orders its versions."""

    SEMVER = "semver"
    PEP440 = "pep440"


@dataclass(frozen=True, slots=True)
class Version:
    """One version. `text` is what is stored and shown; `sort_key` is what is compared, for equality too."""

    text: str
    sort_key: str
    prerelease: bool

    @property
    def numbers(self) -> int | None:
        """Return of how many numbers the version consists: 3 for `1.2.3`; None when it holds anything else."""
        return self.text.count(".") + 1 if self.text.replace(".", "").isdigit() else None


@lru_cache(maxsize=1024)  # paths name the same few versions again and again
def parse_version(text: str, scheme: Scheme = Scheme.SEMVER) -> Version:
    """Parse `text` by `scheme`.

    Raises:
        ValueError: not a version of that scheme. The text is safe to show.
    """
    _require_length(text)
    # Both libraries match \d, which would take digits of other scripts, and $, which would take a line end.
    if not text.isascii() or not text.isprintable():
        raise ValueError(f"invalid version format: {text!r}")
    return _parse_semver(text) if scheme is Scheme.SEMVER else _parse_pep440(text)


def spelling_patterns(version: Version, scheme: Scheme) -> tuple[str, str]:
    """Return an exact text, and a LIKE pattern, that together cover every stored text of an equal version.

    The pattern covers some others too: whoever uses it compares the keys of what it finds.
    """
    if scheme is Scheme.SEMVER:
        plain = version.text.partition("+")[0]
        return plain, f"{plain}+%"
    shortest = canonicalize_version(version.text)
    release = _PEP440_RELEASE.match(shortest)
    head = release[0] if release else shortest
    return shortest, f"{head}.0%{shortest[len(head) :]}"


def is_spelling(text: str, version: Version, scheme: Scheme) -> bool:
    """Tell whether a stored text is an equal version; one of another scheme is not."""
    try:
        return text == version.text or parse_version(text, scheme).sort_key == version.sort_key
    except ValueError:  # stored while an application of this id had another scheme
        return False


def parse_field(text: str, scheme: Scheme, field: str) -> Version:
    """Parse what a client gave as `field`.

    Raises:
        Invalid: not a version of that scheme; names the field.
    """
    try:
        return parse_version(text, scheme)
    except ValueError as error:
        raise Invalid({field: str(error)}) from None


def _require_length(text: str) -> None:
    if len(text) > MAX_VERSION_CHARACTERS:
        raise ValueError(f"version is longer than {MAX_VERSION_CHARACTERS} characters")


def _parse_semver(text: str) -> Version:
    try:
        parsed = semver.Version.parse(text)
    except ValueError:
        raise ValueError(f"invalid version format: {text}") from None
    core = "".join(_number(part) for part in (parsed.major, parsed.minor, parsed.patch))
    if parsed.prerelease is None:
        return Version(text, core + _LAST, prerelease=False)
    return Version(text, core + _identifiers(parsed.prerelease), prerelease=True)


def _number(value: int) -> str:
    """Encode a number so that text order is number order: its count of digits first."""
    digits = str(value)
    return f"{len(digits):03d}{digits}"


def _identifiers(prerelease: str) -> str:
    """Numeric identifiers sort as numbers and before all others, which sort as ASCII text."""
    return "".join(f"0{_number(int(each))}" if each.isdigit() else f"1{each}{_END}" for each in prerelease.split("."))


def _parse_pep440(text: str) -> Version:
    try:
        parsed = Pep440(text)
    except InvalidVersion:
        raise ValueError(f"invalid version format: {text}") from None
    normal = str(parsed)
    _require_length(normal)  # this is stored and read again, and `-10` is written `.post10`
    numbers = list(parsed.release)
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    release = "".join(f"1{_number(each)}" for each in numbers) + "0"
    key = f"{_number(parsed.epoch)}{release}{_pep440_suffix(parsed)}"
    return Version(normal, key, prerelease=parsed.is_prerelease)


def _pep440_suffix(parsed: Pep440) -> str:
    """Order: dev of the release < a < b < rc < release < post; within each, dev comes before none."""
    dev = f"0{_number(parsed.dev)}" if parsed.dev is not None else "1"
    post = f"1{_number(parsed.post)}" if parsed.post is not None else "0"
    if parsed.pre is not None:
        phase, count = parsed.pre
        pre = {"a": "1", "b": "2", "rc": "3"}[phase] + _number(count)
    else:
        pre = "0" if parsed.post is None and parsed.dev is not None else "4"
    return pre + post + dev + _pep440_local(parsed.local)


def _pep440_local(local: str | None) -> str:
    """No local segment comes first; text segments come before numeric ones."""
    if local is None:
        return "0"
    parts = (f"2{_number(int(each))}" if each.isdigit() else f"1{each}{_END}" for each in local.split("."))
    return "1" + "".join(parts) + "0"
