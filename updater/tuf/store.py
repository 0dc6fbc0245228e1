"""The SQL of TUF repositories: metadata, targets, and what names with a version have ever served."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, select, update

from updater.database.engine import Connection, Database
from updater.database.tables import blob
from updater.database.tuf_tables import tuf_metadata, tuf_pin, tuf_target
from updater.tuf.model import Metadata, Named, Target, split_metadata_name

# Fewer than SQLite allows in one statement.
_AT_ONCE = 500


class Stored(NamedTuple):
    """The bytes of a metadata file."""

    digest: str
    size_bytes: int
    damaged: bool


class Expiry(NamedTuple):
    """When the present metadata of a role expires, in UTC."""

    application_id: str
    channel: str
    role: str
    at: datetime


class TufStore:
    """Reads and writes repositories.

    Methods that take a connection run in the caller's transaction; those that change something rely on it that the
    application is held. The others raise Unavailable when the database does not answer.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_bytes(self, application_id: str, channel: str, name: str) -> Stored | None:
        """Return where the bytes of a published metadata file are."""
        statement = (
            select(blob.c.digest, blob.c.size_bytes, blob.c.quarantined_at.is_not(None))
            .join(tuf_metadata, tuf_metadata.c.digest == blob.c.digest)
            .where(*_of(tuf_metadata, application_id, channel), tuf_metadata.c.name == name)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(statement)).first()
        return None if row is None else Stored(*row)

    async def find_target(self, application_id: str, channel: str, path: str) -> Target | None:
        """Return a target by its path."""
        async with self._database.read() as connection:
            return (await self.list_targets(connection, application_id, channel, [path])).get(path)

    async def list_expiries(self, only: Collection[str] | None) -> list[Expiry]:
        """Return when present metadata expires, of these applications or of all; without what does not say."""
        columns = (tuf_metadata.c[name] for name in ("application_id", "channel", "name", "expires_at"))
        statement = select(*columns).where(tuf_metadata.c.current, tuf_metadata.c.expires_at.is_not(None))
        if only is not None:
            statement = statement.where(tuf_metadata.c.application_id.in_(only))
        async with self._database.read_to_follow() as connection:
            rows = await connection.execute(statement)
        return [Expiry(app, channel, _split(name)[0], at) for app, channel, name, at in rows]

    async def list_metadata(self, connection: Connection, application_id: str, channel: str) -> dict[str, Metadata]:
        """Return all metadata of a channel by name, without what it names (see `read_named`)."""
        columns = (tuf_metadata.c[name] for name in ("name", "version", "digest", "consistent"))
        statement = (
            select(*columns, blob.c.size_bytes)
            .join(blob, blob.c.digest == tuf_metadata.c.digest)
            .where(*_of(tuf_metadata, application_id, channel))
        )
        return {row.name: _metadata(row) for row in await connection.execute(statement)}

    async def read_named(
        self, connection: Connection, application_id: str, channel: str, names: Iterable[str]
    ) -> dict[str, tuple[dict[str, Named], tuple[str, ...]]]:
        """Return what some metadata files name, by their names: metadata, and roles to which they delegate."""
        found = {}
        statement = select(tuf_metadata.c.name, tuf_metadata.c.meta, tuf_metadata.c.delegates)
        mine = _of(tuf_metadata, application_id, channel)
        for some in _slices(names):
            for name, meta, delegates in await connection.execute(
                statement.where(*mine, tuf_metadata.c.name.in_(some))
            ):
                found[name] = {key: Named(*said) for key, said in meta.items()}, tuple(delegates)
        return found

    async def list_targets(
        self, connection: Connection, application_id: str, channel: str, paths: Iterable[str]
    ) -> dict[str, Target]:
        """Return those of the targets that are there, by path."""
        found = {}
        for some in _slices(paths):
            statement = _targets().where(*_of(tuf_target, application_id, channel), tuf_target.c.path.in_(some))
            found.update({row[0]: Target(*row) for row in await connection.execute(statement)})
        return found

    async def list_pins(
        self, connection: Connection, application_id: str, channel: str, names: Iterable[str]
    ) -> dict[str, str]:
        """Return the digests that names have ever had, of those that have a pin."""
        found: dict[str, str] = {}
        for some in _slices(names):
            statement = select(tuf_pin.c.name, tuf_pin.c.digest)
            mine = statement.where(*_of(tuf_pin, application_id, channel), tuf_pin.c.name.in_(some))
            found.update((name, digest) for name, digest in await connection.execute(mine))
        return found

    async def put_target(
        self, connection: Connection, application_id: str, channel: str, path: str, digest: str, now: datetime
    ) -> None:
        """Add a target, or give its path other bytes, which nothing binds yet."""
        statement = self._database.upsert(tuf_target).values(
            application_id=application_id, channel=channel, path=path, digest=digest, bound=False, created_at=now
        )
        new = {name: statement.excluded[name] for name in ("digest", "bound", "created_at")}
        await connection.execute(statement.on_conflict_do_update(index_elements=[*tuf_target.primary_key], set_=new))

    async def bind_targets(
        self, connection: Connection, application_id: str, channel: str, paths: Iterable[str]
    ) -> None:
        """Bind paths to the bytes that they have."""
        for some in _slices(paths):
            mine = (*_of(tuf_target, application_id, channel), tuf_target.c.path.in_(some))
            await connection.execute(update(tuf_target).where(*mine, ~tuf_target.c.bound).values(bound=True))

    async def put_metadata(
        self, connection: Connection, application_id: str, channel: str, files: Collection[Metadata], now: datetime
    ) -> None:
        """Add metadata files, in place of those of the same name, and pin those with a version in their names."""
        of = {"application_id": application_id, "channel": channel}
        for some in _slices(each.name for each in files):
            mine = (*_of(tuf_metadata, application_id, channel), tuf_metadata.c.name.in_(some))
            await connection.execute(delete(tuf_metadata).where(*mine))
        rows = [{**of, **_values(each), "current": False, "published_at": now} for each in files]
        await connection.execute(tuf_metadata.insert(), rows)
        pins = [{**of, "name": each.name, "digest": each.digest} for each in files if each.number is not None]
        if pins:
            await connection.execute(self._database.upsert(tuf_pin).on_conflict_do_nothing(), pins)

    async def set_current(
        self, connection: Connection, application_id: str, channel: str, names: Collection[str]
    ) -> None:
        """Mark the files that clients take now, and no others."""
        mine = _of(tuf_metadata, application_id, channel)
        await connection.execute(update(tuf_metadata).where(*mine, tuf_metadata.c.current).values(current=False))
        for some in _slices(names):
            now = update(tuf_metadata).where(*mine, tuf_metadata.c.name.in_(some))
            await connection.execute(now.values(current=True))


