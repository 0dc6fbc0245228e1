"""PostgreSQL, through asyncpg (the extra `postgres`): many processes on one database.

A write is durable when its block ends, as long as the server keeps its default `synchronous_commit`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.util import await_only

from updater.database.asynchronous import AsyncEngine, create_async_engine
from updater.database.dsn import CONNECT_TIMEOUT_S, read_dsn
from updater.database.engine import POOL_TIMEOUT_S, Database, state_of
from updater.errors import ConfigurationError, Unavailable

_CONNECTIONS = 8
# One for each memory that follows changes, and one that asks for changes.
_FOLLOWERS = 3
_ANSWER_TIMEOUT_S = 10
LOCK_TIMEOUT_MS = 5_000
# Source: PostgreSQL appendix A: 22 and 42 what is asked is wrong or not allowed (42501: no right to make tables),
# 28 who asks, 3D which database, 3F no schema, 25006 a standby, which only reads, 55P02 an option nobody may set.
_WRONG_STATES = ("22", "28", "3D", "3F", "42", "25006", "55P02")


def postgres_database(url: str) -> Database:
    """Return the database at `postgresql://...`; connections open with their first use.

    Raises:
        ConfigurationError: the extra is not installed, or the address has a parameter that cannot be honoured.
    """
    engine, migrator = postgres_engine(url), postgres_engine(url, answer_timeout_s=None)
    follower = postgres_engine(url, connections=_FOLLOWERS)
    # The two dialects' INSERT take the same conflict clauses; the stores use nothing else of them.
    insert = cast("type[sqlite.Insert]", postgresql.insert)
    return Database(engine, engine, insert=insert, shared=True, migrator=migrator, follower=follower)


def postgres_engine(
    url: str, answer_timeout_s: float | None = _ANSWER_TIMEOUT_S, *, connections: int = _CONNECTIONS
) -> AsyncEngine:
    """Return the engine behind it, also through a pooler such as PgBouncer in transaction mode.

    There each transaction may be on another connection of the server, so nothing is left behind on one: statements
    have no name, and the limits that a connection otherwise begins with are set in each transaction.

    Raises:
        ConfigurationError: the extra is not installed, or the address has a parameter that cannot be honoured.
    """
    server = Server(url)

    async def open_connection(*_: Any, **__: Any) -> Any:
        return await server.connect(answer_timeout_s)

    engine = create_async_engine(
        "postgresql+asyncpg://",
        connect_args={"async_creator_fn": open_connection},
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        # After the server was restarted, a dead connection is replaced before anybody's request meets it.
        pool_pre_ping=True,
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def adapt(_: Any, __: Any, ___: Any, wanted: dict[str, Any]) -> None:
        try:
            pooled = await_only(server.is_pooled())
        except Exception as error:
            server.failed = error  # `connect` raises it, where SQLAlchemy expects the driver's errors
            return
        if pooled:
            wanted |= {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}

    @event.listens_for(engine.sync_engine, "begin")
    def limit(connection: Any) -> None:
        if server.pooled:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")

    return engine


class Server:
    """Makes connections to one address, and knows whether a pooler stands before the server. Opens with first use.

    Raises:
        ConfigurationError: the extra is not installed, or the address has a parameter that cannot be honoured.
    """

    def __init__(self, url: str) -> None:
        try:
            import asyncpg
        except ModuleNotFoundError:
            raise ConfigurationError(
                "storage.database_url: PostgreSQL needs the package asyncpg; run ./scripts/setup extras"
            ) from None
        self.pooled: bool | None = None
        self.failed: Exception | None = None
        self._asyncpg = asyncpg
        self._dsn = read_dsn(url)

    async def is_pooled(self) -> bool:
        """Tell whether a pooler answers: the process it names is not the one that serves. Raises as the driver does."""
        if self.pooled is None:
            connection = await self._open({}, None, statement_cache_size=0)
            try:
                serving = await connection.fetchval("SELECT pg_backend_pid()")
                self.pooled = serving != connection.get_server_pid()
            finally:
                await connection.close(timeout=CONNECT_TIMEOUT_S)
        return self.pooled

    async def connect(self, answer_timeout_s: float | None = None) -> Any:
        """Return a new connection of the driver. Raises as the driver does."""
        failed, self.failed = self.failed, None
        if failed is not None:
            raise failed
        if await self.is_pooled():
            return await self._open({}, answer_timeout_s, statement_cache_size=0)
        return await self._open({"lock_timeout": str(LOCK_TIMEOUT_MS)}, answer_timeout_s)

    async def _open(self, settings: dict[str, str], answer_timeout_s: float | None, **more: Any) -> Any:
        connection = await self._asyncpg.connect(
            self._dsn.address,
            timeout=self._dsn.connect_timeout_s,
            command_timeout=answer_timeout_s,
            server_settings={"application_name": self._dsn.application_name, **settings},
            **more,
        )
        # The driver has no public way to its socket.
        plain = connection._transport.get_extra_info("socket")
        if plain is not None and plain.family != socket.AF_UNIX:
            for option in self._dsn.socket_options:
                plain.setsockopt(*option)
        return connection


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
        return f"nothing within {CONNECT_TIMEOUT_S} s"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
