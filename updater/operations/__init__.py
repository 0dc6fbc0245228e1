"""What an operator can ask of a running service or of a stopped one: one table of operations.

Each is an async generator over services that yields plain values: any number of progress events, then one result
(`{"result": ...}`). The command line runs an operation in its own process when the data folder is free, and through
the service's control socket when it is not, because an embedded database has one writing process.

The table names its functions, so that a command imports its own operation and nothing that others need. To add an
operation, add one line to `OPERATIONS`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import Any

from updater.audit.model import Actor
from updater.operations.events import Event


class Scope(Enum):
    """The services that an operation takes, from the least. A command opens and imports no more than that."""

    LISTS = "AccessLists"
    ACCESS = "AccessServices"
    ALL = "Services"


@dataclass(frozen=True)
class Operation:
    """One line of the table. `place` is `module:function`; the module is imported with the first call."""

    place: str
    scope: Scope = Scope.ALL

    def __call__(self, services: Any, actor: Actor, **arguments: Any) -> AsyncGenerator[Event]:
        """Start the operation with services of its scope or of a wider one, in the name of `actor`.

        Raises:
            TypeError: the arguments are not those of the operation.
        """
        module, _, name = self.place.partition(":")
        events: AsyncGenerator[Event] = getattr(import_module(module), name)(services, actor, **arguments)
        return events


OPERATIONS: Mapping[str, Operation] = {
    "key.create": Operation("updater.operations.keys:create_key", Scope.ACCESS),
    "key.list": Operation("updater.operations.keys:list_keys", Scope.LISTS),
    "key.revoke": Operation("updater.operations.keys:revoke_key", Scope.ACCESS),
    "user.create": Operation("updater.operations.people:create_user", Scope.ACCESS),
    "user.list": Operation("updater.operations.people:list_users", Scope.LISTS),
    "user.password": Operation("updater.operations.people:set_password", Scope.ACCESS),
    "user.role": Operation("updater.operations.people:set_role", Scope.ACCESS),
    "user.disable": Operation("updater.operations.people:disable_user", Scope.ACCESS),
    "user.session": Operation("updater.operations.people:open_session", Scope.ACCESS),
    "verify": Operation("updater.operations.storage:verify"),
    "collect": Operation("updater.operations.storage:collect"),
    "retain": Operation("updater.operations.storage:retain"),
    "blobs.migrate": Operation("updater.operations.storage:migrate_blobs"),
    "backup": Operation("updater.operations.backups:backup"),
    "audit.list": Operation("updater.operations.audits:list_audit"),
    "audit.verify": Operation("updater.operations.audits:verify_audit"),
    "deployment.check": Operation("updater.operations.deployments:check_deployment"),
    "deployment.apply": Operation("updater.operations.deployments:apply_update"),
    "deployment.rollback": Operation("updater.operations.deployments:roll_back"),
    "deployment.log": Operation("updater.operations.deployments:show_deployment_log"),
    "deployment.announce": Operation("updater.operations.deployments:announce_update"),
}
