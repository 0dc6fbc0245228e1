"""zsync files, by which AppImages are updated in parts: their form. PURE. `makers.py` makes them.

Source: zsyncmake 0.6.2.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

_LARGE_BYTES = 100_000_000
# After this line of the header comes binary data, of a zsync file of a compressed one.
_HEADER_ENDS = re.compile(rb"^(?:\r?\n|Z-Map2:)", re.MULTILINE)
_FILENAME = re.compile(rb"^Filename:[^\r\n]*", re.MULTILINE)
_URL = re.compile(rb"^URL:[^\r\n]*", re.MULTILINE)
_FURTHER_URL = re.compile(rb"^URL:[^\n]*\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class HashLengths:
    """How much of each block's checksums is written, in bytes, and how many blocks must match in a row."""

    blocks: int
    rolling_bytes: int
    strong_bytes: int


def block_bytes_of(size_bytes: int) -> int:
    """Return the size of the blocks of a file of this size."""
    return 2048 if size_bytes < _LARGE_BYTES else 4096


def hash_lengths_of(size_bytes: int) -> HashLengths:
    """Return how much of the checksums tells apart the blocks of a file of this size."""
    block_bytes = block_bytes_of(size_bytes)
    blocks = 2 if size_bytes > block_bytes else 1
    if size_bytes == 0:
        return HashLengths(blocks, 2, 3)
    size, count = math.log(size_bytes), math.log(1 + size_bytes // block_bytes)
    # The operations of zsyncmake in its order: the results are rounded up, so the last bit of a float counts.
    rolling = math.ceil(((size + math.log(block_bytes)) / math.log(2) - 8.6) / blocks / 8)
    strong = math.ceil((20 + (size + count) / math.log(2)) / blocks / 8)
    least = int((7.9 + (20 + count / math.log(2))) / 8)
    return HashLengths(blocks, min(max(rolling, 2), 4), max(strong, least))


def render(
    sums: bytes, *, size_bytes: int, sha1: str, filename: str, url: str, modified_at: datetime | None = None
) -> bytes:
    """Return a zsync file. `sums` are the checksums of the blocks in order, `sha1` is hex, `url` may be relative.

    Raises:
        ValueError: `filename` or `url` has a line break.
    """
    lengths = hash_lengths_of(size_bytes)
    lines = ["zsync: 0.6.2", f"Filename: {filename}"]
    if modified_at is not None:
        lines.append(f"MTime: {format_datetime(modified_at.astimezone(UTC))}")
    lines += [
        f"Blocksize: {block_bytes_of(size_bytes)}",
        f"Length: {size_bytes}",
        f"Hash-Lengths: {lengths.blocks},{lengths.rolling_bytes},{lengths.strong_bytes}",
        f"URL: {url}",
        f"SHA-1: {sha1}",
    ]
    if any("\n" in line or "\r" in line for line in lines):
        raise ValueError("expected a file name and an address without line breaks")
    return "\n".join([*lines, "\n"]).encode() + sums


def rewrite(text: bytes, filename: str, url: str) -> bytes:
    """Return a zsync file with another file name and address, and everything else as it is.

    Of several `URL:` lines the first is kept: the others would lead to other places. One without any gets one.

    Raises:
        ValueError: no zsync file, or `filename` or `url` has a line break.
    """
    if any(each in "\r\n" for each in filename + url):
        raise ValueError("expected a file name and an address without line breaks")
    ends = _HEADER_ENDS.search(text)
    if not text.startswith(b"zsync:") or ends is None:
        raise ValueError("expected a zsync file")
    header, rest = text[: ends.start()], text[ends.start() :]
    named, located = f"Filename: {filename}".encode(), f"URL: {url}".encode()
    header = _FILENAME.sub(lambda _: named, header, count=1)
    first = _URL.search(header)
    if first is None:
        return header + located + b"\n" + rest
    after = _FURTHER_URL.sub(b"", header[first.end() :])
    return header[: first.start()] + located + after + rest