def _of(table: Any, application_id: str, channel: str) -> tuple[Any, Any]:
    return table.c.application_id == application_id, table.c.channel == channel


def _targets() -> Select[Any]:
    columns = tuf_target.c.path, tuf_target.c.digest, blob.c.size_bytes, tuf_target.c.bound
    damaged = blob.c.quarantined_at.is_not(None)
    return select(*columns, damaged, tuf_target.c.created_at).join(blob, blob.c.digest == tuf_target.c.digest)


def _slices(texts: Iterable[str]) -> Iterator[Sequence[str]]:
    wanted = sorted(set(texts))
    for start in range(0, len(wanted), _AT_ONCE):
        yield wanted[start : start + _AT_ONCE]


def _split(name: str) -> tuple[str, int | None]:
    return split_metadata_name(name) or (name, None)


def _metadata(row: Any) -> Metadata:
    role, number = _split(row.name)
    return Metadata(row.name, role, number, row.version, row.digest, row.size_bytes, consistent=row.consistent)


def _values(each: Metadata) -> Mapping[str, Any]:
    return {
        "name": each.name,
        "version": each.version,
        "digest": each.digest,
        "expires_at": each.expires_at,
        "consistent": each.consistent,
        "meta": {name: [said.version, said.size_bytes, said.sha256] for name, said in each.meta.items()},
        "delegates": list(each.delegates),
    }
