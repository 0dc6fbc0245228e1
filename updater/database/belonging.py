"""Whether the parts of a data folder belong together: the database, the secret that keys depend on, stored files.

A service that starts beside the remains of another one would hand out versions again and collect the files of the
old one, so it does not start. An interrupted first start leaves nothing that is refused here.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import exists, or_, select

from updater.database.embedded import FILE_NAME
from updater.database.engine import Database
from updater.database.tables import api_key, application, blob, blob_use, user_account
from updater.errors import ConfigurationError

SECRET, BLOBS = "secret", "blobs"
_ANEW = "to start anew on purpose, move what is in the folder elsewhere"


def require_nothing_old(root: Path, *, shared: bool) -> None:
    """Refuse to make a new database in a folder that has been in use.

    Raises:
        ConfigurationError: a secret or stored files are there; it says what to do.
    """
    root = _absolute(root)
    left = [name for name, there in ((SECRET, (root / SECRET).exists()), (BLOBS, _has_files(root / BLOBS))) if there]
    if not left:
        return
    if not shared:
        raise ConfigurationError(
            f"storage.root: {root} has {' and '.join(left)} of a service, but its database {FILE_NAME} is missing or "
            f"empty. Put it back, or restore a backup into an empty folder; {_ANEW}"
        )
    embedded = (root / FILE_NAME).exists()
    remedy = "Run `updater migrate-database` first" if embedded else "Restore the database, or name the right one"
    raise ConfigurationError(
        f"storage.database_url: the database is empty, but {root} has {' and '.join(left)} of a service. "
        f"{remedy}; {_ANEW}"
    )


async def require_belonging(database: Database, root: Path) -> None:
    """Refuse a database in use whose secret is gone, and an unused one beside an embedded one that was not moved.

    Raises:
        ConfigurationError: as said; it says what to do. Unavailable: the database does not answer.
    """
    root = _absolute(root)
    secret, embedded = (root / SECRET).exists(), (root / FILE_NAME).exists() and database.shared
    if secret and not embedded:
        return
    used = await _is_used(database)
    if used and not secret:
        raise ConfigurationError(
            f"storage.root: {root} has no file {SECRET}, which the keys and sessions in the database depend on. "
            f"Put it back from a backup, or copy it from the other machines of this service; to make all keys and "
            f"sessions invalid on purpose, write 32 random bytes there: head -c 32 /dev/urandom > {root / SECRET}"
        )
    if not used and secret and embedded:
        raise ConfigurationError(
            f"storage.database_url: the database is empty, but {root} has the {FILE_NAME} of a service. "
            f"Run `updater migrate-database` first; {_ANEW}"
        )


async def require_blobs(database: Database, root: Path) -> None:
    """Refuse a database that refers to local files whose folder is gone, such as one that is not mounted.

    Raises:
        ConfigurationError: as said; it says what to do. Unavailable: the database does not answer.
    """
    folder = _absolute(root) / BLOBS
    if folder.exists():
        return
    used = select(exists().where(blob.c.digest.in_(select(blob_use.c.digest))))
    async with database.read() as connection:
        if await connection.scalar(used):
            raise ConfigurationError(
                f"storage.root: {folder} is gone, but the database refers to files in it. Put it back or mount it; "
                "to go on without these files on purpose, make an empty folder there"
            )


async def _is_used(database: Database) -> bool:
    tables = (api_key, user_account, application)
    async with database.read() as connection:
        return bool(await connection.scalar(select(or_(*(exists().select_from(table) for table in tables)))))


def _absolute(root: Path) -> Path:
    return root.absolute()


def _has_files(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))
