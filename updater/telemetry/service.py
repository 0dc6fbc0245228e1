"""The use cases of telemetry: take a report in, count a download."""

from __future__ import annotations

from collections.abc import Iterable

from updater.telemetry.model import Download, Report
from updater.telemetry.recorder import Recorder
from updater.telemetry.store import TelemetryStore


class TelemetryService:
    """Reports and download counts. All writes go through one recorder."""

    def __init__(self, store: TelemetryStore, recorder: Recorder) -> None:
        self._store = store
        self._recorder = recorder

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

    def count_download(self, build_id: int, *, started: bool, finished: bool) -> None:
        """Count a response with a build's bytes. Never waits; `dropped` tells how many were lost."""
        if started or finished:
            self._recorder.note(Download(build_id, started, finished))

    async def finished_downloads(self, build_ids: Iterable[int]) -> dict[int, int]:
        """Return how often builds were downloaded to the end, for those that ever were; up to this moment."""
        await self._recorder.settle()
        return await self._store.finished_downloads(build_ids)

    async def download_counts(self, build_id: int) -> tuple[int, int]:
        """Return how often a build's download was started and finished."""
        return await self._store.download_counts(build_id)
