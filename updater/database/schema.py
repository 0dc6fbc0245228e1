"""Bring a database to the present schema, with alembic, without any ini file.

Revisions are numbered `0001`, `0002`, ...; alembic itself is only imported when there is something to do,
because it costs a third of a second and 12 MB that a running service never needs.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, func, inspect, select, text

from updater.database.asynchronous import AsyncConnection, AsyncEngine
from updater.database.revisions import MIGRATIONS, head_revision
from updater.errors import ConfigurationError

_MIGRATION_LOCK = 7_538_201
_LONGEST_MIGRATION = "1h"


async def bring_up_to_date(engine: AsyncEngine, before_new: Callable[[], None] = lambda: None) -> None:
    """Apply the missing migrations, all in one transaction; `before_new` is called before the first of all.

    Raises:
        ConfigurationError: the database is newer than this program.
    """
    async with engine.begin() as connection:
        present = await connection.run_sync(_present_revision)
        if present == head_revision():
            return
        if connection.dialect.name == "postgresql":
            await _wait_for_turn(connection)
            present = await connection.run_sync(_present_revision)
            if present == head_revision():
                return
        if present is not None and present > head_revision():
            raise ConfigurationError(
                f"database: its schema is {present}, this program knows up to {head_revision()}; "
                "start the newer version, or restore a backup"
            )
        if present is None:
            before_new()
        await connection.run_sync(_upgrade)


async def _wait_for_turn(connection: AsyncConnection) -> None:
    """Let the first of several processes that start at once migrate, however long that takes; the others find it done.

    Locks of tables are waited for as briefly as ever: a waiting migration would hold up all later statements.
    """
    usual = await connection.scalar(select(func.current_setting("lock_timeout")))
    await connection.execute(select(func.set_config("lock_timeout", _LONGEST_MIGRATION, True)))
    await connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    await connection.execute(select(func.set_config("lock_timeout", usual, True)))


def _present_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    if connection.dialect.name == "sqlite":  # where migrations run with foreign keys off
        dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if dangling:
            raise ConfigurationError(f"database: {len(dangling)} rows refer to rows that are gone; restore a backup")
