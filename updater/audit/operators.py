"""The actor behind a command on the machine of the service."""

from __future__ import annotations

import pwd

from updater.audit.model import Actor, ActorKind


def operator(user_id: int) -> Actor:
    """Return the actor for a command that a user of this machine runs: by name, or by number without one."""
    try:
        name = pwd.getpwuid(user_id).pw_name
    except KeyError:
        name = str(user_id)
    return Actor(ActorKind.OPERATOR, name)
