"""Operations on deployments: ask the remote, start runs, read the log, announce."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncGenerator

from updater.audit.model import Actor
from updater.deployments.model import LogLevel
from updater.operations.events import Event, in_milliseconds
from updater.services import Services


async def check_deployment(services: Services, actor: Actor, *, deployment: str | None = None) -> AsyncGenerator[Event]:
    """Ask a deployment's remote for newer commits; record the newest version as an update.

    The first deployment of the settings when None is named. Commits come newest first, their dates in UTC.

    Raises:
        NotFound: no deployment has this id. Unavailable: git or the remote does not answer.
    """
    found = await services.deployments.check(deployment, actor=actor)
    commits = [{**dataclasses.asdict(each), "date": in_milliseconds(each.date)} for each in found.commits]
    yield {"result": {**dataclasses.asdict(found), "has_update": found.has_update, "commits": commits}}


async def apply_update(
    services: Services, actor: Actor, *, deployment: str | None = None, update: int | None = None
) -> AsyncGenerator[Event]:
    """Start a run to the newest version, or to one update; the result names the run and its folder.

    The run outlives the command and the service, so its events are followed in the folder.

    Raises:
        NotFound: no such deployment or update. Conflict: a run or other work is going on, or nothing is to be done.
    """
    run = await services.deployments.apply(deployment, update_id=update, actor=actor)
    yield {"result": {"run": run, "folder": str(services.deployments.runs.folder(run).path)}}


async def roll_back(
    services: Services, actor: Actor, *, deployment: str | None = None, update: int | None = None
) -> AsyncGenerator[Event]:
    """Start a run that takes the newest applied update back; the result names the run and its folder.

    Raises:
        NotFound: no such deployment or update. Conflict: a run or other work is going on, or nothing can be taken back.
    """
    run = await services.deployments.rollback(deployment, update_id=update, actor=actor)
    yield {"result": {"run": run, "folder": str(services.deployments.runs.folder(run).path)}}


async def show_deployment_log(
    services: Services, actor: Actor, *, deployment: str | None = None, level: str | None = None, limit: int = 50
) -> AsyncGenerator[Event]:
    """Show the newest lines of a deployment's log, at most `limit`, in the order in which they were written.

    Raises:
        NotFound: no deployment has this id.
    """
    wanted = None if level is None else LogLevel(level)
    page = await services.deployments.list_logs(deployment, level=wanted, limit=limit)
    lines = [{**dataclasses.asdict(each), "timestamp": in_milliseconds(each.timestamp)} for each in reversed(page.logs)]
    yield {"result": {"logs": lines, "total_count": page.total_count}}


async def announce_update(
    services: Services,
    actor: Actor,
    *,
    deployment: str,
    version: str,
    ref: str | None = None,
    title: str | None = None,
    description: str = "",
    irreversible: bool = False,
) -> AsyncGenerator[Event]:
    """Record an update of a deployment by hand; `ref` None stands for the head of its branch.

    Raises:
        NotFound: no deployment has this id. Invalid: a value does not fit. Conflict: the version is recorded already.
    """
    made = await services.deployments.announce(
        deployment,
        actor=actor,
        version=version,
        ref=ref,
        title=title,
        description=description,
        irreversible=irreversible,
    )
    yield {"result": {"id": made.id, "version": made.version, "status": made.status}}
