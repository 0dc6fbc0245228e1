"""Block maps: a slow and plain rule beside the fast one, for all sizes, and what is found at the end of an AppImage."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import itertools
import json
import random
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from updater.artifacts.blockmaps import END_BYTES, find_embedded_bytes, is_block_map
from updater.artifacts.makers import LEAST_CHUNK_BYTES, MOST_CHUNK_BYTES, make_block_map

TABLE = [int.from_bytes(hashlib.sha256(bytes([byte])).digest()[:4], "big") for byte in range(256)]


def plain_sizes(content: bytes) -> list[int]:
    """Return the sizes of the chunks by the rule as it is written, a byte at a time."""
    sizes: list[int] = []
    size = 0
    for i in range(len(content)):
        size += 1
        if size < 8192:
            continue
        h = sum([TABLE[content[i - j]] << j for j in range(min(32, i + 1))]) % 2**32
        if h < 2**19 or size == 32768:
            sizes.append(size)
            size = 0
    return [*sizes, size] if size else sizes


@functools.cache
def plain_map(content: bytes) -> dict[str, Any]:
    sizes, checksums, place = plain_sizes(content), [], 0
    for size in sizes:
        digest = hashlib.blake2b(content[place : place + size], digest_size=18).digest()
        checksums.append(base64.b64encode(digest).decode())
        place += size
    return {"version": "2", "files": [{"name": "file", "offset": 0, "checksums": checksums, "sizes": sizes}]}


def in_pieces(content: bytes, size: int) -> list[bytes]:
    return [content[place : place + size] for place in range(0, len(content), size)]


def made(content: bytes, piece_bytes: int = 1 << 20) -> Any:
    return json.loads(gzip.decompress(make_block_map(in_pieces(content, piece_bytes))))


CONTENTS = {
    "random": random.Random(1).randbytes(200_000),
    "zeros": bytes(70_000),
    "short period": b"abc" * 30_000,
    "text": b"".join(b"line %d of a file\n" % number for number in range(5_000)),
    "same chunks": random.Random(2).randbytes(20_000) * 6,
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.parametrize("piece_bytes", [1 << 20, 65_536, 10_007])
def test_the_fast_rule_is_the_plain_one(name: str, piece_bytes: int) -> None:
    content = CONTENTS[name]
    assert made(content, piece_bytes) == plain_map(content)


@pytest.mark.parametrize("edge", [0, 1, 31, 32, 33, LEAST_CHUNK_BYTES, MOST_CHUNK_BYTES, 2 * MOST_CHUNK_BYTES, 65_536])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_files_of_all_sizes_at_an_edge(edge: int, more: int) -> None:
    for content in (random.Random(edge).randbytes(max(edge + more, 0)), bytes(max(edge + more, 0))):
        assert made(content) == plain_map(content)
        assert sum(made(content)["files"][0]["sizes"]) == len(content)


def low_content() -> bytes:
    """Return 32 bytes after which the hash is low."""
    chooser = random.Random(3)
    while True:
        window = chooser.randbytes(32)
        if sum(TABLE[window[31 - j]] << j for j in range(32)) % 2**32 < 2**19:
            return window


@pytest.mark.parametrize("size", [LEAST_CHUNK_BYTES - 1, LEAST_CHUNK_BYTES, LEAST_CHUNK_BYTES + 1, MOST_CHUNK_BYTES])
def test_a_low_hash_at_an_edge_of_a_chunk(size: int) -> None:
    """Control: with a byte less than the least, the low hash ends no chunk."""
    content = bytes(size - 32) + low_content() + bytes(MOST_CHUNK_BYTES)
    assert plain_sizes(content)[0] == (size if size >= LEAST_CHUNK_BYTES else MOST_CHUNK_BYTES)
    assert made(content) == plain_map(content)


@settings(max_examples=40, deadline=None)
@given(
    parts=st.lists(st.tuples(st.binary(min_size=1, max_size=50), st.integers(1, 600)), max_size=6),
    cuts=st.lists(st.integers(0, 100_000), max_size=6),
)
def test_any_bytes_in_any_pieces(parts: list[tuple[bytes, int]], cuts: list[int]) -> None:
    content = b"".join(part * times for part, times in parts)
    edges = [0, *sorted(min(each, len(content)) for each in cuts), len(content)]
    pieces = [content[begin:end] for begin, end in itertools.pairwise(edges)]
    assert json.loads(gzip.decompress(make_block_map(pieces))) == plain_map(content)


def test_a_change_in_the_middle_leaves_the_other_chunks_alone() -> None:
    before = random.Random(4).randbytes(2_000_000)
    after = before[:1_000_000] + b"something new" + before[1_000_100:]
    old, new = (set(made(content)["files"][0]["checksums"]) for content in (before, after))
    assert len(new - old) <= 2


def test_the_form_is_the_one_that_clients_read() -> None:
    whole = make_block_map([b"content"])
    assert whole[4:8] == bytes(4), "the time in the gzip header"
    checksum = base64.b64encode(hashlib.blake2b(b"content", digest_size=18).digest()).decode()
    assert gzip.decompress(whole) == (
        b'{"version":"2","files":[{"name":"file","offset":0,"checksums":["' + checksum.encode() + b'"],"sizes":[7]}]}'
    )


def embedded(content: bytes) -> int | None:
    """Return the size of the block map at the end of a file, as the server finds it."""
    size = find_embedded_bytes(content[-END_BYTES:], len(content))
    if size is None or not is_block_map(content[-END_BYTES - size : -END_BYTES]):
        return None
    return size


def deflated(text: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(text) + deflater.flush()


MAP = deflated(json.dumps(plain_map(CONTENTS["random"])).encode())


@pytest.mark.parametrize(
    ("end", "found"),
    [
        (MAP + len(MAP).to_bytes(4, "big"), len(MAP)),
        (MAP + len(MAP).to_bytes(4, "little"), None),
        (MAP + (len(MAP) - 1).to_bytes(4, "big"), None),
        (MAP + (len(MAP) + 1).to_bytes(4, "big"), None),
        (MAP + bytes(4), None),
        (MAP + b"\xff" * 4, None),
        (MAP[:-1] + (len(MAP) - 1).to_bytes(4, "big"), None),
        (b"", None),
        (b"abc", None),
        ((0).to_bytes(4, "big"), None),
    ],
)
def test_the_map_at_the_end_of_an_appimage(end: bytes, found: int | None) -> None:
    for before in (b"", b"\x7fELF" * 1000):
        assert embedded(before + end) == found


@pytest.mark.parametrize(
    ("text", "good"),
    [
        (b'{"version": "2", "files": []}', True),
        (b'{"version": 2}', False),
        (b'{"version": "1"}', False),
        (b'{"files": ["\\"version\\": \\"2\\""]}', False),
        (b'["version", "2"]', False),
        (b'"2"', False),
        (b"no JSON", False),
        (b"\xff\xfe", False),
        (b"[" * 500_000, False),
        (b'{"version": "2", "files": [' + b"{}," * 500_000 + b"{}]}", False),
        (b'{"version": "2"}' + b" " * (16 << 20), False),
    ],
)
def test_only_a_map_of_version_2_is_one(text: bytes, good: bool) -> None:
    raw = deflated(text)
    assert (embedded(b"AppImage" + raw + len(raw).to_bytes(4, "big")) is not None) is good


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 210))
def test_no_end_of_a_file_is_an_error(content: bytes, length: int) -> None:
    embedded(content + length.to_bytes(4, "big"))
