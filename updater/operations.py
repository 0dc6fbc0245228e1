"""What an operator can ask of a running service or of a stopped one: one table of operations.

Each is an async generator over the services that yields plain values: any number of progress events, then one
result (`{"result": ...}`). The command line runs them in its own process when the data folder is free, and
through the service's control socket when it is not, because an embedded database has one writing process.
"""

from __future__ import annotations

import dataclasses
import pwd
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from updater.access.keys import ApiKey
from updater.access.users import User
from updater.artifacts.opening import open_blobs, require_usable
from updater.audit.model import Actor, ActorKind
from updater.backups.make import make_backup
from updater.catalog.retention import RetentionPolicy
from updater.clock import utc_now
from updater.deployments.model import LogLevel
from updater.errors import ConfigurationError, Conflict, Invalid
from updater.services import Services

Event = dict[str, Any]
Operation = Callable[..., AsyncIterator[Event]]


def operator(user_id: int) -> Actor:
    """Return the actor for a command that a user of this machine runs."""
    try:
        name = pwd.getpwuid(user_id).pw_name
    except KeyError:
        name = str(user_id)
    return Actor(ActorKind.OPERATOR, name)


async def create_key(
    services: Services,
    actor: Actor,
    *,
    name: str,
    level: str,
    application: str | None = None,
    expires_days: float | None = None,
) -> AsyncIterator[Event]:
    """Make an API key; the result holds its text, this once."""
    expires_at = None if expires_days is None else utc_now() + timedelta(days=expires_days)
    key, text = await services.access.create_key(name, level, application=application, expires_at=expires_at)
    yield {"result": {**_shown(key), "key": text}}


async def list_keys(services: Services, actor: Actor) -> AsyncIterator[Event]:
    """List all keys, without their texts."""
    yield {"result": [_shown(key) for key in await services.access.list_keys()]}


async def revoke_key(services: Services, actor: Actor, *, key_id: int) -> AsyncIterator[Event]:
    """Revoke a key at once."""
    await services.access.revoke_key(key_id)
    yield {"result": {"id": key_id, "revoked": True}}


async def create_user(services: Services, actor: Actor, *, name: str, role: str, password: str) -> AsyncIterator[Event]:
    """Add somebody who can sign in."""
    yield {"result": _shown_user(await services.people.create_user(name, role, password))}


async def list_users(services: Services, actor: Actor) -> AsyncIterator[Event]:
    """List everybody, disabled people too."""
    yield {"result": [_shown_user(user) for user in await services.people.list_users()]}


async def set_password(services: Services, actor: Actor, *, name: str, password: str) -> AsyncIterator[Event]:
    """Give somebody a new password and end all their sessions."""
    await services.people.set_password(name, password)
    yield {"result": _shown_user(await services.people.get_user(name))}


async def disable_user(services: Services, actor: Actor, *, name: str, undo: bool = False) -> AsyncIterator[Event]:
    """Keep somebody out at once, or let them in again."""
    await (services.people.enable_user(name) if undo else services.people.disable_user(name))
    yield {"result": _shown_user(await services.people.get_user(name))}


async def open_session(services: Services, actor: Actor, *, name: str, minutes: float) -> AsyncIterator[Event]:
    """Open a session for a script; the result holds its id, this once."""
    session_id, session = await services.people.open_script_session(name, minutes)
    yield {"result": {"session": session_id, "name": session.user.name, "expires_at": _text(session.expires_at)}}


async def verify(services: Services, actor: Actor, *, sample: float = 1.0) -> AsyncIterator[Event]:
    """Hash stored blobs again and quarantine what is wrong."""
    if not 0 < sample <= 1:
        raise Invalid({"sample": "expected a share above 0 and up to 1"})
    checked, bad = 0, []
    async for each in services.artifacts.verify(actor=actor, sample=sample):
        checked += 1
        if not each.good:
            bad.append(each.digest)
        yield {"done": each.done, "total": each.total}
    yield {"result": {"checked": checked, "bad": bad}}


async def collect(services: Services, actor: Actor, *, grace_s: float | None = None) -> AsyncIterator[Event]:
    """Remove blobs that nothing uses."""
    grace = services.settings.storage.collect_grace_s if grace_s is None else grace_s
    removed = []
    async for digest in services.artifacts.collect(actor=actor, grace_s=grace):
        removed.append(digest)
        yield {"done": len(removed)}
    yield {"result": {"removed": removed}}


async def check_deployment(services: Services, actor: Actor, *, deployment: str | None = None) -> AsyncIterator[Event]:
    """Ask a deployment's remote what there is; record its newest version as an update."""
    found = await services.deployments.check(deployment)
    commits = [{**dataclasses.asdict(each), "date": _utc(each.date)} for each in found.commits]
    yield {"result": {**dataclasses.asdict(found), "has_update": found.has_update, "commits": commits}}


