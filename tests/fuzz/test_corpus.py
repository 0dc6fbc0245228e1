"""Every parser with its good inputs, with all that fuzzing found, and with 16 KiB of the same over and over.

`scripts/fuzz` looks for more. Control: a parser that takes quadratic time, or raises what nobody documented, is found.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.fuzz.targets import NAMES, Target, load

MOST_BYTES, MOST_CPU_S = 16_384, 2.0
CORPUS = Path(__file__).with_name("corpus")


def cpu_s(target: Target, data: bytes) -> float:
    began_s = time.thread_time()
    target.check(data)
    return time.thread_time() - began_s


@pytest.mark.parametrize("name", NAMES)
def test_what_was_found_stays_mended(name: str) -> None:
    target = load(name)
    for seed in (b"", *target.SEEDS):
        target.check(seed)
        for end in range(0, len(seed), max(1, len(seed) // 10)):
            target.check(seed[:end])
            target.check(seed[:end] + bytes([seed[end] ^ 0x41]) + seed[end + 1 :])
    for path in sorted((CORPUS / name).glob("*")):
        assert cpu_s(target, path.read_bytes()) < MOST_CPU_S, path.name


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


@pytest.mark.parametrize("name", NAMES)
def test_no_repetition_takes_long(name: str) -> None:
    target = load(name)
    slow = {}
    for piece in (*target.SEEDS, *PIECES):
        data = (piece * (MOST_BYTES // len(piece) + 1))[:MOST_BYTES]
        took_s = cpu_s(target, data)
        if took_s > MOST_CPU_S:
            slow[piece[:20]] = round(took_s, 2)
    assert not slow
