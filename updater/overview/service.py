"""The use case of the overview: each application, and the service itself, at a glance."""

from __future__ import annotations

from pathlib import Path

from updater.errors import Failure
from updater.offers.snapshot import Snapshot
from updater.overview.attention import AttentionService, Parts
from updater.overview.model import ApplicationState, ChannelState, ServiceState
from updater.settings import StorageSettings
from updater.telemetry.summaries import Summary

_ALL_HUNDREDTHS = 10_000


class OverviewService:
    """Tells how applications and the service do.

    `attention` has what is to be done, `certificate` when that of the public address ends. Call `close` at the end.
    """

    def __init__(self, parts: Parts, storage: StorageSettings) -> None:
        embedded = storage.database_url is None
        # Backups are made here of the embedded database alone.
        self.attention = AttentionService(parts, Path(storage.root) if embedded else None)
        self.certificate = parts.certificate
        self._parts = parts
        self._database = "sqlite" if embedded else "postgresql"

    async def close(self) -> None:
        """End what is being looked at."""
        await self.attention.close()

    async def list_applications(
        self, *, limit: int, offset: int = 0, application_id: str | None = None
    ) -> tuple[list[ApplicationState], int]:
        """Return a page of applications by their ids, and how many there are; `application_id` leaves that one.

        Raises:
            Unavailable: the database does not answer.
        """
        ids = [each for each in self._parts.offers.application_ids() if application_id in (None, each)]
        snapshots: dict[str, Snapshot] = {}
        for each in ids[offset : offset + limit]:
            try:
                snapshots[each] = self._parts.offers.snapshot_of(each)
            except Failure:
                continue  # deleted meanwhile, or being read again
        channels = {each: _channels(snapshot) for each, snapshot in snapshots.items()}
        newest = {each: found[0].version for each, found in channels.items()}
        summaries = await self._parts.summaries.summarize(newest) if newest else {}
        states = [_state(each, snapshots[each].application.name, channels[each], summaries[each]) for each in snapshots]
        return states, len(ids)

    async def get_service(self) -> ServiceState:
        """Return how the service does. Raises nothing: what cannot be asked is told as not known."""
        health = await self._parts.health.check()
        room = await self._parts.artifacts.find_room()
        backup = await self.attention.find_backup()
        totals = self._parts.artifacts.totals
        return ServiceState(
            health=health.status,
            components={name: part.message for name, part in health.components.items()},
            blobs=totals.blobs,
            stored_bytes=totals.size_bytes,
            damaged=totals.damaged,
            free_bytes=None if room is None else room.free_bytes,
            database=self._database,
            backed_up_at=None if backup is None else backup.made_at,
        )


def _channels(snapshot: Snapshot) -> tuple[ChannelState, ...]:
    found = []
    for position, channel in enumerate(snapshot.application.channels):
        ladders = snapshot.any[position] if position else snapshot.stable
        tops = [ladder[0].build for ladder in ladders.values() if ladder]
        newest = max(tops, key=lambda each: each.version.sort_key, default=None)
        if newest is None:
            found.append(ChannelState(channel, None, None))
            continue
        rollout = snapshot.rollouts.get(newest.release_id)
        hundredths = _ALL_HUNDREDTHS if rollout is None else rollout.hundredths
        found.append(ChannelState(channel, newest.version.text, hundredths / 100))
    return tuple(found)


def _state(application_id: str, name: str, channels: tuple[ChannelState, ...], summary: Summary) -> ApplicationState:
    return ApplicationState(
        id=application_id,
        name=name,
        channels=channels,
        installs=summary.completed,
        failures=summary.failed,
        failure_rate=summary.failure_rate,
        checks=summary.checks,
        adoption=summary.adoption,
    )
