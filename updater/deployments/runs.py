"""The runs of all deployments: started as processes of their own, watched, imported, taken up again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

import structlog

import updater
from updater.clock import utc_now
from updater.config import pick_environment
from updater.deployments import imports, journal, runner
from updater.deployments.git import Git
from updater.deployments.model import Event, Kind, Plan, RunState, Transition, UpdateStatus
from updater.deployments.steps import BASE_ENVIRONMENT, Command, capture
from updater.deployments.store import DeploymentStore
from updater.deployments.work import environment_names
from updater.errors import ConfigurationError, Conflict, Failure, NotFound, Unavailable
from updater.settings import DeploymentSettings

KEPT_RUNS = 10
MAX_LAUNCHES = 12
_START_S = 30
_POLL_S = 0.1
_log = structlog.get_logger(__name__)


class Runs:
    """Everything about runs but the rules for starting one."""

    def __init__(self, deployments: Sequence[DeploymentSettings], root: Path, store: DeploymentStore) -> None:
        self._deployments = tuple(deployments)
        self._root = root.resolve() / "deployments"
        self._store = store
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._released = asyncio.Event()
        self._recovering = False
        # Runs that cannot be read, or were given up: not looked at again and again.
        self._unrecoverable: set[str] = set()

    async def start(self) -> None:
        """Import what ended while nobody looked, and watch what still runs. Restarts nothing.

        Again now and then, since the process that watched a run may be gone.
        """
        for deployment in self._deployments:
            await asyncio.to_thread(journal.remove_incomplete, self.home(deployment))
            for folder in await asyncio.to_thread(journal.list_runs, self.home(deployment)):
                if folder.imported or folder.run in self._unrecoverable:
                    continue
                try:
                    await self._pick_up(deployment, folder)
                except Failure as failure:
                    _log.warning("deployment.watch", run=folder.run, reason=failure.message)
                except (ConfigurationError, OSError, ValueError, KeyError) as error:
                    self._unrecoverable.add(folder.run)
                    _log.error("deployment.unreadable", run=folder.run, reason=str(error))
            await asyncio.to_thread(journal.prune, self.home(deployment), KEPT_RUNS)

    async def recover(self) -> None:
        """Bring runs to their end whose process was killed; from now on that happens by itself.

        Such a run may restart what is deployed, this service too: call it when the service is ready to answer.
        """
        for deployment in self._deployments:
            folder = await asyncio.to_thread(self.find_unfinished, deployment)
            if folder is not None and folder.run not in self._unrecoverable:
                self.take_up(deployment, folder)
        self._recovering = True

    def take_up(self, deployment: DeploymentSettings, folder: journal.RunFolder) -> None:
        """Bring one run to its end whose process was killed."""
        self._recovering = True
        self._watch(deployment, folder)

    def release(self) -> None:
        """Let go of everybody in `wait` and `follow`: this service is about to stop, the runs are not."""
        self._released.set()

    async def stop(self) -> None:
        """Stop watching."""
        self.release()
        watches = list(self._watches.values())
        for task in watches:
            task.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    def get_run(self, run: str) -> RunState | None:
        """Return how far a run is; None while it is about to begin. Raises NotFound."""
        return self.folder(run).find_state()

    async def wait(self, run: str) -> RunState | None:
        """Return a run's state when it is over and imported, or the present one when this service has to stop first."""
        folder = self.folder(run)
        watch = self._watches.get(run)
        if watch is not None:
            released = asyncio.create_task(self._released.wait())
            await asyncio.wait({watch, released}, return_when=asyncio.FIRST_COMPLETED)
            released.cancel()
        return await asyncio.to_thread(folder.find_state)

    async def follow(self, run: str, after: int = 0) -> AsyncGenerator[Event]:
        """Give the events of a run after number `after` as they come, until its end or until this service stops.

        Raises:
            NotFound: there is no such run, or it is so old that only its log is left.
        """
        folder, number = self.folder(run), after
        while True:
            async with contextlib.aclosing(self._until_released(journal.follow(folder, number))) as events:
                async for event in events:
                    number = event.number
                    yield event
                    if event.kind == "end":
                        return
            if self._released.is_set() or run not in self._watches:
                return
            await asyncio.sleep(0.1)

    def folder(self, run: str) -> journal.RunFolder:
        """Return a run's files, for who wants to follow them without this service. Raises NotFound."""
        for deployment in self._deployments:
            found = journal.find_run(self.home(deployment), run)
            if found is not None:
                return found
        raise NotFound("run", "There is no such run")

    def home(self, deployment: DeploymentSettings) -> Path:
        """Return the folder of a deployment's lock and runs."""
        return self._root / deployment.id

    async def is_running(self, deployment: DeploymentSettings) -> bool:
        """Say whether a run is on."""
        return await asyncio.to_thread(journal.is_running, self.home(deployment))

    def find_unfinished(self, deployment: DeploymentSettings) -> journal.RunFolder | None:
        """Return a run that began and has not ended, or None."""
        for folder in journal.list_runs(self.home(deployment)):
            state = None if folder.imported else folder.find_state()
            if state is not None and not state.finished:
                return folder
        return None

    def list_unfinished(self, deployment_id: str) -> set[str]:
        """Return the runs on disk that the database may not have whole, also of a deployment that is no more."""
        return {folder.run for folder in journal.list_runs(self._root / deployment_id) if not folder.imported}

    async def begin(self, plan: Plan) -> str:
        """Write the plan down, mark the update, start the process; return the run's name.

        Raises:
            Conflict: another run is on, or the update is not in the state for it. Unavailable: it cannot be started.
        """
        # Whoever asked may go away, but not half-way.
        await asyncio.shield(asyncio.create_task(self._begin_whole(plan)))
        return plan.run

    async def _begin_whole(self, plan: Plan) -> None:
        folder, watch = await asyncio.to_thread(journal.RunFolder.create, self.home(plan.deployment), plan)
        try:
            if plan.update_id is not None:
                turn = Transition.APPLY if plan.kind is Kind.APPLY else Transition.ROLL_BACK
                await self._store.transition(plan.update_id, turn, utc_now(), run=plan.run)
            await self._launch(plan)
        except BaseException as failure:
            if isinstance(failure, Failure):
                await self._withdraw(folder)
            os.close(watch)
            raise
        self._watch(plan.deployment, folder, watch)

    async def _launch(self, plan: Plan) -> None:
        """Start the process that carries a run out, or takes it up again."""
        words = (sys.executable, "-m", runner.__name__, str(self.home(plan.deployment)), plan.run)
        command = Command(
            argv=(*plan.deployment.launcher, *words),
            # Found as this very package, wherever it was imported from.
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

    async def _withdraw(self, folder: journal.RunFolder) -> None:
        """Forget a run that never began."""
        plan = folder.find_plan()
        if plan is not None and plan.update_id is not None:
            turn = Transition.WITHDRAW if plan.kind is Kind.APPLY else Transition.STAY
            update = await self._store.get(plan.update_id)
            if update.run == plan.run and update.status is UpdateStatus.IN_PROGRESS:
                await self._store.transition(update.id, turn, utc_now())
        await asyncio.to_thread(folder.remove)

    async def _pick_up(self, deployment: DeploymentSettings, folder: journal.RunFolder) -> None:
        if folder.find_plan() is None:
            folder.remove()
            return
        watch = folder.try_watch()
        if watch is None:
            return
        try:
            alive = await asyncio.to_thread(journal.is_running, self.home(deployment))
            state = folder.find_state()
            if not alive and state is None:
                await self._withdraw(folder)
            elif not alive and state is not None and state.finished:
                await imports.import_finished(folder, self._store, git_of(deployment))
        finally:
            os.close(watch)
        if alive:
            self._watch(deployment, folder)

    def _watch(self, deployment: DeploymentSettings, folder: journal.RunFolder, watch: int | None = None) -> None:
        """Watch a run, unless another process does; `watch` is the descriptor when we have it already."""
        watch = folder.try_watch() if watch is None else watch
        if watch is not None:
            task = asyncio.create_task(self._watch_run(deployment, folder), name=f"watch {folder.run}")
            self._watches[folder.run] = task
            task.add_done_callback(lambda _: self._watched(folder, watch))

    def _watched(self, folder: journal.RunFolder, watch: int) -> None:
        self._watches.pop(folder.run, None)
        os.close(watch)

    async def _watch_run(self, deployment: DeploymentSettings, folder: journal.RunFolder) -> None:
        """Import a run as it goes; take it up again when its process is gone before its end."""
        plan = folder.find_plan()
        if plan is None:
            return
        importing = imports.RunImport(self._store, git_of(deployment), plan)
        offset = launches = 0
        ended = False
        while launches <= MAX_LAUNCHES:
            alive = await asyncio.to_thread(journal.is_running, self.home(deployment))
            try:
                events, following = await asyncio.to_thread(folder.events, offset)
                await importing.feed(events)
                offset = following
                ended = ended or any(event.kind == "end" for event in events)
                state = folder.find_state()
                if state is None and not alive:
                    await self._withdraw(folder)
                    return
                # Once it has ended, the lock may be held by the next run.
                if state is not None and state.finished and (ended or not alive):
                    await importing.settle(state)
                    folder.mark_imported()
                    await asyncio.to_thread(journal.prune, self.home(deployment), KEPT_RUNS)
                    await self._until_free(deployment)
                    return
                if not alive:
                    if not self._recovering:
                        return
                    launches += 1
                    await self._launch(plan)
            except Failure as failure:
                _log.warning("deployment.watch", run=folder.run, reason=failure.message)
                await asyncio.sleep(1)
            await asyncio.sleep(_POLL_S)
        self._unrecoverable.add(folder.run)
        _log.error("deployment.given_up", run=folder.run, launches=launches)

    async def _until_free(self, deployment: DeploymentSettings) -> None:
        """Wait the moment in which a process that has written its last word still holds the lock."""
        for _ in range(100):
            if not await self.is_running(deployment):
                return
            await asyncio.sleep(0.02)

    async def _until_released(self, events: AsyncIterator[Event]) -> AsyncGenerator[Event]:
        released = asyncio.create_task(self._released.wait())
        try:
            while True:
                coming = asyncio.ensure_future(anext(events))
                await asyncio.wait({coming, released}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    await asyncio.gather(coming, return_exceptions=True)
                    return
                try:
                    yield coming.result()
                except StopAsyncIteration:
                    return
        finally:
            released.cancel()


def git_of(deployment: DeploymentSettings) -> Git:
    """Return the checkout of a deployment, with the environment that git may see."""
    return Git(deployment, pick_environment((*BASE_ENVIRONMENT, *deployment.environment)))
