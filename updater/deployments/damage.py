"""The end of a run that cannot be carried on: its files are damaged, or its process cannot be started.

Such a run is closed as failed, with a text that says why, and stops no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
from datetime import UTC, datetime

from updater.audit.model import SYSTEM
from updater.clock import utc_now
from updater.deployments.durable import Damaged
from updater.deployments.git import git_of
from updater.deployments.imports import import_finished
from updater.deployments.journal import PLAN, STATE, Journal, RunFolder, take_lock
from updater.deployments.model import Kind, LogLevel, Outcome, Plan, RunState, Transition, UpdateStatus
from updater.deployments.store import DeploymentStore
from updater.logs.loggers import get_logger
from updater.settings import DeploymentSettings

_KEPT = ".damaged"
_log = get_logger(__name__)


def close(folder: RunFolder, why: str) -> bool:
    """Write the end of a run: the one that its journal tells of, or else a failure with this reason.

    A damaged state stays beside the new one. Returns False, and does nothing, while a process holds the deployment's
    lock. Raises OSError.
    """
    lock = take_lock(folder.path.parent.parent)
    if lock is None:
        return False
    try:
        plan, state = _plan(folder), _state(folder)
        if state is None and (folder.path / STATE).exists():
            (folder.path / STATE).replace(folder.path / f"{STATE}{_KEPT}")
        journal = Journal(folder)
        try:
            if state is None or not state.finished:
                journal.log(LogLevel.CRITICAL, None, why)
                journal.end(_ended(folder, plan, state, why))
        finally:
            journal.close()
    finally:
        os.close(lock)
    return True


async def finish(folder: RunFolder, deployment: DeploymentSettings, store: DeploymentStore, why: str) -> None:
    """Close and import a run that cannot be carried on, unless a process holds the deployment's lock.

    Hold the run's watch.

    Raises:
        Unavailable, StorageFull, OSError: finish it again.
    """
    if await asyncio.to_thread(close, folder, why):
        _log.error("deployment.closed", run=folder.run, reason=why)
        if folder.find_damage() is None:
            await import_finished(folder, store, git_of(deployment))
        else:
            await settle(folder, deployment.id, store)


async def settle(folder: RunFolder, deployment: str, store: DeploymentStore) -> None:
    """Import a closed run whose plan is damaged: its lines, and the failure of its update.

    Raises:
        Unavailable, StorageFull: settle it again.
    """
    events, _ = folder.events()
    mine = [each for each in await store.find_by_run(folder.run) if each.status is UpdateStatus.IN_PROGRESS]
    await store.import_lines(deployment, folder.run, mine[0].id if mine else None, events)
    for update in mine:
        await store.transition(update.id, Transition.NOT_APPLIED, utc_now(), SYSTEM)
    folder.mark_imported()


def make_plan_file(folder: RunFolder) -> None:
    """Make an empty plan where it is missing, since the watch over a run is a lock on it. Raises OSError."""
    (folder.path / PLAN).touch()


def _ended(folder: RunFolder, plan: Plan | None, state: RunState | None, why: str) -> RunState:
    if state is None:
        kind, began = (Kind.APPLY, _began(folder)) if plan is None else (plan.kind, plan.started_at)
        state = RunState(folder.run, kind, began, touched=True)
    events, _ = folder.events()
    told = {event.kind: event.data for event in events if event.kind in ("target", "end")}
    target, end = told.get("target", {}), told.get("end", {})
    state = dataclasses.replace(
        state, from_commit=target.get("from_commit"), to_commit=target.get("to_commit"), finished_at=utc_now()
    )
    with contextlib.suppress(KeyError, ValueError):
        step, error, advice = end["failed_step"], end["error"], end["advice"]
        return dataclasses.replace(state, outcome=Outcome(end["outcome"]), failed_step=step, error=error, advice=advice)
    outcome = Outcome.BROKEN if state.touched else Outcome.UNCHANGED
    where = f"Look at {plan.deployment.path}" if plan is not None else "Look at the checkout"
    advice = f"{where}: what the run did there is not known. Bring it to a version that works, and apply the next one"
    last = state.steps[-1].name if state.steps else None
    return dataclasses.replace(state, outcome=outcome, failed_step=state.failed_step or last, error=why, advice=advice)


def _plan(folder: RunFolder) -> Plan | None:
    with contextlib.suppress(Damaged):
        return folder.find_plan()
    return None


def _state(folder: RunFolder) -> RunState | None:
    with contextlib.suppress(Damaged):
        return folder.find_state()
    return None


def _began(folder: RunFolder) -> datetime:
    return datetime.strptime(folder.run[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
