"""The values of deployments: commits, updates and their transitions, runs, their steps and their events.

A *run* is one pass of the engine over a deployment: an apply or a rollback. An *update* is one incoming version,
stored in the database; a run applies it or rolls it back. Nothing here knows git, processes or SQL.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from updater.config import as_tree, deployment_from_tree
from updater.errors import Conflict
from updater.settings import DeploymentSettings


class UpdateStatus(StrEnum):
    """The status of an update."""

    PENDING = "pending"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"


class Transition(StrEnum):
    """An event in the life of an update; `TRANSITIONS` says which status it leads to."""

    APPLY = "apply"  # a run to it begins
    APPLIED = "applied"  # it is in place and healthy
    NOT_APPLIED = "not applied"  # the run failed
    WITHDRAW = "withdraw"  # the run never began
    ROLL_BACK = "roll back"  # a run back to the commit before begins
    ROLLED_BACK = "rolled back"  # the commit before is in place and healthy
    STAY = "stay"  # the run back failed or never began, and the update is still in place
    INCLUDED = "included"  # a newer version that contains it is in place
    EXCLUDED = "excluded"  # that newer version was rolled back


TRANSITIONS: dict[tuple[UpdateStatus, Transition], UpdateStatus] = {
    (UpdateStatus.PENDING, Transition.APPLY): UpdateStatus.IN_PROGRESS,
    (UpdateStatus.PENDING, Transition.INCLUDED): UpdateStatus.COMPLETED,
    (UpdateStatus.IN_PROGRESS, Transition.APPLIED): UpdateStatus.COMPLETED,
    (UpdateStatus.IN_PROGRESS, Transition.NOT_APPLIED): UpdateStatus.FAILED,
    (UpdateStatus.IN_PROGRESS, Transition.WITHDRAW): UpdateStatus.PENDING,
    (UpdateStatus.IN_PROGRESS, Transition.ROLLED_BACK): UpdateStatus.PENDING,
    (UpdateStatus.IN_PROGRESS, Transition.STAY): UpdateStatus.COMPLETED,
    (UpdateStatus.COMPLETED, Transition.ROLL_BACK): UpdateStatus.IN_PROGRESS,
    (UpdateStatus.COMPLETED, Transition.EXCLUDED): UpdateStatus.PENDING,
}


def next_status(status: UpdateStatus, transition: Transition) -> UpdateStatus:
    """Return the status that `transition` leads to from `status`. Raises Conflict when it is not allowed."""
    try:
        return TRANSITIONS[status, transition]
    except KeyError:
        raise Conflict(f"The update is {status}: it cannot be {_DONE.get(transition, transition)}") from None


_DONE = {Transition.APPLY: "applied", Transition.ROLL_BACK: "rolled back"}


class LogLevel(StrEnum):
    """The severity of a log line."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Kind(StrEnum):
    """The purpose of a run."""

    APPLY = "apply"
    ROLLBACK = "rollback"


class Phase(StrEnum):
    """The direction of a run: forward to its target, or back to its start because that failed."""

    FORWARD = "forward"
    BACK = "back"


class StepStatus(StrEnum):
    """The status of a step."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed-out"


class Outcome(StrEnum):
    """The end of a run; the comment says what is in place then."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"  # the target
    UNCHANGED = "unchanged"  # the start; it failed before anything was changed
    RESTORED = "restored"  # the start; it failed and was taken back
    BROKEN = "broken"  # unknown; it failed and so did the way back: a person is needed


@dataclass(frozen=True)
class Commit:
    """One commit: full hash, first line of its message, commit time."""

    hash: str
    message: str
    date: datetime


@dataclass(frozen=True)
class Check:
    """The result of a look at the remote. `commits` are the incoming ones, newest first."""

    deployment: str
    branch: str
    current: str
    latest: str
    commits: tuple[Commit, ...]
    local_changes: bool
    diverged: bool

    @property
    def has_update(self) -> bool:
        """Tell whether there are incoming commits."""
        return bool(self.commits)


@dataclass(frozen=True)
class Update:
    """One incoming version of a deployment.

    `ref` and `commit` are both None for an update to the head of the branch at the time of its run.
    """

    id: int
    deployment: str
    version: str
    title: str
    description: str
    status: UpdateStatus
    rollback_possible: bool
    created_at: datetime
    updated_at: datetime
    applied_at: datetime | None = None
    ref: str | None = None
    commit: str | None = None
    previous_commit: str | None = None
    run: str | None = None

    @property
    def can_be_taken_back(self) -> bool:
        """Tell whether there is a way back to another commit. Only the newest applied update is rolled back."""
        return self.rollback_possible and self.previous_commit not in (None, self.commit)


@dataclass(frozen=True)
class LogLine:
    """One line of an update's log. `component` is its step; None: the run as a whole."""

    id: int
    timestamp: datetime
    level: LogLevel
    message: str
    component: str | None


