"""Versions in names and feed files: found, compared, completed. PURE."""

from __future__ import annotations

import re
from itertools import zip_longest

_WORDS = "alpha|beta|rc|pre|preview|dev|nightly|canary|next|snapshot|insiders?|edge"
_IN_NAME = re.compile(
    rf"(?<![0-9A-Za-z.])v?(?P<version>\d+(?:\.\d+){{1,3}}(?:[-~_.]?(?:{_WORDS})(?:[.-]?\d+(?:[.-]\d+)*)?)?)(?![0-9A-Za-z]|\.\d)",
    re.IGNORECASE,
)
_SEMANTIC = re.compile(
    r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_SHORT = re.compile(r"v?(?P<numbers>\d+(?:\.\d+)?)(?P<rest>[-+].*)?")
_PARTS = re.compile(r"\d+|[a-z]+")
_ZERO = (0, "")


def _value(digits: str) -> tuple[int, str]:
    """Return what orders numbers by value, however long they are: Python refuses to read 4,301 digits."""
    plain = digits.lstrip("0")
    return len(plain), plain


def versions_in(name: str) -> tuple[str, ...]:
    """Return what looks like a version in a file's name; those of three numbers and more hide those of two."""
    found = tuple(match["version"].replace("~", "-") for match in _IN_NAME.finditer(name))
    long = tuple(each for each in found if re.match(r"\d+\.\d+\.\d+", each))
    return long or found


def is_in_name(version: str, name: str) -> bool:
    """Say whether a name holds just this version: `1.2.0` is in `App-1.2.0-x64.exe`, not in `App-1.2.01.exe`."""
    plain = version.partition("+")[0]
    return any(
        re.search(rf"(?<![0-9A-Za-z.])v?{re.escape(each)}(?![0-9A-Za-z]|[.~]\d)", name, re.IGNORECASE)
        for each in (version, plain, plain.replace("-", "~", 1))
    )


def version_key(text: str) -> tuple[object, ...]:
    """Return what is equal for two spellings of a version: `2.0`, `2.0.0` and `v2.0.0.0`; `1.0.0-rc1`, `1.0.0-rc.1`."""
    plain = text.strip().lower().removeprefix("v").partition("+")[0]
    numbers, rest = re.fullmatch(r"([\d.]*)(.*)", plain, re.DOTALL).groups()  # type: ignore[union-attr]
    parts = [_value(each) for each in numbers.split(".") if each]
    while len(parts) > 3 and parts[-1] == _ZERO:
        parts.pop()
    return (*parts, *(_ZERO,) * (3 - len(parts)), *_PARTS.findall(rest))


def completed(version: str) -> str:
    """Return a version of one or two numbers with three, as Semantic Versions have: `2.0.0` for `2.0`."""
    text = version.strip()
    if _SEMANTIC.fullmatch(text):
        return text
    if short := _SHORT.fullmatch(text):
        numbers = [each.lstrip("0") or "0" for each in short["numbers"].split(".")]
        return ".".join([*numbers, "0", "0"][:3]) + (short["rest"] or "")
    return text.removeprefix("v")


def order(version: str) -> tuple[object, ...]:
    """Return a key that sorts versions: numbers by value, and a pre-release below its release."""
    plain = version.strip().lower().removeprefix("v").partition("+")[0]
    core, _, rest = plain.partition("-")
    numbers = [_value(each) if each.isdecimal() else _ZERO for each in core.split(".")]
    while numbers and numbers[-1] == _ZERO:
        numbers.pop()
    words = rest.split(".") if rest else []
    keys = ((0, _value(each), "") if each.isdecimal() else (1, _ZERO, each) for each in words)
    return (tuple(numbers), not rest, tuple(keys))


def is_newer_build(version: str, other: str) -> bool:
    """Compare two build versions as Sparkle does: runs of digits by value, others as text, a longer one is newer.

    Source: SUStandardVersionComparator of Sparkle.
    """
    for mine, theirs in zip_longest(_PARTS.findall(version.lower()), _PARTS.findall(other.lower())):
        if mine == theirs:
            continue
        if mine is None or theirs is None:
            longer = mine or theirs or ""
            # "1.0b1" is older than "1.0", "1.0.1" is newer.
            return (mine is not None) == longer.isdecimal()
        if mine.isdecimal() and theirs.isdecimal():
            if _value(mine) != _value(theirs):
                return _value(mine) > _value(theirs)
        elif mine.isdecimal() or theirs.isdecimal():
            return bool(mine.isdecimal())
        else:
            return str(mine) > str(theirs)
    return False


def first_word(version: str) -> str | None:
    """Return the first word of a pre-release, such as `beta` for `1.2.0-beta.3`; None for a release."""
    _, _, rest = version.partition("+")[0].partition("-")
    word = re.match(r"[A-Za-z-]*[A-Za-z]", rest)
    return word[0] if word else None


def proposed_channel(version: str, channels: tuple[str, ...] | None) -> str | None:
    """Return the channel that a pre-release names itself after; None when the application has no such channel."""
    word = first_word(version)
    return next((each for each in channels or () if word is not None and each.lower() == word.lower()), None)


def chosen_channel(version: str, told: str | None, channels: tuple[str, ...] | None) -> str | None:
    """Return a new release's channel: what feed files tell if the application has it, else the proposed one."""
    return told if told is not None and told in (channels or ()) else proposed_channel(version, channels)
