"""Reports counted in the arms of rollouts, in the transaction that stores them.

So what was acknowledged is counted, once, in the order of arrival; and a platform is halted by the very report that
gives enough evidence. Addresses and client ids are kept as keyed hashes only.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import updater.rollouts.evidence as evidence
from updater.audit.model import SYSTEM, Entry
from updater.audit.service import AuditService
from updater.catalog.changes import named
from updater.catalog.versions import parse_version
from updater.clock import Clock, utc_now
from updater.database.engine import Connection, Database
from updater.logs.loggers import get_logger
from updater.rollouts.counting_store import CountingStore
from updater.rollouts.describe import ABOVE_MAX_FAILURE_RATE, WORSE_THAN_CONTROL, describe_arms, describe_halt
from updater.rollouts.evidence import Running
from updater.rollouts.model import Halt, PlatformArm, Rollout
from updater.rollouts.sources import GATHERED, Gathered, Place, Seen, SourceKey, Sources, pack
from updater.rollouts.store import RolloutStore
from updater.telemetry.model import Report

_COUNTED = ("completed", "failed")
_log = get_logger(__name__)


class ArmCounter:
    """Counts reports. `hash_source` gives a keyed hash of a text, at most 64 characters."""

    def __init__(
        self,
        store: RolloutStore,
        counting: CountingStore,
        audit: AuditService,
        database: Database,
        hash_source: Callable[[str], str],
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._store = store
        self._counting = counting
        self._audit = audit
        self._database = database
        self._hash = hash_source
        self._clock = clock
        # What the gathered sources were when this process last looked, or wrote them; by application, last used last.
        self._gathered: dict[str, dict[Place, Gathered]] = {}

    def __len__(self) -> int:
        """Return how many places are in memory: platforms of rollouts that were open when reports came last."""
        return sum(map(len, self._gathered.values()))

    async def count(self, connection: Connection, reports: Sequence[Report]) -> None:
        """Count stored reports, in the order of arrival; the last thing but announcements in their transaction.

        Each application of `reports` exists, and is held against deletion.
        """
        reports = [each for each in reports if each.status in _COUNTED]
        if not reports:
            return
        asked = {each.application_id for each in reports}
        found = await self._store.lock_counting(connection, asked)
        for application_id in asked - {each.application_id for each in found}:
            self._gathered.pop(application_id, None)
        if not found:
            return
        batch = _Batch(found, self._clock())
        reports = [each for each in reports if each.application_id in batch.rollouts]
        keys = [_sort_key(each, batch) for each in reports]
        versions = {(each.application_id, key) for each, key in zip(reports, keys, strict=True) if key is not None}
        sources = [self._sources_of(each) for each in reports]
        known = await self._counting.read_known(
            connection,
            versions=versions - {(each.application_id, each.sort_key) for each in found},
            places=batch.arms,
            sources={source for pair in sources for source in pair if source is not None},
        )
        batch.complete = known.complete
        gathered = await self._recall(connection, batch, known.numbers)
        batch.sources = Sources(known.stored, gathered)
        for report, key, (address, client) in zip(reports, keys, sources, strict=True):
            batch.add(report, key, address, client)
        await self._write(connection, batch, gathered)

    async def _write(self, connection: Connection, batch: _Batch, gathered: Mapping[Place, Gathered]) -> None:
        changed = [(place[0], batch.arm_of_now(place)) for place in sorted(batch.changed)]
        await self._store.save_platforms(connection, changed)
        await self._keep_sources(connection, batch.sources.changed, gathered)
        await self._store.add_stage_reports(connection, batch.stage_reports)
        if batch.halted:
            await self._store.touch(connection, {rollout.release_id for rollout, _ in batch.halted}, batch.now)
        for rollout, arm in batch.halted:
            halt = describe_halt(arm)
            after = {"platform": arm.platform, "state": "halted", **(halt or {})}
            entry = Entry(
                "rollout.halted",
                named(rollout.application_id, rollout.version),
                {"platform": arm.platform, "state": "open"},
                after,
                rollout.application_id,
                rollout.version,
            )
            await self._audit.record(connection, SYSTEM, entry)
        for application_id in sorted({rollout.application_id for rollout, _ in batch.halted}):
            await self._database.announce(connection, application_id)
        for rollout, arm in batch.halted:
            _log_halt(rollout, arm)

    async def _recall(
        self, connection: Connection, batch: _Batch, numbers: Mapping[Place, int]
    ) -> dict[Place, Gathered]:
        """Return what has gathered, by place: from memory where it is what the database has, else from there.

        It is not when the transaction that gathered it was taken back, or when a series began since. Only the process
        that has the database for itself adds to it, and looks here before, so equal numbers mean equal sources.
        What has no open rollout any more is forgotten; then, beyond `GATHERED`, what was used longest ago.
        """
        found: dict[Place, Gathered] = {}
        for application_id, places in batch.places.items():
            kept = self._gathered.pop(application_id, {})
            mine: dict[Place, Gathered] = {}
            self._gathered[application_id] = mine
            for place in places:
                gathered, number = kept.get(place), numbers.get(place, 0)
                if gathered is None or gathered.number != number:
                    sources = await self._counting.read_gathered(connection, place) if number else {}
                    gathered = Gathered(number, sources)
                mine[place] = gathered
            found |= mine
        held = sum(len(each.sources) for mine in self._gathered.values() for each in mine.values())
        while held > GATHERED and len(self._gathered) > len(batch.places):
            oldest = self._gathered.pop(next(iter(self._gathered)))
            held -= sum(len(each.sources) for each in oldest.values())
        return found

    async def _keep_sources(
        self, connection: Connection, changed: Mapping[SourceKey, Seen], gathered: Mapping[Place, Gathered]
    ) -> None:
        """Let sources gather; move them to their table once they are many, or where other processes count too."""
        amount = len(changed) + sum(len(each.sources) for each in gathered.values())
        if not self._database.shared and amount < GATHERED:
            rows = {place: (gathered[place].number + 1, packed) for place, packed in pack(changed).items()}
            await self._counting.gather(connection, rows)
            for place, (number, _) in rows.items():
                gathered[place].number = number
            for key, seen in changed.items():
                gathered[key[:2]].sources[key] = seen
            return
        everything = {key: seen for each in gathered.values() for key, seen in each.sources.items()}
        await self._counting.save_sources(connection, {**everything, **changed})
        await self._counting.forget_gathered(connection, [place for place, each in gathered.items() if each.number])
        for each in gathered.values():
            each.number, each.sources = 0, {}

    def _sources_of(self, each: Report) -> tuple[str, str | None]:
        """Return the keyed hashes of a report's address and client id."""
        client = None if each.client_id is None else self._hash(f"client:{each.client_id}")
        return self._hash(f"address:{each.address}"), client


