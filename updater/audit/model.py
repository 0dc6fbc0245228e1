"""The values of the audit: who acts, what is recorded, and the rows as they are kept. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

MAX_NAME_CHARACTERS = 200
MAX_SUBJECT_CHARACTERS = 200


class ActorKind(StrEnum):
    """What kind of actor made a change."""

    KEY = "key"  # an API key
    USER = "user"  # a person: with a session, or named by a token
    OPERATOR = "operator"  # a command on the machine of the service
    OPEN = "open"  # anybody, since access control is switched off
    SYSTEM = "system"  # the service itself


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a change. `name` is that of the key or person; never a secret."""

    kind: ActorKind
    name: str


SYSTEM = Actor(ActorKind.SYSTEM, "")
RETENTION = Actor(ActorKind.SYSTEM, "retention")


@dataclass(frozen=True, slots=True)
class Entry:
    """One change. `before` and `after` are JSON objects without secrets; None where there was or is nothing.

    `action` is `noun.verb` in the past tense, such as `release.withdrawn`. `subject` names the thing for people.
    """

    action: str
    subject: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    application_id: str | None = None
    version: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry as it is kept, a link of the chain. `before` and `after` are canonical JSON texts."""

    id: int
    at: datetime
    actor: Actor
    action: str
    subject: str
    application_id: str | None
    version: str | None
    reason: str | None
    before: str | None
    after: str | None
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Head:
    """Where the chain ends, and where what is left of it begins: the last row that retention cut, or 0."""

    last_id: int
    last_hash: str
    anchor_id: int
    anchor_hash: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows a listing gives; None does not limit. `actions` are whole actions or `noun.` for all of a noun.

    `subject` is a part of a subject, in any case; times are aware, `since` is included, `until` is not. Rows have
    numbers above `after_id` and below `before_id`.
    """

    application_id: str | None = None
    actor: str | None = None
    actions: tuple[str, ...] = ()
    after_id: int = 0
    before_id: int | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    # Any of these spellings of a version.
    spellings: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold: the number of a row, and what is wrong there."""

    id: int
    why: str


@dataclass(frozen=True, slots=True)
class Check:
    """What the last verification came to: rows from `first_id` up to `last_id` were followed, `rows` of them.

    `complete`: it reached the row that was the last one at its start; else the next verification goes on there.
    """

    at: datetime
    by: Actor
    first_id: int
    last_id: int
    last_hash: str
    rows: int
    complete: bool
    broken: Break | None


@dataclass(frozen=True, slots=True)
class ChainState:
    """Where the chain ends, and what is known of it. `check` is None when it was never verified."""

    head: Head
    check: Check | None

    @property
    def unverified(self) -> int:
        """Return how many rows the last verification does not vouch for."""
        return self.head.last_id - max(self.head.anchor_id, 0 if self.check is None else self.check.last_id)
