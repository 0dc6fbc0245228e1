"""The runs of all deployments: started as processes of their own, watched, imported, resumed."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

from updater.audit.model import Actor
from updater.deployments import damage, imports, journal
from updater.deployments.durable import Damaged
from updater.deployments.git import git_of
from updater.deployments.launching import Launcher
from updater.deployments.model import Event, Plan, RunState
from updater.deployments.store import DeploymentStore
from updater.errors import Failure, NotFound
from updater.logs.loggers import get_logger
from updater.settings import DeploymentSettings

KEPT_RUNS = 50
MAX_LAUNCHES = 12
_POLL_S = 0.1
_log = get_logger(__name__)


class Runs:
    """All runs. The rules for starting one are those of `DeploymentService`."""

    def __init__(self, deployments: Sequence[DeploymentSettings], root: Path, store: DeploymentStore) -> None:
        self._deployments = tuple(deployments)
        self._root = root.resolve() / "deployments"
        self._store = store
        self._launcher = Launcher(self._root, store)
        self._watches: dict[str, asyncio.Task[None]] = {}
        self._released = asyncio.Event()
        self._recovering = False
        # Runs that cannot be read, or were given up; they are skipped from then on.
        self._unrecoverable: set[str] = set()

    async def start(self) -> None:
        """Import runs that ended while no process watched them, and watch those that still run. Restarts nothing.

        Call it periodically, since a process that watched a run may have ended. A failure is logged, and its run
        skipped.

        Raises:
            OSError: a run's folder cannot be listed or removed.
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
                except Exception as error:  # one run must not stop the others
                    self._unrecoverable.add(folder.run)
                    _log.error("deployment.unreadable", run=folder.run, reason=f"{type(error).__name__}: {error}")
            await asyncio.to_thread(journal.prune, self.home(deployment), KEPT_RUNS)

    async def recover(self) -> None:
        """Resume the unfinished runs whose process was killed; from now on killed runs are resumed as they are noticed.

        Such a run may restart what is deployed, this service included: call it when the service is ready to answer. A
        damaged run is skipped: `start` closes it. Raises OSError.
        """
        for deployment in self._deployments:
            folder = await asyncio.to_thread(self.find_unfinished, deployment)
            if folder is not None and folder.run not in self._unrecoverable:
                self.take_up(deployment, folder)
        self._recovering = True

    def take_up(self, deployment: DeploymentSettings, folder: journal.RunFolder) -> None:
        """Watch one unfinished run, and resume it when its process was killed.

        Returns at once; a watched run stays as it is.
        """
        self._recovering = True
        self._watch(deployment, folder)

    def release(self) -> None:
        """End every `wait` and `follow`: this service is about to stop, while the runs go on."""
        self._released.set()

    async def stop(self) -> None:
        """Release the callers and stop watching, in this order; the runs go on."""
        self.release()
        watches = list(self._watches.values())
        for task in watches:
            task.cancel()
        await asyncio.gather(*watches, return_exceptions=True)

    def get_run(self, run: str) -> RunState | None:
        """Return the state of a run; None while it is about to begin, or when it is damaged. Raises NotFound."""
        return _readable_state(self.folder(run))

    async def wait(self, run: str) -> RunState | None:
        """Return a run's state when it is over and imported, or its present state when this service has to stop first.

        Raises:
            NotFound: there is no such run, or only its log is left.
        """
        folder = self.folder(run)
        watch = self._watches.get(run)
        if watch is not None:
            released = asyncio.create_task(self._released.wait())
            await asyncio.wait({watch, released}, return_when=asyncio.FIRST_COMPLETED)
            released.cancel()
        return await asyncio.to_thread(_readable_state, folder)

    async def follow(self, run: str, after: int = 0) -> AsyncGenerator[Event]:
        """Yield the events of a run after number `after`, in order and as they come.

        It ends with the run, or when this service stops.

        Raises:
            NotFound: there is no such run, or only its log is left.
        """
        folder, number = self.folder(run), after
        while True:
            async with contextlib.aclosing(_until(self._released, journal.follow(folder, number))) as events:
                async for event in events:
                    number = event.number
                    yield event
                    if event.kind == "end":
                        return
            if self._released.is_set() or run not in self._watches:
                return
            await asyncio.sleep(0.1)

    def folder(self, run: str) -> journal.RunFolder:
        """Return a run's files, for following it without this service. Raises NotFound."""
        for deployment in self._deployments:
            found = journal.find_run(self.home(deployment), run)
            if found is not None:
                return found
        raise NotFound("run", "There is no such run")

    def home(self, deployment: DeploymentSettings) -> Path:
        """Return the folder that holds a deployment's lock and runs; it may not exist yet."""
        return self._root / deployment.id

    async def is_running(self, deployment: DeploymentSettings) -> bool:
        """Tell whether a process carries a run of the deployment out. Raises OSError."""
        return await asyncio.to_thread(journal.is_running, self.home(deployment))

    def find_unfinished(self, deployment: DeploymentSettings) -> journal.RunFolder | None:
        """Return the oldest run that began and has not ended; None when there is none. A damaged run cannot go on."""
        for folder in journal.list_runs(self.home(deployment)):
            state = None if folder.imported or folder.find_damage() else folder.find_state()
            if state is not None and not state.finished:
                return folder
        return None

    def list_unfinished(self, deployment_id: str) -> set[str]:
        """Return the names of the runs on disk that are not imported completely.

        The deployment may be one that was removed from the settings. Raises OSError.
        """
        return {folder.run for folder in journal.list_runs(self._root / deployment_id) if not folder.imported}

    async def begin(self, plan: Plan, actor: Actor) -> str:
        """Write the plan down, mark the update, start the process; return the run's name.

        Raises:
            Conflict: another run is on, or the update's status does not allow it. Unavailable: it cannot be started.
        """
        # Shielded: a cancelled caller must not leave a run that is begun in part.
        await asyncio.shield(asyncio.create_task(self._begin_whole(plan, actor)))
        return plan.run

    async def _begin_whole(self, plan: Plan, actor: Actor) -> None:
        folder, watch = await self._launcher.begin(plan, actor)
        self._watch(plan.deployment, folder, watch)

    async def _pick_up(self, deployment: DeploymentSettings, folder: journal.RunFolder) -> None:
        damaged = await asyncio.to_thread(folder.find_damage)
        if damaged is not None:
            damage.make_plan_file(folder)
        elif folder.find_plan() is None:
            folder.remove()
            return
        watch = folder.try_watch()
        if watch is None:
            return
        try:
            if damaged is not None:
                await damage.finish(folder, deployment, self._store, damaged)
                return
            alive = await asyncio.to_thread(journal.is_running, self.home(deployment))
            state = folder.find_state()
            if not alive and state is None:
                await self._launcher.withdraw(folder)
            elif not alive and state is not None and state.finished:
                await imports.import_finished(folder, self._store, git_of(deployment))
        finally:
            os.close(watch)
        if alive:
            self._watch(deployment, folder)

    def _watch(self, deployment: DeploymentSettings, folder: journal.RunFolder, watch: int | None = None) -> None:
        """Watch a run unless another process does; `watch` is the descriptor of its watch, when it is held already."""
        watch = folder.try_watch() if watch is None else watch
        if watch is not None:
            task = asyncio.create_task(self._watch_run(deployment, folder), name=f"watch {folder.run}")
            self._watches[folder.run] = task
            task.add_done_callback(lambda _: self._watched(folder, watch))

    def _watched(self, folder: journal.RunFolder, watch: int) -> None:
        task = self._watches.pop(folder.run, None)
        os.close(watch)
        if task is not None and not task.cancelled() and (error := task.exception()) is not None:
            # The next `start` picks the run up again.
            _log.error("deployment.watch", run=folder.run, reason=f"{type(error).__name__}: {error}")

    async def _watch_run(self, deployment: DeploymentSettings, folder: journal.RunFolder) -> None:
        """Import a run as it goes; resume it when its process has ended before its end."""
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
                    await self._launcher.withdraw(folder)
                    return
                # After its end the lock may already be held by the next run.
                if state is not None and state.finished and (ended or not alive):
                    await importing.settle(state)
                    folder.mark_imported()
                    await asyncio.to_thread(journal.prune, self.home(deployment), KEPT_RUNS)
                    await _until_free(self.home(deployment))
                    return
                if not alive:
                    if not self._recovering:
                        return
                    launches += 1
                    await self._launcher.launch(plan)
            except Damaged as damaged:
                if not alive:
                    await damage.finish(folder, deployment, self._store, str(damaged))
                    return
            except Failure as failure:
                _log.warning("deployment.watch", run=folder.run, reason=failure.message)
                await asyncio.sleep(1)
            await asyncio.sleep(_POLL_S)
        _log.error("deployment.given_up", run=folder.run, launches=launches)
        why = "the process that carries the update out could not be started again"
        await damage.finish(folder, deployment, self._store, why)


def _readable_state(folder: journal.RunFolder) -> RunState | None:
    states = journal.list_states([folder])
    return states[0] if states else None


async def _until_free(home: Path) -> None:
    """Wait until the process of a run that has ended has released the lock, for 2 seconds at most."""
    for _ in range(100):
        if not await asyncio.to_thread(journal.is_running, home):
            return
        await asyncio.sleep(0.02)


async def _until(released: asyncio.Event, events: AsyncIterator[Event]) -> AsyncGenerator[Event]:
    """Yield the events as they come, until their end or until `released` is set."""
    releasing = asyncio.create_task(released.wait())
    try:
        while True:
            coming = asyncio.ensure_future(anext(events))
            await asyncio.wait({coming, releasing}, return_when=asyncio.FIRST_COMPLETED)
            if not coming.done():
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
                return
            try:
                yield coming.result()
            except StopAsyncIteration:
                return
    finally:
        releasing.cancel()
