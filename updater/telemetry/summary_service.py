"""The use cases of figures of many applications at once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from updater.clock import Clock, utc_now
from updater.telemetry.spans import Span, floor
from updater.telemetry.summaries import ADOPTION_DAYS, Summary, summary
from updater.telemetry.summary_store import SummaryStore


class SummaryService:
    """Sums up applications. What was counted in memory in the last seconds is not in it."""

    def __init__(self, store: SummaryStore, *, clock: Clock = utc_now) -> None:
        self._store = store
        self._clock = clock

    async def outcomes_by_version(self, *, days: int) -> dict[str, dict[str, tuple[int, int]]]:
        """Return completed and failed installs of the last days, in this order, by application and version.

        Raises:
            Unavailable: the database does not answer.
        """
        return await self._store.outcomes_by_version(floor(self._clock(), Span.DAY) - timedelta(days=days - 1))

    async def summarize(self, newest: Mapping[str, str | None]) -> dict[str, Summary]:
        """Return what happened in each application on the last day, and who has its newest version.

        `newest` has the newest version of each application, None for one without.

        Raises:
            Unavailable: the database does not answer.
        """
        now = self._clock()
        days = [floor(now, Span.DAY) - timedelta(days=back) for back in range(ADOPTION_DAYS - 1, -1, -1)]
        counts = await self._store.read(newest, floor(now, Span.HOUR) - timedelta(hours=23), days)
        return {application_id: summary(counts, application_id, days) for application_id in newest}
