"""The use cases of deployments: check, status, apply, rollback, follow, announce; updates and their logs.

A run is carried out by a process of its own (`runner`). `runs` starts it, watches its files and imports them into the
database; a service can be stopped and started at any moment without effect on a run.

For a surface: `apply` and `rollback` return as soon as the run is on its way. `runs.wait` returns its state when it
is over, or its present state when this service has to stop first (then `state.finished` is false: the run goes on, and
the next service knows it by the same name). `runs.follow` yields its events as they come.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any

from updater.audit.model import Actor
from updater.clock import utc_now
from updater.config import pick_environment
from updater.deployments import imports, journal, locks
from updater.deployments.asking import capture
from updater.deployments.checkout import Checkout
from updater.deployments.git import Git, git_of
from updater.deployments.git_command import git_command_of, good
from updater.deployments.history import RunHistory
from updater.deployments.model import (
    Check,
    Commit,
    DeploymentStatus,
    Forgotten,
    Kind,
    LogLevel,
    LogPage,
    Plan,
    Transition,
    Update,
    UpdateStatus,
    next_status,
)
from updater.deployments.runs import Runs
from updater.deployments.standing import ProbeAnswer, Standing
from updater.deployments.steps import BASE_ENVIRONMENT
from updater.deployments.store import DeploymentStore
from updater.errors import Conflict, Invalid, NotFound, Unavailable
from updater.settings import BusySettings, DeploymentSettings

BUSY = "Active renders in progress"
PROBE_S = 3.0


class DeploymentService:
    """All deployments of the settings.

    `runs` has their life cycle: start, recover, release, stop; wait and follow. `history` has what they left.
    """

    def __init__(self, deployments: Sequence[DeploymentSettings], root: Path, store: DeploymentStore) -> None:
        self._deployments = {each.id: each for each in deployments}
        self._store = store
        self.runs = Runs(deployments, root, store)
        self.history = RunHistory(self.runs, store)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the ids of all deployments in the order of the settings; the first one is the default."""
        return tuple(self._deployments)

    def get(self, deployment_id: str | None = None) -> DeploymentSettings:
        """Return the settings of a deployment; None means the default one. Raises NotFound."""
        if deployment_id is None and self._deployments:
            return next(iter(self._deployments.values()))
        if deployment_id is None or deployment_id not in self._deployments:
            raise NotFound("deployment", "There is no such deployment")
        return self._deployments[deployment_id]

    async def check(self, deployment_id: str | None = None, *, actor: Actor) -> Check:
        """Fetch from the remote, and record the head of the branch as an update when it is new.

        While a run is on, nothing is fetched: the run fetches itself.

        Raises:
            NotFound: no such deployment. Invalid: the branch's name does not fit. Conflict: there is no such checkout.
            Unavailable: the remote or git does not answer.
        """
        deployment = self.get(deployment_id)
        command = git_command_of(deployment)
        git, checkout = Git(command), Checkout(command)
        async with self._exclusive(deployment):
            await git.check_checkout()
            await git.check_names()
            if not await self.runs.is_running(deployment):
                good("git fetch failed", await capture(await checkout.fetch()))
            current, latest = await git.head(), await git.resolve(None)
            commits = await git.commits(current, latest)
            found = Check(
                deployment=deployment.id,
                branch=deployment.branch,
                current=current,
                latest=latest,
                commits=commits,
                local_changes=bool(await git.local_changes()),
                diverged=bool(commits) and not await git.is_ancestor(current, latest),
            )
            if found.has_update and not found.diverged:
                await self._record_head(deployment, git, found, actor)
        return found

    async def status(self, deployment_id: str | None = None) -> DeploymentStatus:
        """Return the state of a deployment from what is on this machine; nothing is fetched.

        Raises:
            NotFound: no such deployment. Conflict: there is no such checkout. Unavailable: git does not answer.
        """
        deployment = self.get(deployment_id)
        git, home = git_of(deployment), self.runs.home(deployment)
        await git.check_checkout()
        head, latest = await git.head(), await git.find_remote_head()
        runs = await asyncio.to_thread(journal.list_runs, home)
        states = await asyncio.to_thread(journal.list_states, runs[-2:])
        running = await asyncio.to_thread(journal.is_running, home)
        return DeploymentStatus(
            deployment=deployment.id,
            branch=deployment.branch,
            commit=head,
            local_changes=bool(await git.local_changes()),
            updates_available=0 if latest is None else await git.count(head, latest),
            running=runs[-1].run if running and runs else None,
            last_run=states[-1] if states else None,
        )

    async def list_standings(self) -> list[Standing]:
        """Return how all deployments stand, in the order of the settings; nothing is fetched. Raises Unavailable."""
        return list(await asyncio.gather(*(self.get_standing(each) for each in self._deployments)))

    async def get_standing(self, deployment_id: str, *, with_incoming: bool = False) -> Standing:
        """Return how one deployment stands; nothing is fetched, and a broken one is an answer, too.

        A probe that gives no answer within `PROBE_S` seconds counts as none.

        Raises:
            NotFound: no such deployment. Unavailable: the database does not answer.
        """
        deployment = self.get(deployment_id)
        newest = await self._store.find_newest_applied(deployment.id)
        rollback = newest if newest is not None and newest.can_be_taken_back else None
        answers = asyncio.gather(*(_try_probe(probe, deployment) for probe in deployment.busy))
        status, problem = None, None
        incoming: tuple[Commit, ...] = ()
        try:
            status = await self.status(deployment_id)
            if with_incoming and status.updates_available:
                git = git_of(deployment)
                incoming = await git.commits(status.commit, await git.resolve(None))
        except (Conflict, Invalid, Unavailable) as failure:
            problem = failure.message
        return Standing(deployment, status, problem, tuple(await answers), incoming, rollback)

    async def apply(self, deployment_id: str | None = None, *, actor: Actor, update_id: int | None = None) -> str:
        """Start bringing a deployment to the head of its branch, or to one update; return the run's name.

        Raises:
            Conflict: work is in progress (`BUSY`), another run is on, or the update is not pending.
            NotFound: no such deployment or update. Unavailable: a probe gives no answer, or the run cannot be started.
        """
        update = None if update_id is None else await self._store.get(update_id)
        deployment = self.get(deployment_id if update is None else update.deployment)
        if update is not None:
            next_status(update.status, Transition.APPLY)
        async with self._exclusive(deployment):
            await self._refuse(deployment)
            plan = self._plan(deployment, Kind.APPLY)
            if update is not None:
                target = update.commit or update.ref
                plan = dataclasses.replace(plan, update_id=update.id, target=target)
            return await self.runs.begin(plan, actor)

    async def rollback(self, deployment_id: str | None = None, *, actor: Actor, update_id: int | None = None) -> str:
        """Start rolling back the newest applied update; return the run's name.

        Raises:
            Conflict: as for `apply`; the update is not completed, not the newest one, or cannot be rolled back.
            NotFound: no such deployment or update. Unavailable: a probe gives no answer, or the run cannot be started.
        """
        update = None if update_id is None else await self._store.get(update_id)
        deployment = self.get(deployment_id if update is None else update.deployment)
        newest = await self._store.find_newest_applied(deployment.id)
        update = update or newest
        if update is None:
            raise Conflict("There is no applied update that could be rolled back")
        next_status(update.status, Transition.ROLL_BACK)
        if newest is None or newest.id != update.id:
            raise Conflict("Only the newest applied update can be rolled back")
        if not update.can_be_taken_back:
            raise Conflict("This update cannot be rolled back")
        async with self._exclusive(deployment):
            await self._refuse(deployment)
            plan = self._plan(deployment, Kind.ROLLBACK)
            plan = dataclasses.replace(plan, update_id=update.id, target=update.previous_commit, expected=update.commit)
            return await self.runs.begin(plan, actor)

    async def announce(
        self,
        deployment_id: str | None = None,
        *,
        actor: Actor,
        version: str,
        ref: str | None = None,
        title: str | None = None,
        description: str = "",
        irreversible: bool = False,
    ) -> Update:
        """Record an update by hand. Without `ref` it means the head of the branch at the time of its run.

        Raises:
            Invalid: a field does not fit. Conflict: a pending update has this version already. NotFound: no such
            deployment.
        """
        deployment = self.get(deployment_id)
        title = f"Version {version}" if title is None else title
        _require_text({"version": (version, 100), "title": (title, 200)})
        if len(description) > 10_000:
            raise Invalid({"description": "expected at most 10000 characters"})
        if ref is not None:
            await git_of(deployment).check_ref(ref)
        async with self._exclusive(deployment):
            for each in await self._store.list_updates(deployment.id):
                if each.version == version and each.status is UpdateStatus.PENDING:
                    raise Conflict(f"Version {version} is announced already")
            new = _pending(deployment.id, version, title, description, ref=ref, rollback_possible=not irreversible)
            return await self._store.insert(new, actor)

    async def forget(self, *, keep_days: int, keep_runs: int) -> Forgotten:
        """Remove log lines and finished updates older than `keep_days` days, also of deployments that were removed.

        What belongs to the last `keep_runs` runs of a deployment stays, and so does what is not finished: updates that
        are pending or in progress, and runs that the database may not have completely.

        Raises:
            Unavailable: the database does not answer; what was removed before stays removed.
        """
        before, gone = utc_now() - timedelta(days=keep_days), Forgotten(0, 0)
        for deployment_id in await self._store.list_deployments():
            unfinished = await asyncio.to_thread(self.runs.list_unfinished, deployment_id)
            more = await self._store.forget(deployment_id, before, keep_runs=keep_runs, unfinished=unfinished)
            gone = Forgotten(gone.lines + more.lines, gone.updates + more.updates)
        return gone

    async def list_updates(self, deployment_id: str | None = None) -> list[Update]:
        """Return a deployment's updates, newest first. Raises NotFound."""
        return await self._store.list_updates(self.get(deployment_id).id)

    async def get_update(self, update_id: int) -> Update:
        """Return one update. Raises NotFound."""
        return await self._store.get(update_id)

    async def list_update_logs(
        self, update_id: int, *, level: LogLevel | None = None, limit: int = 50, offset: int = 0
    ) -> LogPage:
        """Return a page of the log of one update, newest line first. Raises NotFound."""
        await self._store.get(update_id)
        return await self._store.list_update_logs(update_id, level=level, limit=limit, offset=offset)

    async def list_logs(
        self, deployment_id: str | None = None, *, level: LogLevel | None = None, limit: int = 50, offset: int = 0
    ) -> LogPage:
        """Return a page of the log of a deployment over all its runs, newest first. Raises NotFound."""
        deployment = self.get(deployment_id)
        return await self._store.list_deployment_logs(deployment.id, level=level, limit=limit, offset=offset)

    def _exclusive(self, deployment: DeploymentSettings) -> AbstractAsyncContextManager[None]:
        """Hold the lock on using this checkout's git and on deciding what to begin or record; wait for it first."""
        return locks.exclusive(self.runs.home(deployment) / journal.EXCLUSIVE)

    def _plan(self, deployment: DeploymentSettings, kind: Kind) -> Plan:
        now = utc_now()
        return Plan(journal.new_run_id(now), kind, deployment, now)

    async def _refuse(self, deployment: DeploymentSettings) -> None:
        """Refuse to start while a run is on, while one waits to be resumed, and while a probe reports work."""
        if await self.runs.is_running(deployment):
            raise Conflict("Another update is in progress")
        unfinished = await asyncio.to_thread(self.runs.find_unfinished, deployment)
        if unfinished is not None:
            self.runs.take_up(deployment, unfinished)
            raise Conflict("An interrupted update is being brought to its end first")
        for probe in deployment.busy:
            if (await _ask_probe(probe, deployment)).busy:
                raise Conflict(BUSY)

    async def _record_head(self, deployment: DeploymentSettings, git: Git, found: Check, actor: Actor) -> None:
        if await imports.find_open(self._store, deployment.id, found.latest) is not None:
            return
        updates = await self._store.list_updates(deployment.id)
        if any(each.commit == found.latest and each.status is UpdateStatus.IN_PROGRESS for each in updates):
            return
        named = await git.describe(found.current, found.latest)
        new = _pending(deployment.id, named.version, named.title, named.description, commit=found.latest)
        await self._store.insert(new, actor)


