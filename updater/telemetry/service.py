"""The use cases of telemetry: accept reports, count downloads and checks, compute figures."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime, timedelta

from updater.clock import Clock, utc_now
from updater.errors import Invalid
from updater.telemetry.checks import CheckCounter
from updater.telemetry.downloads import DownloadCounter, PartialDownloads
from updater.telemetry.figures import Counts, Figures, assemble, series_labels
from updater.telemetry.geo import Locator, open_locator
from updater.telemetry.model import Report
from updater.telemetry.recorder import Recorder
from updater.telemetry.rollups import Measure, Tally, rate_of
from updater.telemetry.senders import StoredBytes, own
from updater.telemetry.spans import Span, Window, range_start, window
from updater.telemetry.store import TelemetryStore

DEFAULT_REPORT_BYTES = 32 * 1024 * 1024
# Bounds the milliseconds for which writing counts keeps the event loop busy.
_CLIENTS_AT_ONCE = 200


class TelemetryService:
    """Reports and counts. Reports and gathered downloads go through one recorder, checks through one counter.

    `locate` maps a country or an address to a country; by default addresses are `UNKNOWN`. `require_room` raises
    Unavailable while the disk is too full for reports; counts go on.
    """

    def __init__(
        self,
        store: TelemetryStore,
        recorder: Recorder,
        *,
        locate: Locator | None = None,
        report_bytes_per_day: int = DEFAULT_REPORT_BYTES,
        require_room: Callable[[], Awaitable[None]] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.checks = CheckCounter()
        self.partial = PartialDownloads()
        self._store = store
        self._recorder = recorder
        self._downloads = DownloadCounter(recorder.note, clock)
        self._locate = locate or open_locator(None)
        self._clock = clock
        self._require_room = require_room
        self._flushing = asyncio.Lock()
        self._stored_bytes = StoredBytes(report_bytes_per_day)

    @property
    def queue_depth(self) -> int:
        """Return the number of events that wait to be written."""
        return self._recorder.depth

    @property
    def dropped(self) -> int:
        """Return the number of download counts that were lost to a full queue or a failing database since the start."""
        return self._recorder.dropped

    @property
    def shortened(self) -> int:
        """Return the number of reports that were counted, but not stored in full, since the start."""
        return self._stored_bytes.shortened

    async def report(self, report: Report) -> None:
        """Count and store a report; it is on disk when this returns. Of one source that sends too much, less is stored.

        Raises:
            Unavailable: the queue or the disk is full, or the database does not answer. StorageFull. It was not
            stored.
        """
        if self._require_room is not None:
            await self._require_room()
        await self._recorder.record(self._stored_bytes.fit(own(report)))

    def count_download(
        self, build_id: int, *, started: bool, finished: bool, sent_bytes: int = 0, duration_s: float = 0.0
    ) -> None:
        """Count a response with a build's bytes, without waiting; `dropped` counts those that are lost.

        `sent_bytes` and `duration_s` (seconds) describe a body that left completely; otherwise they are 0.
        """
        rate = rate_of(sent_bytes, duration_s) if sent_bytes else None
        if started or finished or rate is not None:
            self._downloads.count(build_id, started, finished, rate)

    async def finished_downloads(self, build_ids: Iterable[int]) -> dict[int, int]:
        """Return the number of finished downloads by build id, up to this moment; builds that have none may be absent.

        Raises:
            Unavailable: the database does not answer.
        """
        await self._settle()
        return await self._store.finished_downloads(build_ids)

    async def download_counts(self, build_id: int) -> tuple[int, int]:
        """Return the started and the finished downloads of a build, in this order, up to this moment.

        Raises Unavailable.
        """
        await self._settle()
        return await self._store.download_counts(build_id)

    async def renew_countries(self) -> None:
        """Take up the database of countries when its file was renewed.

        Raises Unavailable: the new file cannot be used; the last good one stays.
        """
        await asyncio.to_thread(self._locate.renew)

    def flush_downloads(self) -> None:
        """Hand the downloads counted in memory to the recorder. Call it before the recorder stops, in this order."""
        self._downloads.flush()

    async def flush_checks(self) -> None:
        """Write the checks counted in memory.

        Raises:
            Unavailable, StorageFull: they stay in memory for the next flush.
        """
        async with self._flushing:
            taken = self.checks.take()
            try:
                if taken.places:
                    await self._write_countries(taken)
                while taken.asked:
                    await self._write_some(taken)
            except BaseException:
                self.checks.put_back(taken)
                raise

    async def figures(
        self,
        application_id: str,
        first: datetime | None,
        last: datetime | None,
        bucket: str,
        *,
        span: str | None = None,
    ) -> tuple[Window, Figures]:
        """Return the figures of an application, and their window: the one asked for, widened to whole buckets.

        Args:
            application_id: an unknown application has empty figures.
            first: the start, aware; None: two days (by the hour), 30 (by the day) or 365 (by the month) before the end.
            last: the end, aware; None: now.
            bucket: one of `spans.BUCKETS`.
            span: one of `spans.RANGE_DAYS`, in place of `first`.

        Raises:
            Invalid: the window is empty or too long. Unavailable: the database does not answer.
        """
        now = self._clock()
        if span is not None:
            if first is not None:
                raise Invalid({"range": "give either range or from"})
            first = range_start(span, last or now)
        wanted = window(first, last, Span(bucket), now)
        await self._settle()
        await self.flush_checks()
        totals = await self._store.totals(application_id, wanted)
        series = await self._store.series(application_id, wanted, series_labels(totals))
        return wanted, assemble(wanted, totals, series)

    async def totals(self, application_id: str, measure: Measure, *, days: int) -> tuple[Window, Counts]:
        """Return the window of the last days, by the hour, and the counts of a measure in it, by label.

        Raises Unavailable.
        """
        now = self._clock()
        wanted = window(now - timedelta(days=days), now, Span.HOUR, now)
        await self._settle()
        await self.flush_checks()
        return wanted, (await self._store.totals(application_id, wanted, (measure,))).get(measure, {})

    async def roll_up_old(self) -> int:
        """Count reports that a version without roll-ups stored; return how many there were. Raises Unavailable."""
        return await self._store.roll_up_old()

    async def forget_reports(self, *, keep_days: int) -> int:
        """Delete reports older than `keep_days` days; return their number. Figures stay. Raises Unavailable."""
        return await self._store.forget_reports(self._clock() - timedelta(days=keep_days))

    async def _settle(self) -> None:
        self._downloads.flush()
        await self._recorder.settle()

    async def _write_countries(self, taken: CheckCounter) -> None:
        """Write the checks by country, and forget their places in `taken`."""
        countries = await asyncio.to_thread(self._countries, taken.places)
        tally, now = Tally(), self._clock()
        for (application_id, country), amount in countries.items():
            tally.add_country(application_id, country, now, amount)
        await self._store.add_counts(tally)
        taken.places = {}

    async def _write_some(self, taken: CheckCounter) -> None:
        """Write the checks of `_CLIENTS_AT_ONCE` kinds of clients, and forget them in `taken`.

        Clients may invent any number of versions, and what is written at once holds up every request.
        """
        tally, now = Tally(), self._clock()
        some = list(itertools.islice(taken.asked.items(), _CLIENTS_AT_ONCE))
        for facts, amount in some:
            tally.add_checks(facts, now, amount)
        await self._store.add_counts(tally)
        for facts, _ in some:
            del taken.asked[facts]

    def _countries(self, places: dict[tuple[str, str], int]) -> Counter[tuple[str, str]]:
        """Count by application and country, in a worker thread: the database of addresses is read from disk."""
        found: Counter[tuple[str, str]] = Counter()
        for (application_id, place), amount in places.items():
            found[application_id, self._locate(place)] += amount
        return found
