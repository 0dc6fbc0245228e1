"""The operation that backs up."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from updater.audit.model import Actor
from updater.backups.make import make_backup
from updater.backups.record import note_failed, note_made
from updater.clock import utc_now
from updater.errors import Conflict, Failure, Invalid
from updater.logs.loggers import get_logger
from updater.operations.events import Event, describe_uses
from updater.processes.jobs import quietly
from updater.services import Services

_log = get_logger(__name__)


async def backup(services: Services, actor: Actor, *, folder: str) -> AsyncGenerator[Event]:
    """Back everything up into a folder of this machine, named by its absolute path.

    The result holds the number of blobs, how many were copied now, and the digests of those damaged or gone. Where
    there are any, it also has `repaired`, digests of what was damaged in the folder, and `files`, which names the
    builds that have what is missing.

    Raises:
        Invalid: the path is not absolute. Conflict: the database is not the embedded one. DigestMismatch: the database
        is damaged.
    """
    if not Path(folder).is_absolute():
        raise Invalid({"folder": "expected an absolute path"})
    if services.settings.storage.database_url is not None:
        # A database file that lies there from before would otherwise be taken for the present one.
        raise Conflict("Only the embedded database is backed up; use pg_dump for PostgreSQL, and copy the stored files")
    await services.telemetry.flush_checks()
    root = Path(services.settings.storage.root)
    step = None
    try:
        async with services.artifacts.keep_all():
            async for step in make_backup(Path(folder), root, services.artifacts.blobs):
                yield {"done": step.done, "total": step.total}
    except Failure as failure:
        await _note(note_failed, root, utc_now(), failure.message)
        await quietly(functools.partial(services.webhooks.facts.record_backup, folder, failure.message, actor))
        raise
    await _note(note_made, root, utc_now())
    assert step is not None  # noqa: S101 - the last step is always told
    result: Event = {"blobs": step.total, "copied": step.copied, "missing": list(step.missing)}
    if step.repaired:
        result["repaired"] = list(step.repaired)
    yield {"result": {**result, **describe_uses(await services.artifacts.find_uses(step.missing))}}


async def _note(note: Callable[..., None], *facts: object) -> None:
    """Remember how a backup ended. It is as good, or as bad, when that cannot be written."""
    try:
        await asyncio.to_thread(note, *facts)
    except OSError as error:
        _log.warning("backup.not_remembered", reason=error.strerror)
