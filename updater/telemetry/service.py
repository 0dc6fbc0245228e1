"""The use cases of telemetry: take a report in, count downloads and checks, give figures."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from updater.clock import Clock, utc_now
from updater.telemetry.checks import CheckCounter
from updater.telemetry.downloads import DownloadCounter
from updater.telemetry.figures import Figures, assemble, series_labels
from updater.telemetry.geo import Locate, open_locator
from updater.telemetry.model import Report
from updater.telemetry.recorder import Recorder
from updater.telemetry.rollups import Tally, rate_of
from updater.telemetry.spans import Span, Window, window
from updater.telemetry.store import TelemetryStore


class TelemetryService:
    """Reports and counts. Reports and gathered downloads go through one recorder, checks through one counter."""

    def __init__(
        self,
        store: TelemetryStore,
        recorder: Recorder,
        *,
        locate: Locate | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.checks = CheckCounter()
        self._store = store
        self._recorder = recorder
        self._downloads = DownloadCounter(recorder.note, clock)
        self._locate = locate or open_locator(None)
        self._clock = clock
        self._flushing = asyncio.Lock()

    @property
    def queue_depth(self) -> int:
        """Return how many events wait to be written."""
        return self._recorder.depth

    @property
    def dropped(self) -> int:
        """Return how many download counts were lost to a full queue or a failing database."""
        return self._recorder.dropped

    async def report(self, report: Report) -> None:
        """Keep a report; it is on disk when this returns. Raises Unavailable when it was not kept."""
        await self._recorder.record(report)

    def count_download(
        self, build_id: int, *, started: bool, finished: bool, sent_bytes: int = 0, duration_s: float = 0.0
    ) -> None:
        """Count a response with a build's bytes. Never waits; `dropped` tells how many were lost.

        `sent_bytes` and `duration_s` are of a body that left completely, else 0.
        """
        rate = rate_of(sent_bytes, duration_s) if sent_bytes else None
        if started or finished or rate is not None:
            self._downloads.count(build_id, started, finished, rate)

    async def finished_downloads(self, build_ids: Iterable[int]) -> dict[int, int]:
        """Return how often builds were downloaded to the end, for those that ever were; up to this moment."""
        await self._settle()
        return await self._store.finished_downloads(build_ids)

    async def download_counts(self, build_id: int) -> tuple[int, int]:
        """Return how often a build's download was started and finished; up to this moment."""
        await self._settle()
        return await self._store.download_counts(build_id)

    def flush_downloads(self) -> None:
        """Hand the downloads that were counted in memory over to be written."""
        self._downloads.flush()

    async def flush_checks(self) -> None:
        """Write the checks that were counted in memory. Raises Unavailable, StorageFull: they stay counted."""
        async with self._flushing:
            taken = self.checks.take()
            if not taken:
                return
            try:
                await self._store.add_counts(await self._tally(taken))
            except BaseException:
                self.checks.put_back(taken)
                raise

    async def figures(
        self, application_id: str, first: datetime | None, last: datetime | None, bucket: str
    ) -> tuple[Window, Figures]:
        """Return the figures of an application, and the window they are over: what was asked, in whole buckets.

        Raises:
            Invalid: the window is empty or too long. Unavailable.
        """
        wanted = window(first, last, Span(bucket), self._clock())
        await self._settle()
        await self.flush_checks()
        totals = await self._store.totals(application_id, wanted)
        series = await self._store.series(application_id, wanted, series_labels(totals))
        return wanted, assemble(wanted, totals, series)

    async def forget_reports(self, *, keep_days: int) -> int:
        """Delete reports older than so many days; return how many. Figures stay as they are."""
        return await self._store.forget_reports(self._clock() - timedelta(days=keep_days))

    async def _settle(self) -> None:
        self._downloads.flush()
        await self._recorder.settle()

    async def _tally(self, taken: CheckCounter) -> Tally:
        now = self._clock()
        tally = Tally()
        for asked, amount in taken.asked.items():
            tally.add_checks(asked, now, amount)
        countries = await asyncio.to_thread(self._countries, taken.places)
        for (application_id, _), (country, amount) in zip(taken.places, countries, strict=True):
            tally.add_country(application_id, country, now, amount)
        return tally

    def _countries(self, places: dict[tuple[str, str], int]) -> list[tuple[str, int]]:
        """Look all places up, in a worker thread: a database of addresses is read from disk."""
        return [(self._locate(place), amount) for (_, place), amount in places.items()]
