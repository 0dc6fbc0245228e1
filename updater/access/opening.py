"""Open the services of access alone: what commands about keys and people need, and no more.

What a command does not need it does not import either: SQLAlchemy comes with `open_access`, and listing does without.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from updater.access.keys import ApiKey
from updater.access.users import User
from updater.settings import Settings

if TYPE_CHECKING:
    from updater.access.accounts import AccountService
    from updater.access.people import PeopleService
    from updater.access.service import AccessService
    from updater.audit.service import AuditService
    from updater.database.engine import Database


class KeyLister(Protocol):
    """Lists keys: `AccessService`, or a quicker reader."""

    async def list_keys(self) -> list[ApiKey]:
        """Return the keys of the database in the order of their ids, revoked ones too."""


class UserLister(Protocol):
    """Lists people: `PeopleService`, or a quicker reader."""

    async def list_users(self) -> list[User]:
        """Return all people in the order of their ids, disabled ones too."""


@dataclass(frozen=True)
class AccessLists:
    """What lists keys and people."""

    access: KeyLister
    people: UserLister


@dataclass(frozen=True)
class AccessServices(AccessLists):
    """The services of access."""

    access: AccessService
    people: PeopleService
    accounts: AccountService


def build_access(database: Database, settings: Settings, audit: AuditService) -> AccessServices:
    """Build the services of access over an open database; the installation's secret is made when it is missing.

    `AccessService.load` must follow before keys are identified.

    Raises:
        ConfigurationError: the secret is damaged, or cannot be read or made.
    """
    from updater.access.accounts import AccountService
    from updater.access.keys import load_secret
    from updater.access.people import PeopleService
    from updater.access.service import AccessService
    from updater.access.store import AccessStore, PeopleStore

    secret = load_secret(Path(settings.storage.root) / "secret")
    store = PeopleStore(database)
    people = PeopleService(store, settings.access, database, audit, secret=secret)
    return AccessServices(
        access=AccessService(AccessStore(database), settings.access, database, audit, secret=secret),
        people=people,
        accounts=AccountService(store, people, database, audit, secret=secret),
    )


@asynccontextmanager
async def open_access(settings: Settings) -> AsyncIterator[AccessServices]:
    """Open the database and the services of access for the block. The caller holds the folder.

    Raises:
        ConfigurationError: database or secret cannot be used. StorageFull, Unavailable: not now.
    """
    from updater.audit.service import AuditService
    from updater.audit.store import AuditStore
    from updater.database.opening import open_database

    storage = settings.storage
    async with open_database(storage.database_url, Path(storage.root), belonging=True) as database:
        services = build_access(database, settings, AuditService(AuditStore(database), database))
        try:
            yield services
        finally:
            await services.access.close()


def find_access_lists(settings: Settings) -> AccessLists | None:
    """Return what lists keys and people of an embedded database at the present schema, with the standard library alone.

    The caller holds the folder. None when the database is another one, missing, damaged, or not at the present schema:
    `open_access` then opens it, migrates it, or says why not.
    """
    from updater.access.embedded_store import find_access_reader

    if settings.storage.database_url is not None:
        return None
    reader = find_access_reader(Path(settings.storage.root))
    return None if reader is None else AccessLists(access=reader, people=reader)
