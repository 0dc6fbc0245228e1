"""The values of rollouts: where one stands, and what its platforms have seen. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from updater.catalog.versions import Scheme
from updater.rollouts.evidence import Series
from updater.rollouts.plan import Plan

# Of an application's active releases, so many may be under a rollout that is not complete.
MAX_OPEN_ROLLOUTS = 8


class RolloutState(StrEnum):
    """Where a rollout is in its life."""

    SCHEDULED = "scheduled"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a rollout stands on its plan.

    `number` is the present stage, counted from 1; 0 before the first. The clock of a stage runs until `ends_at`; while
    it stands still (paused, withdrawn), `left_s` is what is left. Both None: no stage, or one without an end.
    """

    state: RolloutState
    number: int = 0
    started_at: datetime | None = None
    ends_at: datetime | None = None
    left_s: float | None = None
    # Counted reports about the release, on all platforms, since the stage began.
    reports: int = 0


@dataclass(frozen=True, slots=True)
class Halt:
    """What halted a platform, with the numbers of that moment, as a JSON object."""

    at: datetime
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlatformArm:
    """One platform of a rollout: its present series, counted from 1, and its halt if there is one."""

    platform: str
    number: int
    since: datetime
    series: Series
    halt: Halt | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """A rollout of one release. `salt` decides who is inside; it never changes. `platforms` are in order of name."""

    release_id: int
    application_id: str
    version: str
    sort_key: str
    channel: str
    # The channels of the application, most stable first, and how it orders versions.
    channels: tuple[str, ...]
    scheme: Scheme
    salt: str
    plan: Plan
    progress: Progress
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    withdrawn: bool = False
    platforms: tuple[PlatformArm, ...] = field(default=())

    @property
    def state(self) -> RolloutState:
        """Return where it is in its life."""
        return self.progress.state

    @property
    def channels_of_control(self) -> tuple[str, ...]:
        """Return the channels whose clients are its control; empty: all are, whatever they say of themselves."""
        position = self.channels.index(self.channel)
        return self.channels[position:] if position else ()

    @property
    def hundredths(self) -> int:
        """Return the share of clients at this moment, in hundredths of a percent."""
        if self.progress.state is RolloutState.COMPLETE:
            return 10_000
        return self.plan.stages[self.progress.number - 1].hundredths if self.progress.number else 0

    @property
    def halted(self) -> tuple[str, ...]:
        """Return the platforms that are halted, in order."""
        return tuple(each.platform for each in self.platforms if each.halt is not None)