@dataclass
class _Batch:
    """What one transaction counts."""

    found: Sequence[Rollout]
    now: datetime
    rollouts: dict[str, list[Rollout]] = field(default_factory=lambda: defaultdict(list))
    places: dict[str, list[Place]] = field(default_factory=lambda: defaultdict(list))
    # Platforms as they were read, or as they were halted, and their numbers of now.
    arms: dict[tuple[int, str], PlatformArm] = field(default_factory=dict)
    running: dict[tuple[int, str], Running] = field(default_factory=dict)
    # Versions that are complete releases: application and sort key.
    complete: set[tuple[str, str]] = field(default_factory=set)
    sources: Sources = field(default_factory=lambda: Sources({}, {}))
    changed: set[tuple[int, str]] = field(default_factory=set)
    stage_reports: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    halted: list[tuple[Rollout, PlatformArm]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for each in self.found:
            self.rollouts[each.application_id].append(each)
            for arm in each.platforms:
                place = each.release_id, arm.platform
                self.arms[place], self.running[place] = arm, Running(arm.series)
                self.places[each.application_id].append(place)

    def add(self, report: Report, key: str | None, address: str, client: str | None) -> None:
        """Count one report in every rollout that it says something about."""
        for rollout in self.rollouts[report.application_id]:
            place = rollout.release_id, report.platform
            if place not in self.arms or key is None:
                continue
            if key == rollout.sort_key:
                self._count(rollout, report, "rollout", address, client)
            elif (report.application_id, key) in self.complete and _is_control(rollout, report):
                self._count(rollout, report, "control", address, client)

    def _count(self, rollout: Rollout, report: Report, name: str, address: str, client: str | None) -> None:
        place = rollout.release_id, report.platform
        series, rules = self.running[place], rollout.plan.halt
        failed, control = report.status == "failed", name == "control"
        at_address: SourceKey = (*place, name, address)
        at_client: SourceKey | None = None if client is None else (*place, name, client)
        counted, has_failed = self.sources.find(at_address) or (0, False)
        self.changed.add(place)
        if counted >= rules.per_address or (at_client is not None and self.sources.find(at_client) is not None):
            series.ignore(control=control)
            return
        self.sources.remember(at_address, counted + 1, failed or has_failed)
        if at_client is not None:
            self.sources.remember(at_client, 1, failed)
        rate = evidence.baseline_rate(series.baseline, rules.max_failure_rate)
        series.count(failed=failed, control=control, margin=rules.margin, rate=rate)
        if not control:
            series.failed_addresses += failed and not has_failed
            self.stage_reports[rollout.release_id] += bool(rollout.progress.number)
        self._judge(rollout, place)

    def _judge(self, rollout: Rollout, place: tuple[int, str]) -> None:
        """Halt a platform whose evidence is enough; it keeps the numbers of this moment."""
        arm, rules = self.arms[place], rollout.plan.halt
        if arm.halt is not None or not rules.enabled or self.running[place].failed_addresses < rules.min_addresses:
            return
        arm = self.arm_of_now(place)
        control = evidence.against_control(arm.series)
        ceiling = evidence.above_ceiling(arm.series, rules.max_failure_rate)
        if max(control, ceiling) < rules.limit:
            return
        reason = WORSE_THAN_CONTROL if control >= ceiling else ABOVE_MAX_FAILURE_RATE
        halted = replace(arm, halt=Halt(self.now, {"reason": reason, **describe_arms(arm, rollout.plan)}))
        self.arms[place] = halted
        self.halted.append((rollout, halted))

    def arm_of_now(self, place: tuple[int, str]) -> PlatformArm:
        """Return a platform with its numbers of now."""
        return replace(self.arms[place], series=self.running[place].series())


def _sort_key(report: Report, batch: _Batch) -> str | None:
    """Return the sort key of the version that a report is about; None for what is no version."""
    try:
        return parse_version(report.target_version, batch.rollouts[report.application_id][0].scheme).sort_key
    except ValueError:
        return None


def _is_control(rollout: Rollout, report: Report) -> bool:
    """Tell whether a client could have got the release: who is on none of its channels is no control for it."""
    channels = rollout.channels_of_control
    return not channels or report.channel in channels


def _log_halt(rollout: Rollout, arm: PlatformArm) -> None:
    facts: Mapping[str, object] = {} if arm.halt is None else arm.halt.facts
    _log.warning(
        "rollout.halted",
        application=rollout.application_id,
        version=rollout.version,
        platform=arm.platform,
        reason=facts.get("reason"),
        evidence=facts.get("evidence"),
    )
