"""The state of a run, on disk before each step, and its log."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import deque
from typing import Any

from updater.clock import utc_now
from updater.deployments.git import Version
from updater.deployments.journal import Journal
from updater.deployments.model import LogLevel, Outcome, Phase, Plan, RunState, StepReport, StepStatus
from updater.deployments.steps import readable

OUTPUT_CHARACTERS, REASON_CHARACTERS = 4_000, 2_000
_ENDINGS: dict[Outcome, tuple[LogLevel, str]] = {
    Outcome.SUCCEEDED: (LogLevel.INFO, "done: {place} is in place"),
    Outcome.UNCHANGED: (LogLevel.ERROR, "failed at {step}, nothing was changed, {place} stays in place: {error}"),
    Outcome.RESTORED: (LogLevel.ERROR, "failed at {step}, {place} is in place again: {error}"),
    Outcome.BROKEN: (LogLevel.CRITICAL, "failed at {step}, and the way back failed: {error}"),
}


class StepFailed(Exception):
    """A step that failed. `timed_out` distinguishes a hang from a failure. `reason` is one printable line."""

    def __init__(self, step: str, reason: str, *, timed_out: bool = False) -> None:
        reason = readable(reason)[:REASON_CHARACTERS]
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
        self.timed_out = timed_out


def unexpected(error: Exception) -> str:
    """Return the reason of a failure that nobody thought of: the kind of error, and its text if it has one."""
    return ": ".join(part for part in (f"unexpected {type(error).__name__}", str(error)) if part)


class Progress:
    """State and journal of one run. `state` is what the disk holds, or would hold if it were not full."""

    def __init__(self, plan: Plan, journal: Journal, state: RunState | None) -> None:
        self.plan = plan
        self.state = state or RunState(plan.run, plan.kind, plan.started_at)
        self._journal = journal
        self._output: deque[str] = deque(maxlen=200)
        self._began = 0.0

    def save(self, **changes: Any) -> None:
        """Change the state and store it.

        Raises nothing: a full disk keeps an older state, which leads to the same end.
        """
        self.state = dataclasses.replace(self.state, **changes)
        with contextlib.suppress(OSError):
            self._journal.checkpoint(self.state)

    def save_or_stop(self, step: str, **changes: Any) -> None:
        """Change the state and store it, before a step that relies on it.

        Raises:
            StepFailed: it cannot be written; `touched` is False again.
        """
        self.state = dataclasses.replace(self.state, **changes)
        try:
            self._journal.checkpoint(self.state)
        except OSError as error:
            self.state = dataclasses.replace(self.state, touched=False)
            raise StepFailed(step, f"the state cannot be written: {error.strerror}") from None

    def log(self, level: LogLevel, component: str | None, message: str) -> None:
        """Write a line of the log; `component` is the step, or None for the run. Raises nothing."""
        self._journal.log(level, component, readable(message))

    def say(self, step: str, line: str) -> None:
        """Write a line of a step's output to the log, and keep it among the step's last 200 lines, in order."""
        self._output.append(line)
        self.log(LogLevel.INFO, step, line)

    @property
    def telling_line(self) -> str:
        """Return the line of the present step's output that tells the error; an empty text without output.

        It is git's first fatal or error line, or else the last line; the order is that of the output.
        """
        said = [line for line in self._output if line.startswith(("fatal:", "error:"))] or list(self._output)[-1:]
        return said[0] if said else ""

    def aim(self, older: str, newer: str, named: Version) -> None:
        """Record the commits that the run goes from and to, in this order, and the name of the latter."""
        self.save(from_commit=older, to_commit=newer)
        self._journal.target({"from_commit": older, "to_commit": newer, **dataclasses.asdict(named)})

    def begin(self, name: str) -> None:
        """Record that a step begins. Call it before the step, so that a killed run knows its place."""
        self._output.clear()
        self._began = time.monotonic()
        self._report(StepReport(name, StepStatus.RUNNING), first=True)
        self.log(LogLevel.INFO, name, "started")

    def complete(self, name: str) -> None:
        """Record that a step is completed, with its duration in seconds."""
        report = self._ended(name, StepStatus.COMPLETED)
        self.log(LogLevel.INFO, name, f"completed in {report.duration_s} s")

    def fail(self, name: str, failed: StepFailed) -> None:
        """Record that a step failed, with its duration in seconds and the reason."""
        self._ended(name, StepStatus.TIMED_OUT if failed.timed_out else StepStatus.FAILED)
        self.log(LogLevel.ERROR, name, failed.reason)

    def finish(self, outcome: Outcome, step: str | None = None, error: str | None = None) -> None:
        """End the run: log the outcome, and store the final state. Raises nothing on a full disk.

        `step` and `error` are those of the failure that decided the outcome.
        """
        advice = self._advice() if outcome is Outcome.BROKEN else None
        level, words = _ENDINGS[outcome]
        place = self.state.to_commit if outcome is Outcome.SUCCEEDED else self.state.from_commit
        text = words.format(place=(place or "the version before")[:40], step=step, error=error)
        self.log(level, None, f"{text}. {advice}" if advice else text)
        self.state = dataclasses.replace(
            self.state, outcome=outcome, failed_step=step, error=error, advice=advice, finished_at=utc_now()
        )
        with contextlib.suppress(OSError):
            self._journal.end(self.state)

    @property
    def last_step(self) -> str | None:
        """Return the last step that began, on the way forward or back; None before the first one."""
        reports = self.state.steps if self.state.phase is Phase.FORWARD else self.state.recovery
        return reports[-1].name if reports else None

    @property
    def ends(self) -> tuple[str, str]:
        """Return the commits the run goes from and to, in this order; empty texts before `aim`."""
        return self.state.from_commit or "", self.state.to_commit or ""

    def _ended(self, name: str, status: StepStatus) -> StepReport:
        output = "\n".join(self._output)[-OUTPUT_CHARACTERS:]
        report = StepReport(name, status, round(time.monotonic() - self._began, 3), output)
        self._report(report)
        return report

    def _report(self, report: StepReport, *, first: bool = False) -> None:
        side = "steps" if self.state.phase is Phase.FORWARD else "recovery"
        before = getattr(self.state, side)
        self._journal.step(self.state.phase, report)
        self.save(**{side: (*(before if first else before[:-1]), report)})

    def _advice(self) -> str:
        deployment, older = self.plan.deployment, self.state.from_commit or "the commit before"
        return readable(
            f"Neither version is known to serve. Look at {deployment.path}: bring it to {older}, run the steps and the "
            "restart by hand, or push a version that works and apply it"
        )
