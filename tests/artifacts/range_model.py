"""A short model of RFC 9110, sections 13 and 14, for one stored file, and random requests for it.

It is written from the words of the RFC, with positions instead of offsets, and shares no code with the service. Where
the RFC leaves a choice, it takes the service's, which `updater.artifacts.ranges` lists.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

Headers = list[tuple[str, str]]
ETAG = '"' + "ab" * 32 + '"'
MODIFIED_AT = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
_FORMATS = ("%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y")


class Wanted(NamedTuple):
    """A status, and the positions in the file that each part of the body holds."""

    status: int
    parts: tuple[tuple[int, ...], ...] = ()


def answer(headers: Headers, size_bytes: int, modified_at: datetime | None) -> Wanted:
    """Say what a GET or HEAD with these headers gets."""

    def values(name: str) -> list[str]:
        return [value for each, value in headers if each == name]

    def seconds_after(name: str) -> float | None:
        """Of the header's date behind the file's; None where that condition does not apply."""
        given = values(name)
        date = _date(given[0]) if len(given) == 1 else None
        return (
            None if date is None or modified_at is None else (date - modified_at.replace(microsecond=0)).total_seconds()
        )

    # 13.2.2, in its order.
    if values("If-Match"):
        if not _lists(values("If-Match"), weakly=False):
            return Wanted(412)
    elif (behind := seconds_after("If-Unmodified-Since")) is not None and behind < 0:
        return Wanted(412)
    if values("If-None-Match"):
        if _lists(values("If-None-Match"), weakly=True):
            return Wanted(304)
    elif (behind := seconds_after("If-Modified-Since")) is not None and behind >= 0:
        return Wanted(304)
    whole = Wanted(200, (tuple(range(size_bytes)),))
    if len(values("Range")) != 1 or any(value.strip(" \t") != ETAG for value in values("If-Range")):
        return whole
    asked = _specs(values("Range")[0])
    if asked is None or len(asked) > 1024:
        return whole
    parts = []
    for first, last in asked:
        if first is None:
            assert last is not None
            positions = [each for each in range(size_bytes) if each >= size_bytes - last]
            is_satisfiable = last > 0
        else:
            positions = [each for each in range(size_bytes) if each >= first and (last is None or each <= last)]
            is_satisfiable = first < size_bytes
        if is_satisfiable:
            parts.append(tuple(positions))
    if not parts:
        return Wanted(416)
    return Wanted(206, tuple(parts)) if size_bytes else whole


def _specs(value: str) -> list[tuple[int | None, int | None]] | None:
    """14.1.1, 14.1.2: the first and last position of each range; None where the header is to be ignored."""
    unit, is_set, listed = value.partition("=")
    found: list[tuple[int | None, int | None]] = []
    for element in listed.split(",") if is_set and unit.lower() == "bytes" else ():
        text = element.strip(" \t")
        first, dash, last = text.partition("-")
        if not text:
            continue
        if not dash or not set(first + last) <= set("0123456789") or not first + last:
            return None
        spec = (int(first) if first else None, int(last) if last else None)
        if spec[0] is not None and spec[1] is not None and spec[1] < spec[0]:
            return None
        found.append(spec)
    return found or None


def _lists(values: list[str], *, weakly: bool) -> bool:
    """8.8.3.2, 5.6.1: whether a list of entity tags has ours; one that is malformed has nothing."""
    text, found = ",".join(values).strip(" \t"), False
    if text == "*":
        return True
    while text := text.strip(" \t"):
        if text[0] == ",":
            text = text[1:]
            continue
        is_weak = text.startswith("W/")
        opened = text[2:] if is_weak else text
        inner, closed, text = opened[1:].partition('"')
        if opened[:1] != '"' or not closed or any(each <= " " or each == "\x7f" for each in inner):
            return False
        found = found or (f'"{inner}"' == ETAG and (weakly or not is_weak))
        text = text.lstrip(" \t")
        if text and text[0] != ",":
            return False
    return found


def _date(text: str) -> datetime | None:
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def random_headers(chooser: random.Random, size_bytes: int) -> Headers:
    """Return headers of one request: mostly well-formed, some broken by a character."""
    headers = [("Range", _random_range(chooser, size_bytes)) for _ in range(chooser.choices([0, 1, 2], [1, 20, 1])[0])]
    for name in ("If-Match", "If-None-Match", "If-Range"):
        if chooser.random() < 0.15:
            tags = [ETAG, f"W/{ETAG}", '"other"', '"a,b"', "*", ETAG.strip('"'), '"', ""]
            count = 1 if name == "If-Range" else chooser.choice([1, 1, 2, 3])
            listed = chooser.choice([",", ", ", " ,\t,"]).join(chooser.choices(tags, [8, 2, 4, 2, 2, 1, 1, 1], k=count))
            headers.append((name, _broken(chooser, listed)))
    for name in ("If-Modified-Since", "If-Unmodified-Since", "If-Range"):
        if chooser.random() < 0.1:
            moment = MODIFIED_AT + timedelta(seconds=chooser.choice([-86_400, -1, 0, 1, 86_400]))
            headers.append((name, moment.strftime(chooser.choice(_FORMATS))))
    chooser.shuffle(headers)
    return headers


def _random_range(chooser: random.Random, size_bytes: int) -> str:
    edges = [0, 1, size_bytes - 1, size_bytes, size_bytes + 1, size_bytes // 2, 2**31, 2**63 - 1, 2**63, 10**19, 10**25]

    def number() -> int:
        return max(0, chooser.choice([*edges, chooser.randrange(size_bytes + 2), chooser.randrange(size_bytes + 2)]))

    def spec() -> str:
        first, last = sorted((number(), number()))
        zeros = "0" * chooser.choice([0, 0, 0, 1, 30])
        kinds = [f"{zeros}{first}-{last}", f"{first}-{zeros}{last}", f"{first}-", f"-{zeros}{last}", f"{last}-{first}"]
        return chooser.choices(kinds, [5, 5, 3, 3, 0 if count > 8 else 0.3])[0]

    count = chooser.choices([1, 2, 3, 8, 1024, 1025], [40, 20, 10, 5, 1, 1])[0]
    separator = chooser.choice([",", ", ", " , ", ",,", ",\t"])
    unit = chooser.choices(["bytes", "BYTES", "Bytes", "items", "byte"], [40, 2, 2, 1, 1])[0]
    return _broken(chooser, f"{unit}={separator.join(spec() for _ in range(count))}")


def _broken(chooser: random.Random, text: str) -> str:
    if chooser.random() < 0.8:
        return text.strip(" \t")
    place = chooser.randrange(len(text) + 1)
    return (text[:place] + chooser.choice('-,= ;"W/*x09+\t') + text[place + chooser.randrange(2) :]).strip(" \t")
