"""Block maps and zsync files, made of a file's bytes as they pass. PURE.

numpy takes 25 MB of memory: only the process that makes such files (`deriving.py`) imports this.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import datetime

import numpy as np
from Crypto.Hash import MD4
from numpy.typing import NDArray

from updater.artifacts import blockmaps, zsync

LEAST_CHUNK_BYTES, MOST_CHUNK_BYTES = 8192, 32768
# About one byte in 8,192 ends a chunk that is long enough.
_LOW = 1 << 19
_WINDOW = 32
_TABLE = np.array([int.from_bytes(hashlib.sha256(bytes([each])).digest()[:4], "big") for each in range(256)], np.uint32)
# What numpy works on at once: its arrays stay in the processor's cache.
_STRIDE_BYTES = 64 << 10


def make_block_map(pieces: Iterable[bytes]) -> bytes:
    """Return the block map of a file whose bytes come in pieces of any size."""
    checksums, sizes = bytearray(), array("I")
    for chunk in _chunks(pieces):
        checksums += hashlib.blake2b(chunk, digest_size=blockmaps.CHECKSUM_BYTES).digest()
        sizes.append(len(chunk))
    return blockmaps.render(bytes(checksums), sizes)


def make_zsync(
    pieces: Iterable[bytes], *, size_bytes: int, filename: str, url: str, modified_at: datetime | None = None
) -> bytes:
    """Return the zsync file of a file whose bytes come in pieces of any size; `url` may be relative to it.

    Raises:
        ValueError: there are not `size_bytes` bytes, or `filename` or `url` has a line break.
    """
    block_bytes, lengths = zsync.block_bytes_of(size_bytes), zsync.hash_lengths_of(size_bytes)
    whole, sums, seen = hashlib.sha1(usedforsecurity=False), bytearray(), 0
    for part in _parts(pieces, block_bytes):
        whole.update(part)
        seen += len(part)
        # The last block is one of zeros, after its bytes.
        padded = part + bytes(-len(part) % block_bytes)
        for number, rolling in enumerate(_rolling_sums(padded, block_bytes)):
            block = padded[number * block_bytes : (number + 1) * block_bytes]
            # The end of the rolling sum is what tells blocks apart best.
            sums += rolling[4 - lengths.rolling_bytes :]
            sums += MD4.new(block).digest()[: lengths.strong_bytes]  # noqa: S303 - the format's checksum
    if seen != size_bytes:
        raise ValueError(f"expected {size_bytes} bytes and got {seen}")
    return zsync.render(
        bytes(sums),
        size_bytes=size_bytes,
        sha1=whole.hexdigest(),
        filename=filename,
        url=url,
        modified_at=modified_at,
    )


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytearray]:
    """Cut a file where its bytes say so. A rule for ever: both maps of a differential update must have kept it.

    A chunk ends after byte i when it has 8,192 bytes at least and h(i) < 2^19, or 32,768 bytes, or with the file.
    """
    roller, kept = _Roller(), bytearray()
    low: list[int] = []
    for piece in pieces:
        low += (roller.find_low(piece) + len(kept)).tolist()
        kept += piece
        begin = 0
        while len(kept) - begin >= MOST_CHUNK_BYTES:
            end = _end_of_chunk(low, begin)
            yield kept[begin:end]
            begin = end
        del kept[:begin]
        low = [each - begin for each in low if each >= begin]
    begin = 0
    while begin < len(kept):
        end = min(_end_of_chunk(low, begin), len(kept))
        yield kept[begin:end]
        begin = end


def _end_of_chunk(low: list[int], begin: int) -> int:
    """Return where the chunk that begins at `begin` ends; `low` are the places with a low hash, ascending."""
    index = bisect_left(low, begin + LEAST_CHUNK_BYTES - 1)
    most = begin + MOST_CHUNK_BYTES
    return min(low[index] + 1, most) if index < len(low) else most


class _Roller:
    """The rolling hash h(i) = sum of T[byte(i-j)] << j for j = 0..31, mod 2^32, of all bytes of a file in turn."""

    def __init__(self) -> None:
        size = _STRIDE_BYTES + _WINDOW - 1
        self._hashes = np.zeros(size, np.uint32)
        self._shifted = np.empty(size, np.uint32)

    def find_low(self, piece: bytes) -> NDArray[np.intp]:
        """Return the places in the file's next bytes whose hash is low, counted from the beginning of the piece."""
        data = np.frombuffer(piece, np.uint8)
        found = [
            self._find_low_in(data[begin : begin + _STRIDE_BYTES]) + begin
            for begin in range(0, len(data), _STRIDE_BYTES)
        ]
        return np.concatenate(found) if found else np.empty(0, np.intp)

    def _find_low_in(self, data: NDArray[np.uint8]) -> NDArray[np.intp]:
        before, size = _WINDOW - 1, _WINDOW - 1 + len(data)
        hashes, shifted = self._hashes[:size], self._shifted[:size]
        hashes[before:] = _TABLE[data]
        kept = hashes[size - before :].copy()
        # Sums of 1 byte become sums of 2, 4, 8, 16 and 32.
        for reach in (1, 2, 4, 8, 16):
            np.left_shift(hashes[:-reach], reach, out=shifted[reach:])
            hashes[reach:] += shifted[reach:]
        low = np.flatnonzero(hashes[before:] < _LOW)
        self._hashes[:before] = kept
        return low


def _parts(pieces: Iterable[bytes], block_bytes: int) -> Iterator[bytes]:
    """Yield the same bytes in parts of whole blocks; the last part may end within one."""
    kept = bytearray()
    for piece in pieces:
        kept += piece
        whole = len(kept) - len(kept) % block_bytes
        if whole:
            yield bytes(kept[:whole])
            del kept[:whole]
    if kept:
        yield bytes(kept)


def _rolling_sums(part: bytes, block_bytes: int) -> list[bytes]:
    """Return the rolling sum of each block: the sum of its bytes, and that of the sums, 16 bits of both, big endian."""
    blocks = np.frombuffer(part, np.uint8).reshape(-1, block_bytes).astype(np.uint16)
    weights = np.arange(block_bytes, 0, -1, dtype=np.uint16)
    sums = np.empty((len(blocks), 2), ">u2")
    sums[:, 0] = blocks.sum(axis=1, dtype=np.uint16)
    np.multiply(blocks, weights, out=blocks)
    sums[:, 1] = blocks.sum(axis=1, dtype=np.uint16)
    raw = sums.tobytes()
    return [raw[place : place + 4] for place in range(0, len(raw), 4)]
