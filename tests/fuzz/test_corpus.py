"""Every parser with its good inputs, with all that fuzzing found, and with 16 KiB of the same over and over.

`scripts/fuzz` looks for more. Time is compared with the time for fewer bytes, since machines differ.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.fuzz.targets import NAMES, Target, load

MANY_BYTES, FEW_BYTES = 16_384, 4_096
MOST_RATIO = 10.0  # four times the bytes take four times as long, or sixteen times when the time grows by the square
QUICK_CPU_S = 0.05  # tells nothing
CORPUS = Path(__file__).with_name("corpus")


def cpu_s(target: Target, data: bytes) -> float:
    began_s = time.thread_time()
    target.check(data)
    return time.thread_time() - began_s


def grows_too_fast(target: Target, data: bytes) -> bool:
    """Tell whether the time for these bytes is out of proportion to that for a part of them, three times over."""

    def once() -> bool:
        took_s = cpu_s(target, data)
        return took_s > QUICK_CPU_S and took_s > MOST_RATIO * cpu_s(target, data[: len(data) * FEW_BYTES // MANY_BYTES])

    return all(once() for _ in range(3))


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_stays_mended(name: str) -> None:
    target = load(name)
    for seed in (b"", *target.SEEDS):
        target.check(seed)
        for end in range(0, len(seed), max(1, len(seed) // 10)):
            target.check(seed[:end])
            target.check(seed[:end] + bytes([seed[end] ^ 0x41]) + seed[end + 1 :])
    for path in sorted((CORPUS / name).glob("*")):
        assert not grows_too_fast(target, path.read_bytes()), path.name


# What a text may be full of, beside each target's own inputs.
PIECES = (
    b"(",
    b"[",
    b"{",
    b'"',
    b"\\",
    b"<a>",
    b"&amp;",
    b"a ",
    b"a=",
    b"1.",
    b"0",
    b"-",
    b",",
    b"\n",
    b"a\n",
    b": ",
    b"\xc3\xa9",
)


def repeated(piece: bytes) -> bytes:
    return (piece * (MANY_BYTES // len(piece) + 1))[:MANY_BYTES]


@pytest.mark.parametrize("name", NAMES)
def test_no_repetition_takes_long(name: str) -> None:
    target = load(name)
    assert [piece[:20] for piece in (*target.SEEDS, *PIECES) if grows_too_fast(target, repeated(piece))] == []


def test_time_by_the_square_is_found() -> None:
    """The control."""

    class Slow:
        SEEDS = ()

        def check(self, data: bytes) -> None:
            for _ in range(8):
                re.search(rb"a+~", data)

    assert grows_too_fast(Slow(), repeated(b"a"))
    assert not grows_too_fast(Slow(), repeated(b"b"))
