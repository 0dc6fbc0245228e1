"""Start the processes of runs, and withdraw runs whose process never began."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import updater
from updater.audit.model import SYSTEM, Actor
from updater.clock import utc_now
from updater.config import pick_environment
from updater.deployments import runner
from updater.deployments.asking import capture
from updater.deployments.journal import RunFolder
from updater.deployments.model import Kind, Plan, Transition, UpdateStatus
from updater.deployments.steps import Command
from updater.deployments.store import DeploymentStore
from updater.deployments.work import environment_names
from updater.errors import Conflict, Failure, Unavailable
from updater.logs.loggers import get_logger

_START_S = 30
_log = get_logger(__name__)


class Launcher:
    """Starts runs. `root` holds a folder for each deployment, named by its id."""

    def __init__(self, root: Path, store: DeploymentStore) -> None:
        self._root = root
        self._store = store

    async def begin(self, plan: Plan, actor: Actor) -> tuple[RunFolder, int]:
        """Write the plan to disk, mark its update, record the run, and start the process, in this order.

        Do not cancel it: a run that is begun in part would stay.

        Returns: the run's folder, and the descriptor that holds its watch; the caller closes it.

        Raises:
            Conflict: another run is on, or the update's status does not allow it. NotFound: there is no such update.
            Unavailable: the process cannot be started. The run is withdrawn.
        """
        folder, watch = await asyncio.to_thread(RunFolder.create, self._root / plan.deployment.id, plan)
        try:
            if plan.update_id is not None:
                transition = Transition.APPLY if plan.kind is Kind.APPLY else Transition.ROLL_BACK
                await self._store.transition(plan.update_id, transition, utc_now(), actor, run=plan.run)
            await self._store.record_run(plan, actor)
            await self.launch(plan)
        except BaseException as failure:
            if isinstance(failure, Failure):
                await self.withdraw(folder)
            os.close(watch)
            raise
        return folder, watch

    async def launch(self, plan: Plan) -> None:
        """Start the process that carries a run out, or resumes it; returns when it has taken the lock.

        Raises:
            Conflict: another process holds the deployment's lock. Unavailable: it did not start within 30 seconds.
        """
        words = (sys.executable, "-m", runner.__name__, str(self._root / plan.deployment.id), plan.run)
        command = Command(
            argv=(*plan.deployment.launcher, *words),
            # The process finds this very package, wherever it was imported from.
            cwd=str(Path(updater.__file__).parent.parent),
            environment=pick_environment(environment_names(plan.deployment)),
            timeout_s=_START_S,
        )
        answer = await capture(command)
        if answer.ended.status == runner.LOCKED:
            raise Conflict("Another update is in progress")
        if not answer.ended.good:
            _log.error("deployment.not_started", run=plan.run, reason=answer.ended.reason, said=answer.err[-3:])
            raise Unavailable("The update could not be started; the server's log says why")

    async def withdraw(self, folder: RunFolder) -> None:
        """Remove a run whose process never began, and take its update back to its status before.

        Raises:
            NotFound: its update is gone. Unavailable: the database does not answer. The folder stays.
        """
        plan = folder.find_plan()
        if plan is not None and plan.update_id is not None:
            transition = Transition.WITHDRAW if plan.kind is Kind.APPLY else Transition.STAY
            update = await self._store.get(plan.update_id)
            if update.run == plan.run and update.status is UpdateStatus.IN_PROGRESS:
                await self._store.transition(update.id, transition, utc_now(), SYSTEM)
        await asyncio.to_thread(folder.remove)
