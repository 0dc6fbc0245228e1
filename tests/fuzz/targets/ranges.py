"""The `Range` header: whatever it says, what is chosen lies in the file, and is not many times the file."""

from __future__ import annotations

from multidict import CIMultiDict

from updater.artifacts.ranges import MAX_PARTS, plan, select

SEEDS = (b"bytes=0-9", b"bytes=-5, 7-, 0-0", b"bytes=00000000000000000000000005-6", b"BYTES= ,\t1-2 ,", b"items=1-2")
_ETAG = '"a"'


def check(data: bytes) -> None:
    value = data.decode("latin-1")
    for size in (0, 1, 1_000, 1 << 40):
        chosen = select(value, size)
        for each in chosen or ():
            assert 0 <= each.start < each.start + each.count <= size
        assert chosen is None or len(chosen) <= MAX_PARTS
        made = plan("GET", CIMultiDict({"Range": value, "If-Range": value}), _ETAG, size)
        assert made.status in (200, 206, 416)
        assert plan("GET", CIMultiDict({"If-None-Match": value, "If-Modified-Since": value}), _ETAG, size).status in (
            200,
            304,
        )
        assert plan("GET", CIMultiDict({"If-Match": value}), _ETAG, size).status in (200, 412)
