"""Import a run's files into the database: its log lines, its update, and the outcome.

Every import may be repeated from the start: a service that restarts in the middle reads the journal again.
"""

from __future__ import annotations

from datetime import timedelta

from updater.audit.model import SYSTEM
from updater.clock import utc_now
from updater.deployments.git import Git
from updater.deployments.journal import RunFolder
from updater.deployments.model import Event, Kind, Outcome, Plan, RunState, Transition, Update, UpdateStatus
from updater.deployments.store import DeploymentStore
from updater.errors import Conflict

BATCH_EVENTS = 500


class RunImport:
    """The import of one run. Feed it its events in order, then settle it with the final state."""

    def __init__(self, store: DeploymentStore, git: Git, plan: Plan) -> None:
        self._store = store
        self._git = git
        self._plan = plan
        self._update_id = plan.update_id

    async def feed(self, events: list[Event]) -> None:
        """Store the log lines of some events, in order; at the `target` event, find or make the update of the run.

        Repeating events stores nothing twice.

        Raises:
            Unavailable, StorageFull: the events may be stored in part; feed them again.
        """
        for start in range(0, len(events), BATCH_EVENTS):
            batch = events[start : start + BATCH_EVENTS]
            for event in batch:
                if event.kind == "target" and self._plan.kind is Kind.APPLY:
                    await self._adopt(event)
            await self._store.import_lines(self._plan.deployment.id, self._plan.run, self._update_id, batch)
        if self._update_id is not None:
            await self._store.claim_lines(self._plan.run, self._update_id)

    async def settle(self, state: RunState) -> None:
        """Move the update to the status that the run's outcome leads to; repeating it changes nothing.

        Raises:
            NotFound: the update is gone. Unavailable, StorageFull: settle it again.
        """
        if self._update_id is None:
            if state.outcome is not None and state.outcome is not Outcome.SUCCEEDED:
                await self._store.record_run(self._plan, SYSTEM, failed=state.outcome.value)
            return
        update = await self._store.get(self._update_id)
        if update.status is not UpdateStatus.IN_PROGRESS or update.run != self._plan.run:
            return
        if self._plan.kind is Kind.APPLY:
            await self._settle_apply(update, state)
        else:
            await self._settle_rollback(update, state)

    async def _settle_apply(self, update: Update, state: RunState) -> None:
        at = state.finished_at or utc_now()
        if state.outcome is not Outcome.SUCCEEDED:
            await self._store.transition(update.id, Transition.NOT_APPLIED, at, SYSTEM)
            return
        # The others first: after an interruption the update is still in progress, and all of this is repeated.
        for other in await self._store.list_updates(update.deployment):
            if other.status is UpdateStatus.PENDING and await self._contains(state, other):
                # An instant earlier, so that the requested version stays the newest.
                earlier = at - timedelta(microseconds=1)
                changes = {"applied_at": earlier, "previous_commit": state.from_commit}
                await self._store.transition(other.id, Transition.INCLUDED, at, SYSTEM, **changes)
        await self._store.transition(
            update.id,
            Transition.APPLIED,
            at,
            SYSTEM,
            applied_at=at,
            commit_hash=state.to_commit,
            previous_commit=state.from_commit,
        )

    async def _settle_rollback(self, update: Update, state: RunState) -> None:
        at = state.finished_at or utc_now()
        if state.outcome is Outcome.BROKEN:
            await self._store.transition(update.id, Transition.NOT_APPLIED, at, SYSTEM)
            return
        if state.outcome is not Outcome.SUCCEEDED:
            await self._store.transition(update.id, Transition.STAY, at, SYSTEM)
            return
        for other in await self._store.list_updates(update.deployment):
            if other.status is UpdateStatus.COMPLETED and other.commit and not await self._contains(state, other):
                await self._store.transition(
                    other.id, Transition.EXCLUDED, at, SYSTEM, applied_at=None, previous_commit=None
                )
        await self._store.transition(
            update.id, Transition.ROLLED_BACK, at, SYSTEM, applied_at=None, previous_commit=None
        )

    async def _contains(self, state: RunState, other: Update) -> bool:
        if not other.commit or not state.to_commit:
            return False
        return await self._git.is_ancestor(other.commit, state.to_commit)

    async def _adopt(self, event: Event) -> None:
        """Find or make the update for the commit that the run goes to."""
        now, commit = event.at, event.data["to_commit"]
        if self._update_id is not None:
            update = await self._store.get(self._update_id)
            if update.status is UpdateStatus.IN_PROGRESS and update.commit is None:
                await self._store.change(update.id, now, commit_hash=commit)
            return
        mine = [each for each in await self._store.find_by_run(self._plan.run) if each.commit == commit]
        if mine:
            self._update_id = mine[0].id
        elif commit != event.data["from_commit"]:
            found = await find_open(self._store, self._plan.deployment.id, commit)
            found = found or await self._store.insert(self._new_update(event), SYSTEM)
            self._update_id = found.id
            try:
                await self._store.transition(
                    found.id, Transition.APPLY, now, SYSTEM, run=self._plan.run, commit_hash=commit
                )
            except Conflict:  # another run has this update; the log lines still belong to it
                return

    def _new_update(self, event: Event) -> Update:
        return Update(
            id=0,
            deployment=self._plan.deployment.id,
            version=event.data["version"],
            title=event.data["title"],
            description=event.data["description"],
            status=UpdateStatus.PENDING,
            rollback_possible=True,
            created_at=event.at,
            updated_at=event.at,
            commit=event.data["to_commit"],
        )


async def find_open(store: DeploymentStore, deployment: str, head: str) -> Update | None:
    """Return the pending update for this head of the branch: first by its commit, then one announced without any ref.

    None when there is neither.
    """
    pending = [each for each in await store.list_updates(deployment) if each.status is UpdateStatus.PENDING]
    for each in pending:
        if each.commit == head:
            return each
    return next((each for each in pending if each.commit is None and each.ref is None), None)


async def import_finished(folder: RunFolder, store: DeploymentStore, git: Git) -> None:
    """Import a run that is over, at once, and mark it as imported; without plan or state do nothing.

    Raises:
        Unavailable, StorageFull: import it again.
    """
    plan, state = folder.find_plan(), folder.find_state()
    if plan is None or state is None:
        return
    importing = RunImport(store, git, plan)
    events, _ = folder.events()
    await importing.feed(events)
    await importing.settle(state)
    folder.mark_imported()
