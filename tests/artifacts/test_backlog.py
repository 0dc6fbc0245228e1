"""What waits between the event loop and the thread that writes, step by step: both sides are called in turn here."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from updater.artifacts.staged import MOST_WAITING_BYTES, Backlog

KIB, MIB = 1 << 10, 1 << 20
LARGE = 128 * KIB


@pytest.fixture
async def errors() -> list[dict[str, Any]]:
    """Give what callbacks of the loop failed with."""
    found: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    return found


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def filled(*sizes: int) -> tuple[Backlog, list[bytes]]:
    backlog, chunks = Backlog(), [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    for chunk in chunks:
        backlog.put(chunk)
    return backlog, chunks


def taken(backlog: Backlog) -> list[bytes]:
    return list(iter(backlog.take, b""))


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([], []),
        ([0, 0], []),
        ([1, 0, 2, 3], [6]),
        ([64 * KIB] * 16, [MIB]),
        ([64 * KIB] * 17, [MIB, 64 * KIB]),
        ([64 * KIB] * 15 + [64 * KIB + 1], [15 * 64 * KIB, 64 * KIB + 1]),
        ([10, LARGE, 20, 30], [10, LARGE, 50]),
        ([LARGE - 1, LARGE - 1], [2 * LARGE - 2]),
        ([LARGE, LARGE], [LARGE, LARGE]),
        ([3 * MIB, 1], [3 * MIB, 1]),
    ],
)
async def test_small_chunks_are_joined_up_to_a_mib_and_large_ones_are_not(sizes: list[int], batches: list[int]) -> None:
    backlog, chunks = filled(*sizes)
    found = taken(backlog)
    assert [len(batch) for batch in found] == batches
    assert b"".join(found) == b"".join(chunks)


async def test_a_large_chunk_is_not_copied() -> None:
    backlog, chunks = filled(LARGE, LARGE)
    assert backlog.take() is chunks[0]
    assert backlog.take() is chunks[1]


async def test_what_was_taken_waits_until_the_next_is_taken() -> None:
    backlog, _ = filled(LARGE, LARGE, 5)
    waiting = [backlog.waiting_bytes]
    for _ in range(4):
        backlog.take()
        waiting.append(backlog.waiting_bytes)
    assert waiting == [2 * LARGE + 5, 2 * LARGE + 5, LARGE + 5, 5, 0]
    backlog.put(b"more")
    assert backlog.waiting_bytes == 4
    assert taken(backlog) == [b"more"]
    assert backlog.waiting_bytes == 0


@pytest.mark.parametrize("further", [0, 1])
async def test_there_is_room_when_half_is_done(errors: list[dict[str, Any]], further: int) -> None:
    """Told once or twice: the thread may be faster than the loop."""
    backlog, taking = Backlog(), asyncio.get_running_loop().create_future()
    for _ in range(2):
        for _ in range(4):
            backlog.put(bytes(MIB))
        assert backlog.waiting_bytes == MOST_WAITING_BYTES
        backlog.take()
        waiting = asyncio.create_task(backlog.wait_for_room(taking))
        await turns()
        backlog.take()  # 1 MiB is done
        await turns()
        assert not waiting.done()
        for _ in range(1 + further):
            backlog.take()  # 2 MiB are done
        await turns()
        assert waiting.done()
        assert len(taken(backlog)) == 1 - further
    await turns()
    assert errors == []


async def test_nobody_waits_while_there_is_room(errors: list[dict[str, Any]]) -> None:
    backlog, _ = filled(MIB, MOST_WAITING_BYTES // 2 - MIB)
    waiting = asyncio.create_task(backlog.wait_for_room(asyncio.get_running_loop().create_future()))
    await turns()
    assert waiting.done()
    assert len(taken(backlog)) == 2
    await turns()
    assert errors == []


async def test_a_thread_that_has_ended_is_not_waited_for() -> None:
    backlog, _ = filled(3 * MIB)
    taking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(backlog.wait_for_room(taking))
    await turns()
    assert not waiting.done()
    taking.set_result(None)
    await turns()
    assert waiting.done()
