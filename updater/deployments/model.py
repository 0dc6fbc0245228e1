"""The values of deployments: commits, updates and their transitions, runs, their steps and their events.

A *run* is one pass of the engine over a deployment: an apply or a rollback. An *update* is one incoming version,
kept in the database; a run brings it in or takes it back. Nothing here knows git, processes or SQL.
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
    """What became of an update."""

    PENDING = "pending"
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"


class Transition(StrEnum):
    """What happens to an update; `TRANSITIONS` says where it leads."""

    APPLY = "apply"  # a run to it begins
    APPLIED = "applied"  # it is in place and well
    NOT_APPLIED = "not applied"  # the run failed
    WITHDRAW = "withdraw"  # the run never began
    ROLL_BACK = "roll back"  # a run back to the commit before begins
    ROLLED_BACK = "rolled back"  # the commit before is in place and well
    STAY = "stay"  # that run failed or never began, and the update is still in place
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
    """Return where `transition` leads from `status`. Raises Conflict when it leads nowhere."""
    try:
        return TRANSITIONS[status, transition]
    except KeyError:
        raise Conflict(f"The update is {status}: it cannot be {_DONE.get(transition, transition)}") from None


_DONE = {Transition.APPLY: "applied", Transition.ROLL_BACK: "rolled back"}


class LogLevel(StrEnum):
    """How serious a log line is."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Kind(StrEnum):
    """What a run is for."""

    APPLY = "apply"
    ROLLBACK = "rollback"


class Phase(StrEnum):
    """Which way a run goes: to its target, or back to where it started because that failed."""

    FORWARD = "forward"
    BACK = "back"


class StepStatus(StrEnum):
    """How a step does."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed-out"


class Outcome(StrEnum):
    """How a run ended, which says what is in place now."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"  # the target
    UNCHANGED = "unchanged"  # where it started; it failed before anything was touched
    RESTORED = "restored"  # where it started; it failed and was taken back
    BROKEN = "broken"  # it failed and so did the way back: a person is needed


@dataclass(frozen=True)
class Commit:
    """One commit: full hash, first line of its message, time."""

    hash: str
    message: str
    date: datetime


@dataclass(frozen=True)
class Check:
    """What a look at the remote found. `commits` are the incoming ones, newest first."""

    deployment: str
    branch: str
    current: str
    latest: str
    commits: tuple[Commit, ...]
    local_changes: bool
    diverged: bool

    @property
    def has_update(self) -> bool:
        """Say whether there are incoming commits."""
        return bool(self.commits)


@dataclass(frozen=True)
class Update:
    """One incoming version of a deployment. `ref` and `commit` None: the branch head at the time it is applied."""

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


@dataclass(frozen=True)
class LogLine:
    """One line of an update's log. `component` is the step it belongs to."""

    id: int
    timestamp: datetime
    level: LogLevel
    message: str
    component: str | None


@dataclass(frozen=True)
class LogPage:
    """Some lines, newest first, of `total_count`."""

    logs: tuple[LogLine, ...]
    total_count: int
    limit: int
    offset: int


class Forgotten(NamedTuple):
    """How much was removed because of its age."""

    lines: int
    updates: int


@dataclass(frozen=True)
class StepReport:
    """How one step did. `output` holds its last lines."""

    name: str
    status: StepStatus
    duration_s: float = 0.0
    output: str = ""


@dataclass(frozen=True)
class Plan:
    """What a run is to do; written down before it starts and never changed.

    `target` is where to go: a commit, a tag, or None for the branch head. `expected` is the commit that a rollback
    must find in place.
    """

    run: str
    kind: Kind
    deployment: DeploymentSettings
    started_at: datetime
    target: str | None = None
    expected: str | None = None
    update_id: int | None = None

    def to_tree(self) -> dict[str, Any]:
        """Return the plan as JSON data."""
        tree = dataclasses.asdict(self)
        return {**tree, "deployment": as_tree(self.deployment), "started_at": _text(self.started_at)}

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Plan:
        """Read `to_tree`'s form, also that of another version of this program."""
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
    """How far a run has come: the durable checkpoint from which a killed run is taken up again.

    `touched` is set before the checkout is changed for the first time. `steps` are those of the way forward,
    `recovery` those of the way back.
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
    steps: tuple[StepReport, ...] = ()
    recovery: tuple[StepReport, ...] = ()
    failed_step: str | None = None
    error: str | None = None
    advice: str | None = None
    finished_at: datetime | None = None

    @property
    def began_steps(self) -> bool:
        """Say whether it came as far as the configured steps."""
        return any(not each.name.startswith("git_") for each in self.steps)

    @property
    def finished(self) -> bool:
        """Say whether the run is over."""
        return self.outcome is not Outcome.RUNNING

    def to_tree(self) -> dict[str, Any]:
        """Return the state as JSON data."""
        return {
            **dataclasses.asdict(self),
            "started_at": _text(self.started_at),
            "finished_at": None if self.finished_at is None else _text(self.finished_at),
        }

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> RunState:
        """Read `to_tree`'s form."""
        return cls(
            **{
                **_known(cls, tree),
                "kind": Kind(tree["kind"]),
                "phase": Phase(tree["phase"]),
                "outcome": Outcome(tree["outcome"]),
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
        """Return the event as one flat JSON object."""
        return {"number": self.number, "at": _text(self.at), "kind": self.kind, **self.data}

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Event:
        """Read `to_tree`'s form."""
        data = {name: value for name, value in tree.items() if name not in ("number", "at", "kind")}
        return cls(tree["number"], _moment(tree["at"]), tree["kind"], data)


@dataclass(frozen=True)
class DeploymentStatus:
    """How a deployment stands, without asking its remote."""

    deployment: str
    branch: str
    commit: str
    local_changes: bool
    known_latest: str | None
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