@dataclass(frozen=True)
class LogPage:
    """Lines, newest first, out of `total_count`."""

    logs: tuple[LogLine, ...]
    total_count: int
    limit: int
    offset: int


class Forgotten(NamedTuple):
    """The numbers of rows that retention removed."""

    lines: int
    updates: int


@dataclass(frozen=True)
class StepReport:
    """The result of one step. `output` holds its last lines."""

    name: str
    status: StepStatus
    duration_s: float = 0.0
    output: str = ""


@dataclass(frozen=True)
class Plan:
    """The task of a run; written before it starts and never changed.

    `target` is a commit or a tag; None: the head of the branch. `expected` is the commit that a rollback must find.
    """

    run: str
    kind: Kind
    deployment: DeploymentSettings
    started_at: datetime
    target: str | None = None
    expected: str | None = None
    update_id: int | None = None

    def to_tree(self) -> dict[str, Any]:
        """Return the plan as JSON data: enumerations by value, times as ISO 8601 in UTC."""
        tree = dataclasses.asdict(self)
        return {**tree, "deployment": as_tree(self.deployment), "started_at": _text(self.started_at)}

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Plan:
        """Read the form of `to_tree`, also of another version. Raises KeyError, ValueError, ConfigurationError."""
        known = _known(cls, tree)
        return cls(
            **{
                **known,
                "kind": Kind(tree["kind"]),
                "deployment": deployment_from_tree(tree["deployment"]),
                "started_at": _moment(tree["started_at"]),
            }
        )


@dataclass(frozen=True)
class RunState:
    """The progress of a run: the durable checkpoint from which a killed run is resumed.

    `touched` is set before the checkout is changed for the first time. `steps` are those of the way forward,
    `recovery` those of the way back. `leavers` names the processes that left the group of the present step.
    """

    run: str
    kind: Kind
    started_at: datetime
    phase: Phase = Phase.FORWARD
    outcome: Outcome = Outcome.RUNNING
    from_commit: str | None = None
    to_commit: str | None = None
    touched: bool = False
    attempts: int = 1
    restarts: int = 0
    restarter: str | None = None
    leavers: tuple[str, ...] = ()
    steps: tuple[StepReport, ...] = ()
    recovery: tuple[StepReport, ...] = ()
    failed_step: str | None = None
    error: str | None = None
    advice: str | None = None
    finished_at: datetime | None = None

    @property
    def finished(self) -> bool:
        """Tell whether the run is over."""
        return self.outcome is not Outcome.RUNNING

    def to_tree(self) -> dict[str, Any]:
        """Return the state as JSON data: enumerations by value, times as ISO 8601 in UTC."""
        return {
            **dataclasses.asdict(self),
            "started_at": _text(self.started_at),
            "finished_at": None if self.finished_at is None else _text(self.finished_at),
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> RunState:
        """Read the form of `to_tree`; unknown keys are ignored. Raises KeyError, ValueError."""
        return cls(
            **{
                **_known(cls, tree),
                "kind": Kind(tree["kind"]),
                "phase": Phase(tree["phase"]),
                "outcome": Outcome(tree["outcome"]),
                "leavers": tuple(tree.get("leavers", ())),
                "steps": _reports(tree["steps"]),
                "recovery": _reports(tree["recovery"]),
                "started_at": _moment(tree["started_at"]),
                "finished_at": None if tree["finished_at"] is None else _moment(tree["finished_at"]),
            }
        )


@dataclass(frozen=True)
class Event:
    """One entry of a run's journal, in the order of `number` from 1 without gaps.

    `kind` is `log` (level, component, message), `step` (phase, name, status, duration_s), `target` (the commits
    it goes from and to, the version and title of the latter) or `end` (outcome, failed_step, error, advice).
    """

    number: int
    at: datetime
    kind: str
    data: dict[str, Any] = field(default_factory=dict)

    def to_tree(self) -> dict[str, Any]:
        """Return the event as one flat JSON object, its time as ISO 8601 in UTC."""
        return {"number": self.number, "at": _text(self.at), "kind": self.kind, **self.data}

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Event:
        """Read the form of `to_tree`. Raises KeyError, ValueError."""
        data = {name: value for name, value in tree.items() if name not in ("number", "at", "kind")}
        return cls(tree["number"], _moment(tree["at"]), tree["kind"], data)


@dataclass(frozen=True)
class DeploymentStatus:
    """The state of a deployment, as known without its remote."""

    deployment: str
    branch: str
    commit: str
    local_changes: bool
    updates_available: int
    running: str | None
    last_run: RunState | None


def _known(kind: type[Any], tree: dict[str, Any]) -> dict[str, Any]:
    names = {each.name for each in dataclasses.fields(kind)}
    return {name: value for name, value in tree.items() if name in names}


def _reports(trees: list[dict[str, Any]]) -> tuple[StepReport, ...]:
    return tuple(StepReport(**{**_known(StepReport, each), "status": StepStatus(each["status"])}) for each in trees)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