async def apply_update(
    services: Services, actor: Actor, *, deployment: str | None = None, update: int | None = None
) -> AsyncIterator[Event]:
    """Start a run to the newest version, or to one update. Its folder is given, because it outlives who asks here."""
    run = await services.deployments.apply(deployment, update_id=update)
    yield {"result": {"run": run, "folder": str(services.deployments.runs.folder(run).path)}}


async def roll_back(
    services: Services, actor: Actor, *, deployment: str | None = None, update: int | None = None
) -> AsyncIterator[Event]:
    """Start a run that takes the newest applied update back."""
    run = await services.deployments.rollback(deployment, update_id=update)
    yield {"result": {"run": run, "folder": str(services.deployments.runs.folder(run).path)}}


async def show_deployment_log(
    services: Services, actor: Actor, *, deployment: str | None = None, level: str | None = None, limit: int = 50
) -> AsyncIterator[Event]:
    """Show the newest lines of a deployment's log, oldest of them first."""
    wanted = None if level is None else LogLevel(level)
    page = await services.deployments.list_logs(deployment, level=wanted, limit=limit)
    lines = [{**dataclasses.asdict(each), "timestamp": _utc(each.timestamp)} for each in reversed(page.logs)]
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
) -> AsyncIterator[Event]:
    """Record an update of a deployment by hand."""
    made = await services.deployments.announce(
        deployment, version=version, ref=ref, title=title, description=description, irreversible=irreversible
    )
    yield {"result": {"id": made.id, "version": made.version, "status": made.status}}


async def retain(services: Services, actor: Actor, *, dry_run: bool = False) -> AsyncIterator[Event]:
    """Remove the releases that the settings do not keep."""
    rules = services.settings.retention
    policy = RetentionPolicy(rules.keep_releases, rules.keep_days)
    removed = []
    ids = services.offers.application_ids()
    for number, application_id in enumerate(ids, 1):
        versions = await services.catalog.retire(
            application_id, policy, services.offers.still_offered, actor=actor, dry_run=dry_run
        )
        removed += [{"application": application_id, "version": version} for version in versions]
        yield {"done": number, "total": len(ids)}
    yield {"result": {"configured": bool(policy), "dry_run": dry_run, "removed": removed}}


async def backup(services: Services, actor: Actor, *, folder: str) -> AsyncIterator[Event]:
    """Back everything up into a folder of this machine, named by its absolute path."""
    if not Path(folder).is_absolute():
        raise Invalid({"folder": "expected an absolute path"})
    if services.settings.storage.database_url is not None:
        # A database file that lies there from before would otherwise be taken for the present one.
        raise Conflict("Only the embedded database is backed up; use pg_dump for PostgreSQL, and copy the stored files")
    await services.telemetry.flush_checks()
    root = Path(services.settings.storage.root)
    step = None
    async with services.artifacts.keep_all():
        async for step in make_backup(Path(folder), root, services.artifacts.blobs):
            yield {"done": step.done, "total": step.total}
    assert step is not None  # noqa: S101 - the last step is always told
    yield {"result": {"blobs": step.total, "copied": step.copied, "missing": list(step.missing)}}


async def migrate_blobs(services: Services, actor: Actor, *, source: str, target: str) -> AsyncIterator[Event]:
    """Copy all stored files to another store; each is `local` or an object store's address."""
    if source == target:
        raise Invalid({"target": "expected another store than the source"})
    root = Path(services.settings.storage.root)
    copied, bad = 0, []
    with ExitStack() as stack:
        stores = []
        for name, where in (("source", source), ("target", target)):
            try:
                stores.append(stack.enter_context(open_blobs(where, root)))
                await require_usable(stores[-1], writes=name == "target")
            except ConfigurationError as error:
                raise Invalid({name: str(error)}) from None
        async for each in services.artifacts.migrate(*stores):
            copied += each.good
            if not each.good:
                bad.append(each.digest)
            yield {"done": each.done, "total": each.total}
    yield {"result": {"copied": copied, "bad": bad}}


OPERATIONS: dict[str, Operation] = {
    "key.create": create_key,
    "key.list": list_keys,
    "key.revoke": revoke_key,
    "user.create": create_user,
    "user.list": list_users,
    "user.password": set_password,
    "user.disable": disable_user,
    "user.session": open_session,
    "verify": verify,
    "collect": collect,
    "retain": retain,
    "backup": backup,
    "blobs.migrate": migrate_blobs,
    "deployment.check": check_deployment,
    "deployment.apply": apply_update,
    "deployment.rollback": roll_back,
    "deployment.log": show_deployment_log,
    "deployment.announce": announce_update,
}


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _shown(key: ApiKey) -> Event:
    return {
        "id": key.id,
        "name": key.name,
        "level": key.level.word,
        "application": key.application,
        "created_at": _text(key.created_at),
        "expires_at": _text(key.expires_at),
        "revoked_at": _text(key.revoked_at),
        "last_used_at": _text(key.last_used_at),
    }


def _shown_user(user: User) -> Event:
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role.word,
        "created_at": _text(user.created_at),
        "disabled_at": _text(user.disabled_at),
        "last_sign_in_at": _text(user.last_sign_in_at),
    }


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")
