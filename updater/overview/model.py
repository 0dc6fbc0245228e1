"""The values of the overview: what needs attention, and how each application does. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum


class Severity(IntEnum):
    """How soon a person should look: the most urgent first."""

    PROBLEM = 0
    WARNING = 1
    NOTE = 2

    @property
    def word(self) -> str:
        """Return the word: `problem`, `warning` or `note`."""
        return self.name.lower()


class Kind(StrEnum):
    """What an item is about; the comment names its subject where it has one."""

    ROLLOUT_HALTED = "rollout.halted"  # platform
    RELEASE_FAILING = "release.failing"
    FILE_DAMAGED = "file.damaged"  # file name
    FEED_PASSES_OVER = "feed.passes_over"  # names of feeds
    DEPLOYMENT_BEHIND = "deployment.behind"  # deployment
    DEPLOYMENT_BROKEN = "deployment.broken"  # deployment
    KEY_EXPIRES = "key.expires"  # name of the key
    KEY_EXPIRED = "key.expired"  # name of the key
    WEBHOOK_PARKED = "webhook.parked"  # id of the webhook
    TUF_EXPIRES = "tuf.expires"  # channel and role
    TUF_EXPIRED = "tuf.expired"  # channel and role
    CERTIFICATE_EXPIRES = "certificate.expires"  # host
    CERTIFICATE_EXPIRED = "certificate.expired"  # host
    BACKUP_FAILED = "backup.failed"
    BACKUP_OLD = "backup.old"
    JOB_FAILS = "job.fails"  # job
    DISK_FULL = "disk.full"
    COMPONENT_FAILS = "component.fails"  # component


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that needs attention, in words for people. `version` is of `application`."""

    severity: Severity
    kind: Kind
    words: str
    subject: str | None = None
    application: str | None = None
    version: str | None = None
    # Since when, or until when; None where no moment is known.
    at: datetime | None = None
    # Whether it is for administrators only.
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Attention:
    """What needs attention, the most urgent first. `waiting` names what is unknown: nobody looked at it in time."""

    items: tuple[Item, ...]
    waiting: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelState:
    """The newest release that clients of a channel could be offered; None for none. `percent` of clients get it."""

    channel: str
    version: str | None
    percent: float | None


@dataclass(frozen=True, slots=True)
class ApplicationState:
    """One application at a glance; counts are of the last day.

    `adoption` is the share of update checks by clients that have the newest release of the first channel, 0 to 1, of
    the last 30 days in order; None for a day without checks.
    """

    id: str
    name: str
    channels: tuple[ChannelState, ...]
    installs: int
    failures: int
    failure_rate: float | None
    checks: int
    adoption: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class ServiceState:
    """Storage, database and backups at a glance. What is not known or does not apply is None.

    `database` is `sqlite` or `postgresql`, `blobs` counts stored files, `backed_up_at` is of the last good backup that
    was made here.
    """

    health: str
    components: Mapping[str, str] = field(default_factory=dict)
    blobs: int = 0
    stored_bytes: int = 0
    damaged: int = 0
    free_bytes: int | None = None
    database: str = "sqlite"
    backed_up_at: datetime | None = None
