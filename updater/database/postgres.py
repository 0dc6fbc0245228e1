"""PostgreSQL, through asyncpg (the extra `postgres`): many processes on one database.

A write is durable when its block ends, as long as the server keeps its default `synchronous_commit`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from updater.database.engine import POOL_TIMEOUT_S, Database, state_of
from updater.errors import ConfigurationError, Unavailable

_CONNECTIONS = 8
_CONNECT_TIMEOUT_S = 5
_ANSWER_TIMEOUT_S = 10
LOCK_TIMEOUT_MS = 5_000
# Source: PostgreSQL appendix A: 22 and 42 what is asked is wrong or not allowed (42501: no right to make tables),
# 28 who asks, 3D which database, 3F no schema, 25006 a standby, which only reads, 55P02 an option nobody may set.
_WRONG_STATES = ("22", "28", "3D", "3F", "42", "25006", "55P02")


def postgres_database(url: str) -> Database:
    """Return the database at `postgresql://...`; connections open with their first use.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    engine, migrator = postgres_engine(url), postgres_engine(url, answer_timeout_s=None)
    # The two dialects' INSERT take the same conflict clauses; the stores use nothing else of them.
    insert = cast("type[sqlite.Insert]", postgresql.insert)
    return Database(engine, engine, insert=insert, shared=True, migrator=migrator)


def postgres_engine(url: str, answer_timeout_s: float | None = _ANSWER_TIMEOUT_S) -> AsyncEngine:
    """Return the engine behind it. The driver reads the address itself, so what libpq knows, `sslmode` too, fits.

    Raises:
        ConfigurationError: the extra is not installed.
    """
    try:
        import asyncpg
    except ModuleNotFoundError:
        raise ConfigurationError(
            "storage.database_url: PostgreSQL needs the package asyncpg; run ./scripts/setup extras"
        ) from None

    async def connect(*_: Any, **__: Any) -> Any:
        return await asyncpg.connect(
            url,
            timeout=_CONNECT_TIMEOUT_S,
            command_timeout=answer_timeout_s,
            server_settings={"application_name": "updater", "lock_timeout": str(LOCK_TIMEOUT_MS)},
        )

    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=connect,
        pool_size=_CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        # After the server was restarted, a dead connection is replaced before anybody's request meets it.
        pool_pre_ping=True,
    )


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Name the setting, the server and what it said when the block, a start, fails. No secret is in it.

    Raises:
        ConfigurationError: the server refuses what the address says. Unavailable: it does not answer.
    """
    try:
        yield
    except (Unavailable, DBAPIError, ValueError) as error:
        cause = error.__cause__ if isinstance(error, Unavailable) else error
        where = f"storage.database_url: {_place_of(url)}"
        if isinstance(cause, DBAPIError) and state_of(cause).startswith(_WRONG_STATES):
            raise ConfigurationError(f"{where}: {_said(cause)}") from cause
        # The driver may quote what it cannot read: a part of a password.
        if isinstance(_origin(cause), ValueError):
            raise ConfigurationError(
                f"{where}: the driver cannot read this address; check its port, its options such as sslmode, and that "
                "special characters are percent-encoded"
            ) from None
        raise Unavailable(f"{where} does not answer: {_said(cause)}") from cause


def _place_of(url: str) -> str:
    """Return host, port and database of an address."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2] or parse_qs(parts.query).get("host", ["localhost"])[0]
    return f"{host}{parts.path}"


def _origin(error: BaseException | None) -> BaseException | None:
    """Return what the driver itself raised."""
    return error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig is not None else error


def _said(error: BaseException | None) -> str:
    if isinstance(error, DBAPIError):
        return str(error.orig).strip().splitlines()[0]
    if isinstance(error, TimeoutError):
        return f"nothing within {_CONNECT_TIMEOUT_S} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
