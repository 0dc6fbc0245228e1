"""Events that nobody waits for gather; one that somebody waits for hurries."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from updater.telemetry.model import Download, Event
from updater.telemetry.recorder import BATCH_EVENTS, Recorder

EVENT = Download(1, True, True, datetime(2026, 1, 1, tzinfo=UTC))


async def recorded() -> tuple[Recorder, list[int]]:
    sizes: list[int] = []

    async def write(events: Sequence[Event]) -> None:
        sizes.append(len(events))

    recorder = Recorder(write, queue_size=10_000)
    recorder.start()
    return recorder, sizes


async def test_counts_gather() -> None:
    recorder, sizes = await recorded()
    for _ in range(20):
        recorder.note(EVENT)
        await asyncio.sleep(0.002)
    assert sizes == []
    await recorder.stop()
    assert sizes == [20]


async def test_who_waits_is_not_kept_waiting() -> None:
    recorder, sizes = await recorded()
    recorder.note(EVENT)
    await asyncio.sleep(0.01)
    began = time.monotonic()
    await recorder.record(EVENT)
    assert time.monotonic() - began < 0.1
    assert sizes == [2]
    await recorder.stop()


async def test_a_full_batch_goes_at_once_and_the_rest_follows() -> None:
    recorder, sizes = await recorded()
    waiting = [asyncio.create_task(recorder.record(EVENT)) for _ in range(BATCH_EVENTS + 5)]
    began = time.monotonic()
    await asyncio.gather(*waiting)
    assert time.monotonic() - began < 0.15, "those behind a full batch had to gather"
    assert sum(sizes) == BATCH_EVENTS + 5
    await recorder.stop()
