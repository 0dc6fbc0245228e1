"""Figures kept for some seconds: a page and its charts are one look at the same numbers."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Final

from updater.telemetry.figures import Figures
from updater.telemetry.service import TelemetryService
from updater.telemetry.spans import Window

KEPT_S: Final = 30.0
PAGE_S: Final = 5.0
"""How old the figures of a page may be: whoever loads it again soon gets the same at once."""
KEPT_FIGURES: Final = 16
_Answer = tuple[Window, Figures]


class RecentFigures:
    """The figures of applications over ranges that end now.

    Key: application, range, bucket. Bound: 16 answers, some 200 kB for a year of days; the one read first goes.
    An answer counts for 30 seconds; however many ask at once, it is read once.
    """

    def __init__(self, telemetry: TelemetryService) -> None:
        self._telemetry = telemetry
        self._kept: OrderedDict[tuple[str, str, str], tuple[float, asyncio.Task[_Answer]]] = OrderedDict()

    async def get(self, application_id: str, span: str, bucket: str, *, max_age_s: float = KEPT_S) -> _Answer:
        """Return figures and their window, at most `max_age_s` seconds old.

        Args:
            application_id: an unknown application has empty figures.
            span: one of `spans.RANGE_DAYS`.
            bucket: one of `spans.BUCKETS`.
            max_age_s: for the charts of a page, so long that all show what the page says.

        Raises:
            Invalid: the range has too many buckets. Unavailable: the database does not answer.
        """
        key = (application_id, span, bucket)
        read_s, task = self._kept.get(key, (0.0, None))
        if task is None or time.monotonic() - read_s > max_age_s or (task.done() and _has_failed(task)):
            reading = self._telemetry.figures(application_id, None, None, bucket, span=span)
            task = asyncio.create_task(reading, name=f"figures of {application_id}")
            # Its browser may be gone when it fails; whoever asks next reads anew.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._kept[key] = time.monotonic(), task
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_FIGURES:
                self._kept.popitem(last=False)
        # A browser that goes away must not end what others wait for.
        return await asyncio.shield(task)


def _has_failed(task: asyncio.Task[_Answer]) -> bool:
    return task.cancelled() or task.exception() is not None
