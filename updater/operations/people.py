"""Operations on the people who sign in, and on their sessions."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from updater.access.opening import AccessLists, AccessServices
from updater.access.users import User
from updater.audit.model import Actor
from updater.operations.events import Event, in_seconds


async def create_user(
    services: AccessServices, actor: Actor, *, name: str, role: str, password: str
) -> AsyncGenerator[Event]:
    """Add a person who can sign in.

    Raises:
        Invalid: name, role or password do not fit. Conflict: the name is taken.
    """
    yield {"result": _shown(await services.people.create_user(name, role, password, actor=actor))}


async def list_users(services: AccessLists, actor: Actor) -> AsyncGenerator[Event]:
    """List all people in the order of their ids, disabled ones too."""
    yield {"result": [_shown(user) for user in await services.people.list_users()]}


async def set_password(services: AccessServices, actor: Actor, *, name: str, password: str) -> AsyncGenerator[Event]:
    """Replace a person's password and end all their sessions.

    Raises:
        Invalid: the password does not fit. NotFound: no user has this name.
    """
    yield {"result": _shown(await services.accounts.change_user(name, password=password, actor=actor))}


async def set_role(services: AccessServices, actor: Actor, *, name: str, role: str) -> AsyncGenerator[Event]:
    """Give a person another role and end all their sessions.

    Raises:
        Invalid: there is no such role. NotFound: no user has this name. Conflict: it is the last administrator.
    """
    yield {"result": _shown(await services.accounts.change_user(name, role=role, actor=actor))}


async def disable_user(
    services: AccessServices, actor: Actor, *, name: str, undo: bool = False
) -> AsyncGenerator[Event]:
    """Disable a person and end all their sessions at once; with `undo`, let the person sign in again.

    Raises:
        NotFound: no user has this name. Conflict: it is the last administrator who can sign in.
    """
    yield {"result": _shown(await services.accounts.change_user(name, disabled=not undo, actor=actor))}


async def open_session(services: AccessServices, actor: Actor, *, name: str, minutes: float) -> AsyncGenerator[Event]:
    """Open a session for a script; the result holds its id, which is kept nowhere.

    Raises:
        Invalid: `minutes` does not fit. NotFound: no user has this name. Conflict: the user is disabled.
    """
    session_id, session = await services.people.open_script_session(name, minutes, actor=actor)
    yield {"result": {"session": session_id, "name": session.user.name, "expires_at": in_seconds(session.expires_at)}}


def _shown(user: User) -> Event:
    return {
        "id": user.id,
        "name": user.name,
        "role": user.role.word,
        "created_at": in_seconds(user.created_at),
        "disabled_at": in_seconds(user.disabled_at),
        "last_sign_in_at": in_seconds(user.last_sign_in_at),
    }
