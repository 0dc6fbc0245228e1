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

CHECKSUM_BYTES = 18
"""The size of a chunk's BLAKE2b checksum: 144 bits, as electron-updater computes it."""

END_BYTES = 4
"""How many bytes at the end of an AppImage tell the size of the block map before them, big endian."""

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


def find_embedded_bytes(end: bytes, file_bytes: int) -> int | None:
    """Return how large a block map the last four bytes of an AppImage announce; None when they announce none.

    What lies there is a map when `is_block_map` says so; then feeds call its size `blockMapSize`.
    """
    size_bytes = int.from_bytes(end, "big")
    return size_bytes if 0 < size_bytes <= min(file_bytes - END_BYTES, _MOST_JSON_BYTES) else None


def is_block_map(deflated: bytes) -> bool:
    """Tell whether these bytes, which lie before the last four, are a block map as clients read it."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        text = inflater.decompress(deflated, _MOST_JSON_BYTES)
        if not inflater.eof or inflater.unused_data or text.count(b"[") + text.count(b"{") > _MOST_BRACKETS:
            return False
        found = json.loads(text)
    except (zlib.error, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("version") == "2"