async def _try_probe(probe: BusySettings, deployment: DeploymentSettings) -> ProbeAnswer:
    """Ask a probe for somebody who looks, and waits for `PROBE_S` seconds at most. No answer is one."""
    try:
        return await asyncio.wait_for(_ask_probe(probe, deployment), PROBE_S)
    except TimeoutError:
        return ProbeAnswer(probe.name, None, f"no answer within {PROBE_S:g} s")
    except Unavailable as failure:
        return ProbeAnswer(probe.name, None, failure.message)


async def _ask_probe(probe: BusySettings, deployment: DeploymentSettings) -> ProbeAnswer:
    # Imported here: only a deployment with such a question pays for an HTTP client.
    from updater.deployments.probes import ask_probe

    environment = pick_environment((*BASE_ENVIRONMENT, *deployment.environment))
    return await ask_probe(probe, deployment.path, environment)


def _pending(deployment: str, version: str, title: str, description: str, **more: Any) -> Update:
    now = utc_now()
    values = {"rollback_possible": True, "created_at": now, "updated_at": now, **more}
    return Update(0, deployment, version, title, description, UpdateStatus.PENDING, **values)


def _require_text(given: dict[str, tuple[str, int]]) -> None:
    wrong = {
        name: f"expected 1 to {most} printable characters"
        for name, (text, most) in given.items()
        if not 0 < len(text) <= most or not text.isprintable() or not text.strip()
    }
    if wrong:
        raise Invalid(wrong)
