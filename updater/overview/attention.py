"""What needs attention, of all parts of the service, in one list.

What is in memory is judged anew each time: halts, keys, TUF metadata, jobs. The rest is looked at in the background and
kept for the seconds that `_KEPT_S` says, what feeds pass over until the application changes; so a page never waits for
git, a disk or 40 applications.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

import updater.overview.judgements as judge
from updater.access.service import AccessService
from updater.artifacts.service import ArtifactService
from updater.backups.record import BackupRecord, find_record
from updater.clock import Clock, utc_now
from updater.deployments.service import DeploymentService
from updater.errors import Failure, NotFound
from updater.feeds.service import FeedService
from updater.health import HEALTHY, HealthReport, HealthService
from updater.offers.service import FeedSlot, OfferService
from updater.overview.certificate import PublicCertificate
from updater.overview.model import Attention, Item, Kind, Severity
from updater.overview.sources import Source
from updater.processes.jobs import Jobs
from updater.telemetry.summary_service import SummaryService
from updater.tuf.service import TufService
from updater.webhooks.service import WebhookService

_KEPT_S: Final = {
    "health": 2.0,
    "files": 5.0,
    "disk": 5.0,
    "deployments": 10.0,
    "releases": 10.0,
    "feeds": 2.0,
    "webhooks": 2.0,
}
_FAILING_DAYS: Final = 7
_PATIENCE_S: Final = 1.0
# One process looks each minute; what another one saw before it did is not told any more.
_KNOWN_S: Final = 200.0


class Parts(NamedTuple):
    """What is looked at."""

    offers: OfferService
    summaries: SummaryService
    artifacts: ArtifactService
    feeds: FeedService
    deployments: DeploymentService
    access: AccessService
    tuf: TufService
    health: HealthService
    jobs: Jobs
    certificate: PublicCertificate
    webhooks: WebhookService


class AttentionService:
    """Lists what needs attention. `root` None: backups are not made here. Call `close` at the end."""

    def __init__(self, parts: Parts, root: Path | None, *, clock: Clock = utc_now) -> None:
        self._parts = parts
        self._root = root
        self._clock = clock
        self._seen: tuple[float, Sequence[Item]] | None = None
        self._backup: BackupRecord | None = None
        # What feeds pass over, by the place of an application's feeds: a change of the application makes a new one.
        self._passed_over: WeakKeyDictionary[FeedSlot, list[Item]] = WeakKeyDictionary()
        asks = {
            "health": self._ask_health,
            "files": self._ask_files,
            "disk": self._ask_disk,
            "deployments": self._ask_deployments,
            "releases": self._ask_releases,
            "feeds": self._ask_feeds,
            "webhooks": self._ask_webhooks,
        }
        self._sources = [Source[list[Item]](name, ask, [], kept_s=_KEPT_S[name]) for name, ask in asks.items()]

    async def list_items(self, *, is_admin: bool, application_id: str | None = None, wait_s: float) -> Attention:
        """Return what needs attention, the most urgent first.

        Args:
            is_admin: whether what is for administrators only is there.
            application_id: leaves what is about this application; None: everything.
            wait_s: how long to wait for parts that are being looked at; of those that need longer, what they said last.
                For those that said nothing within the last minute, it waits up to a second.

        Raises nothing: a part that cannot be asked is told as what fails.
        """
        asking = {task: each for each in self._sources if (task := each.refresh()) is not None}
        pending: set[asyncio.Task[None]] = set()
        if asking:
            _, pending = await asyncio.wait(asking, timeout=wait_s)
        unknown = [task for task in pending if asking[task].is_stale]
        if unknown:
            done, _ = await asyncio.wait(unknown, timeout=_PATIENCE_S)
            pending -= done
        items = self._list_all()
        self._seen = (time.monotonic(), items)
        shown = [each for each in items if (is_admin or not each.admin) and application_id in (None, each.application)]
        shown.sort(key=lambda each: (each.severity, each.kind, each.application or "", each.words))
        waiting = sorted(asking[task].name for task in pending if asking[task].is_stale)
        return Attention(tuple(shown), tuple(waiting))

    def find_seen(self) -> tuple[float, Sequence[Item]] | None:
        """Return how many seconds ago this process looked last, and what it saw; None: not within the last minutes."""
        if self._seen is None or time.monotonic() - self._seen[0] > _KNOWN_S:
            return None
        return time.monotonic() - self._seen[0], self._seen[1]

    def find_backup_age_s(self) -> float | None:
        """Return the age of the last good backup as far as this process knows it; None where `find_seen` is None."""
        made_at = None if self._backup is None else self._backup.made_at
        return None if made_at is None or self.find_seen() is None else (self._clock() - made_at).total_seconds()

    async def close(self) -> None:
        """End what is under way."""
        for each in self._sources:
            await each.close()

    def _list_all(self) -> list[Item]:
        items = [*self._of_memory(), *(item for each in self._sources for item in each.found)]
        halted = {(each.application, each.version) for each in items if each.kind is Kind.ROLLOUT_HALTED}
        # A halt says it already, with its numbers.
        return [
            each
            for each in items
            if not (each.kind is Kind.RELEASE_FAILING and (each.application, each.version) in halted)
        ]

    def _of_memory(self) -> Iterator[Item]:
        now = self._clock()
        yield from judge.halted(self._parts.offers.open_rollouts())
        yield from judge.keys(self._parts.access.keys(), now)
        yield from judge.metadata(self._parts.tuf.expiries(), now)
        yield from judge.certificate(self._parts.certificate.host, self._parts.certificate.ends_at, now)
        yield from judge.jobs(self._parts.jobs.failing)

    async def _ask_health(self) -> list[Item]:
        report: HealthReport = await self._parts.health.check()
        told = {"background"} | ({"storage"} if self._parts.artifacts.totals.damaged else set())
        return [
            Item(Severity.PROBLEM, Kind.COMPONENT_FAILS, f"{name.capitalize()}: {part.message}", name)
            for name, part in report.components.items()
            if part.status != HEALTHY and name not in told
        ]

    async def _ask_files(self) -> list[Item]:
        await self._parts.artifacts.refresh_totals()
        if not self._parts.artifacts.totals.damaged:
            return []
        return list(judge.damaged(await self._parts.artifacts.list_damaged()))

    async def _ask_disk(self) -> list[Item]:
        items: list[Item] = []
        room = await self._parts.artifacts.find_room()
        if room is not None:
            items += judge.disk(room.free_bytes, room.reserve_bytes)
        if self._root is not None and self._parts.offers.application_ids():
            self._backup = await self.find_backup()
            items += judge.backup(self._backup, self._clock())
        return items

    async def find_backup(self) -> BackupRecord | None:
        """Return what is known of backups; None: nothing, or they are not made here."""
        return None if self._root is None else await asyncio.to_thread(find_record, self._root)

    async def _ask_deployments(self) -> list[Item]:
        items: list[Item] = []
        for each in self._parts.deployments.ids:
            try:
                items += judge.deployment(await self._parts.deployments.status(each))
            except Failure as failure:
                words = f"The deployment {each} cannot be looked at: {failure.message}"
                items.append(Item(Severity.PROBLEM, Kind.DEPLOYMENT_BROKEN, words, each))
        return items

    async def _ask_releases(self) -> list[Item]:
        items: list[Item] = []
        counts = await self._parts.summaries.outcomes_by_version(days=_FAILING_DAYS)
        for application_id in counts:
            try:
                offered = {version for version, _ in self._parts.offers.snapshot_of(application_id).builds}
            except Failure:
                continue  # deleted meanwhile, or being read again
            items += judge.failing(application_id, counts[application_id], offered)
        return items

    async def _ask_webhooks(self) -> list[Item]:
        return list(judge.parked(await self._parts.webhooks.list_all()))

    async def _ask_feeds(self) -> list[Item]:
        items: list[Item] = []
        for application_id in self._parts.offers.application_ids():
            try:
                slot = self._parts.offers.present(application_id).feeds
                if slot not in self._passed_over:
                    seen = await self._parts.feeds.list_seen(application_id)
                    self._passed_over[slot] = list(judge.passed_over(application_id, seen))
                items += self._passed_over[slot]
            except NotFound:
                continue
        return items
