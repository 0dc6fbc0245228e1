"""What the runs of a deployment left: their states from disk, their log from the database."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from updater.deployments import journal
from updater.deployments.model import LogLevel, LogPage, RunState
from updater.deployments.runs import Runs
from updater.deployments.store import DeploymentStore
from updater.errors import NotFound
from updater.settings import DeploymentSettings


@dataclass(frozen=True)
class RunPage:
    """Runs, newest first, out of `total_count`."""

    runs: tuple[RunState, ...]
    total_count: int
    limit: int
    offset: int


class RunHistory:
    """Reads runs that are over or on. The newest `runs.KEPT_RUNS` of a deployment are here; the log is kept longer."""

    def __init__(self, runs: Runs, store: DeploymentStore) -> None:
        self._runs = runs
        self._store = store

    async def list_runs(self, deployment: DeploymentSettings, *, limit: int, offset: int) -> RunPage:
        """Return a page of a deployment's runs, newest first. One that is damaged, or has not begun, is left out.

        Raises OSError.
        """
        return await asyncio.to_thread(self._list_runs, deployment, limit, offset)

    def _list_runs(self, deployment: DeploymentSettings, limit: int, offset: int) -> RunPage:
        folders = journal.list_runs(self._runs.home(deployment))[::-1]
        states = journal.list_states(folders)
        return RunPage(tuple(states[offset : offset + limit]), len(states), limit, offset)

    def require_run(self, deployment: DeploymentSettings, run: str) -> None:
        """Require a run of this deployment, also one that is about to begin. Raises NotFound."""
        if journal.find_run(self._runs.home(deployment), run) is None:
            raise NotFound("run", "There is no such run")

    async def get_run(self, deployment: DeploymentSettings, run: str) -> RunState:
        """Return the state of one run of this deployment. Raises NotFound, also before it begins."""
        found = await asyncio.to_thread(self._find_state, deployment, run)
        if found is None:
            raise NotFound("run", "There is no such run")
        return found

    def _find_state(self, deployment: DeploymentSettings, run: str) -> RunState | None:
        folder = journal.find_run(self._runs.home(deployment), run)
        states = [] if folder is None else journal.list_states([folder])
        return states[0] if states else None

    async def list_lines(
        self, deployment: DeploymentSettings, run: str, *, level: LogLevel | None = None, limit: int, offset: int
    ) -> LogPage:
        """Return a page of the log of one run, newest line first; also of one whose state is gone.

        Raises:
            NotFound: this deployment has no such run, and no line of one. Unavailable: the database does not answer.
        """
        page = await self._store.list_run_logs(deployment.id, run, level=level, limit=limit, offset=offset)
        if not page.total_count:
            await self.get_run(deployment, run)
        return page
