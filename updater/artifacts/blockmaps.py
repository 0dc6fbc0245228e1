"""Block maps, by which electron-updater finds the parts of a file that it has already: their form. PURE.

The form is electron-builder's: a JSON of the checksums and sizes of a file's chunks, in gzip beside the file, or in raw
deflate at the end of an AppImage. `makers.py` makes the former.
"""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Sequence
from typing import BinaryIO

CHECKSUM_BYTES = 18
"""The size of a chunk's BLAKE2b checksum: 144 bits, as electron-updater computes it."""

_LENGTH_BYTES = 4
# A chunk takes about 33 bytes of the JSON, so this is the map of an AppImage of 4 GiB at least. Few brackets: of a
# hostile text the parsed form stays about as small as the text.
_MOST_JSON_BYTES, _MOST_BRACKETS = 16 << 20, 1_000


def render(checksums: bytes, sizes: Sequence[int]) -> bytes:
    """Return the block map of a file: `checksums` of its chunks in a row, and `sizes` of them in bytes, in order."""
    texts = (
        base64.b64encode(checksums[place : place + CHECKSUM_BYTES]).decode()
        for place in range(0, len(checksums), CHECKSUM_BYTES)
    )
    whole = {"name": "file", "offset": 0, "checksums": list(texts), "sizes": list(sizes)}
    text = json.dumps({"version": "2", "files": [whole]}, separators=(",", ":"))
    return gzip.compress(text.encode(), mtime=0)


def find_embedded_bytes(file: BinaryIO) -> int | None:
    """Return the size of the block map at the end of an AppImage, which feeds call `blockMapSize`; None without one.

    Raises:
        OSError: the file cannot be read.
    """
    end = file.seek(0, 2)
    if end < _LENGTH_BYTES:
        return None
    file.seek(end - _LENGTH_BYTES)
    size_bytes = int.from_bytes(file.read(_LENGTH_BYTES), "big")
    if not 0 < size_bytes <= min(end - _LENGTH_BYTES, _MOST_JSON_BYTES):
        return None
    file.seek(end - _LENGTH_BYTES - size_bytes)
    return size_bytes if _is_map(file.read(size_bytes)) else None


def _is_map(deflated: bytes) -> bool:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        text = inflater.decompress(deflated, _MOST_JSON_BYTES)
        if not inflater.eof or inflater.unused_data or text.count(b"[") + text.count(b"{") > _MOST_BRACKETS:
            return False
        found = json.loads(text)
    except (zlib.error, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("version") == "2"
