"""Operations on API keys."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

from updater.access.keys import ApiKey
from updater.access.opening import AccessLists, AccessServices
from updater.audit.model import Actor
from updater.clock import utc_now
from updater.operations.events import Event, in_seconds


async def create_key(
    services: AccessServices,
    actor: Actor,
    *,
    name: str,
    level: str,
    application: str | None = None,
    expires_days: float | None = None,
) -> AsyncGenerator[Event]:
    """Make an API key; the result holds its text, which is kept nowhere.

    Raises:
        Invalid: name, level or expiry do not fit.
    """
    expires_at = None if expires_days is None else utc_now() + timedelta(days=expires_days)
    key, text = await services.access.create_key(
        name, level, actor=actor, application=application, expires_at=expires_at
    )
    yield {"result": {**_shown(key), "key": text}}


async def list_keys(services: AccessLists, actor: Actor) -> AsyncGenerator[Event]:
    """List the keys of the database in the order of their ids, revoked ones too, without their texts."""
    yield {"result": [_shown(key) for key in await services.access.list_keys()]}


async def revoke_key(services: AccessServices, actor: Actor, *, key_id: int) -> AsyncGenerator[Event]:
    """Revoke a key at once.

    Raises:
        NotFound: no usable key has this id.
    """
    await services.access.revoke_key(key_id, actor=actor)
    yield {"result": {"id": key_id, "revoked": True}}


def _shown(key: ApiKey) -> Event:
    return {
        "id": key.id,
        "name": key.name,
        "level": key.level.word,
        "application": key.application,
        "created_at": in_seconds(key.created_at),
        "expires_at": in_seconds(key.expires_at),
        "revoked_at": in_seconds(key.revoked_at),
        "last_used_at": in_seconds(key.last_used_at),
    }
