"""PostgreSQL, through asyncpg (the extra `postgres`): many processes on one database.

A write is durable when its block ends, as long as the server keeps its default `synchronous_commit`.
"""

from __future__ import annotations

from typing import cast

from sqlalchemy import URL, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import create_async_engine

from updater.database.engine import POOL_TIMEOUT_S, Database
from updater.errors import ConfigurationError

_CONNECTIONS = 8
_CONNECT_TIMEOUT_S = 5
_ANSWER_TIMEOUT_S = 10
_LOCK_TIMEOUT_MS = 5_000


def postgres_database(url: str) -> Database:
    """Return the database at `postgresql://...`; connections open with their first use.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        engine = create_async_engine(
            driver_url(url),
            pool_size=_CONNECTIONS,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_S,
            # After the server was restarted, a dead connection is replaced before anybody's request meets it.
            pool_pre_ping=True,
            connect_args={
                "timeout": _CONNECT_TIMEOUT_S,
                "command_timeout": _ANSWER_TIMEOUT_S,
                "server_settings": {"application_name": "updater", "lock_timeout": str(_LOCK_TIMEOUT_MS)},
            },
        )
    except ModuleNotFoundError:
        raise ConfigurationError(
            "storage.database_url: PostgreSQL needs the extra: pip install 'updater[postgres]'"
        ) from None
    # The two dialects' INSERT take the same conflict clauses; the stores use nothing else of them.
    return Database(engine, engine, insert=cast("type[sqlite.Insert]", postgresql.insert), shared=True)


def driver_url(url: str) -> URL:
    """Return the address with our driver's name in it."""
    return make_url(url).set(drivername="postgresql+asyncpg")
