"""The course of one run: forward to its target, back to its start when that fails, resumed when it was killed.

The state is on disk before each step. A killed run is resumed like this: if nothing was changed, it ends; at the
restart or the health check, it repeats these (a restart that kills the run each time is not repeated for ever);
anywhere else, it goes back. So each run ends on the old version or on the new one.
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Awaitable, Callable
from functools import partial

from updater.deployments.journal import Journal
from updater.deployments.leftovers import adopt, end_identified, end_marked, end_named
from updater.deployments.model import Kind, LogLevel, Outcome, Phase, Plan, RunState
from updater.deployments.progress import REASON_CHARACTERS, Progress, StepFailed, unexpected
from updater.deployments.steps import readable
from updater.deployments.work import Work
from updater.errors import Failure

MAX_ATTEMPTS, MAX_RESTARTS = 8, 2
Way = list[tuple[str, Callable[[], Awaitable[None]]]]
_INTERRUPTED = "the process that carried the update out was ended from outside"


class Pipeline:
    """Carries one plan out, from its start or from the state in which it was left."""

    def __init__(self, plan: Plan, journal: Journal, state: RunState | None = None) -> None:
        self._plan = plan
        self._progress = Progress(plan, journal, state)
        self._work = Work(plan, self._progress)

    @property
    def state(self) -> RunState:
        """Return the state as it is, or should be, on disk."""
        return self._progress.state

    async def run(self) -> None:
        """Carry the plan out from its start, in the order git, configured steps, restart, health.

        Raises nothing for a failing step: it leads back, and `state.outcome` says where the run ended.
        """
        self._progress.save()
        if not adopt(False):
            text = "this system has no way to find processes that leave a step's group: they are not ended with it"
            self._progress.log(LogLevel.WARNING, None, text)
        git: Way = [("git_fetch", self._work.git_fetch), ("git_pull", self._work.git_pull)]
        if self._plan.kind is Kind.ROLLBACK:
            git = [("git_reset", self._work.git_reset)]
        await self._forward([*git, *self._configured(), *self._ending()])

    async def resume(self) -> None:
        """Resume a run that was killed at any point. After `MAX_ATTEMPTS` attempts it ends as broken.

        Raises nothing for a failing step, like `run`.
        """
        progress = self._progress
        progress.save(attempts=self.state.attempts + 1)
        progress.log(LogLevel.WARNING, None, f"taken up again: {_INTERRUPTED}")
        ended = end_named(self.state.leavers) + end_marked(self._plan.run)
        if ended:
            progress.log(LogLevel.WARNING, None, f"{ended} processes of the interrupted step were left, and are ended")
        step = progress.last_step
        if self.state.attempts > MAX_ATTEMPTS:
            progress.finish(Outcome.BROKEN, self.state.failed_step or step, f"interrupted {MAX_ATTEMPTS} times")
        elif step in ("restart", "health"):
            await self._go_on_from_restart()
        elif self.state.phase is Phase.FORWARD:
            await self._back(StepFailed(step or "git_fetch", _INTERRUPTED), killed=True)
        else:
            await self._go_back()

    async def _forward(self, way: Way) -> None:
        try:
            for name, work in way:
                await self._step(name, work)
        except StepFailed as failed:
            await self._back(failed)
        else:
            self._progress.finish(Outcome.SUCCEEDED)

    async def _back(self, failed: StepFailed, *, killed: bool = False) -> None:
        """End the run when nothing was changed yet; else go back."""
        if not self.state.touched and failed.step not in ("restart", "health"):
            if killed or failed.timed_out:
                # git of this run may have been killed; a lock of any other git stays.
                with contextlib.suppress(Failure, OSError):
                    await self._work.clear_locks(failed.step)
            self._progress.finish(Outcome.UNCHANGED, failed.step, failed.reason)
            return
        self._progress.save(failed_step=failed.step, error=failed.reason, phase=Phase.BACK, restarts=0)
        self._progress.log(LogLevel.WARNING, None, f"going back to {self.state.from_commit}")
        await self._go_back()

    async def _go_back(self) -> None:
        """Undo, repeat the steps, restart. A run that changed nothing repeats only its restart."""
        trouble: StepFailed | None = None
        if self.state.touched:
            try:
                await self._step("git_reset", self._work.git_undo)
            except StepFailed as failed:
                self._finish_broken(failed)
                return
            for name, work in self._configured():
                # The old version may run although a step cannot be repeated: its health check decides.
                try:
                    await self._step(name, work)
                except StepFailed as failed:
                    trouble = trouble or failed
        await self._end_of_way_back(self._ending(), trouble)

    async def _end_of_way_back(self, way: Way, trouble: StepFailed | None) -> None:
        try:
            for name, work in way:
                await self._step(name, work)
        except StepFailed as failed:
            self._finish_broken(failed)
            return
        if trouble is not None and self._plan.deployment.health is None:
            self._finish_broken(trouble)
        else:
            self._progress.finish(Outcome.RESTORED, self.state.failed_step, self.state.error)

    async def _go_on_from_restart(self) -> None:
        repeat = self.state.restarts < MAX_RESTARTS
        if repeat:
            # If it still ran, it would restart the service once more, after the repeated restart.
            end_identified(self.state.restarter)
        else:
            self._progress.log(LogLevel.WARNING, "restart", "not repeated: this process was ended by it each time")
        if self.state.phase is Phase.FORWARD:
            await self._forward(self._ending(restart=repeat))
        else:
            await self._end_of_way_back(self._ending(restart=repeat), None)

    async def _step(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        self._progress.begin(name)
        try:
            await work()
        except StepFailed as failed:
            self._progress.fail(name, failed)
            raise
        except Exception as error:
            # Whatever it is, the run goes back and says why; its traceback is in the run's log of its process.
            traceback.print_exc()
            surprise = StepFailed(name, unexpected(error))
            self._progress.fail(name, surprise)
            raise surprise from error
        self._progress.complete(name)

    def _configured(self) -> Way:
        return [(step.name, partial(self._work.command, step)) for step in self._plan.deployment.steps]

    def _ending(self, *, restart: bool = True) -> Way:
        deployment = self._plan.deployment
        way: Way = []
        if deployment.restart is not None and restart:
            way.append(("restart", partial(self._work.restart, deployment.restart)))
        if deployment.health is not None:
            way.append(("health", partial(self._work.health, deployment.health)))
        return way

    def give_up(self, error: Exception) -> None:
        """End the run after an error that no step can have: what is in place is not known. Raises nothing."""
        progress, text = self._progress, readable(unexpected(error))[:REASON_CHARACTERS]
        outcome = Outcome.BROKEN if self.state.touched else Outcome.UNCHANGED
        progress.finish(outcome, self.state.failed_step or progress.last_step or "git_fetch", text)

    def _finish_broken(self, failed: StepFailed) -> None:
        error = f"{self.state.error}; on the way back {failed}"
        self._progress.finish(Outcome.BROKEN, self.state.failed_step or failed.step, error)
