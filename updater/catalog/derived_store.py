"""The SQL of what the server adds to files: which files lack something, newest release first."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, false, func, literal, or_, select, update

from updater.catalog.file_store import SERVER
from updater.catalog.files import FileKind, further_digest
from updater.catalog.model import ReleaseStatus
from updater.catalog.platforms import Target
from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.tables import blob, build, file, pinned_digest, release

# How many are found at once.
_AT_ONCE = 200
# How many of the highest versions of an application are looked at after a change.
_NEWEST = 200


@dataclass(frozen=True, slots=True)
class Lack:
    """What a stored file lacks: `kind` is the file to be made of it, `embedded`, `sha512` or `sha1`.

    Digests are SHA-256 in hex; `size_bytes` is that of the file, `created_at` is in UTC.
    """

    kind: str
    application_id: str
    version: str
    target: Target
    build_id: int
    file_id: int
    name: str
    digest: str
    size_bytes: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look: at the highest versions of some applications, at one file, or, with neither, everywhere."""

    applications: Collection[str] | None = None
    file_id: int | None = None


EVERYWHERE = Scope()


class DerivedStore:
    """Finds what is missing, up to 200 files. Methods without a connection raise Unavailable when it is silent."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_underived(self, scope: Scope, max_bytes: int) -> list[Lack]:
        """Return files of up to `max_bytes` bytes without the block map or zsync file that they should have.

        A file that the server made and whose bytes were found damaged is missing, too. A name that its developer's own
        bytes ever had is theirs for ever: caches may still hold them.
        """
        named = file.c.name_key.endswith
        kind = case((named(".appimage"), FileKind.ZSYNC.value), else_=FileKind.BLOCKMAP.value)
        made, its_blob = file.alias("made"), blob.alias("its_blob")
        there = (
            select(made.c.id)
            .join(its_blob, its_blob.c.digest == made.c.digest)
            .where(
                made.c.build_id == file.c.build_id,
                made.c.name_key == file.c.name_key + "." + kind,
                or_(made.c.made_by != SERVER, its_blob.c.quarantined_at.is_(None)),
            )
            .correlate(file)
        )
        mapped = and_(or_(named(".exe"), named(".zip")), build.c.platform.in_(("windows", "darwin")))
        wanted = or_(named(".appimage"), mapped), blob.c.size_bytes <= max_bytes, ~exists(there)
        return await self._list(scope, kind, [*wanted, ~exists(_bound(kind))])

    async def list_unlooked(self, scope: Scope) -> list[Lack]:
        """Return AppImages whose end nobody has looked at."""
        wanted = file.c.name_key.endswith(".appimage"), file.c.facts.is_(None)
        return await self._list(scope, literal("embedded"), wanted)

    async def list_undigested(self, scope: Scope) -> list[Lack]:
        """Return files whose kind has a further digest that is not known."""
        further = {kind.value: name for kind in FileKind if (name := further_digest(kind)) is not None}
        lacking = [and_(file.c.kind == kind, blob.c[name].is_(None)) for kind, name in further.items()]
        return await self._list(scope, case(further, value=file.c.kind), [or_(*lacking)])

    async def is_same(self, connection: AsyncConnection, lack: Lack) -> bool:
        """Tell whether the file is still there, with the same name and bytes."""
        same = file.c.id == lack.file_id, file.c.digest == lack.digest, file.c.name == lack.name
        return await connection.scalar(select(file.c.id).where(*same)) is not None

    async def set_facts(self, connection: AsyncConnection, lack: Lack, facts: dict[str, Any]) -> None:
        """Keep what was found in the bytes of a file. One that has other bytes meanwhile is left alone."""
        same = file.c.id == lack.file_id, file.c.digest == lack.digest
        await connection.execute(update(file).where(*same).values(facts=facts))

    async def set_digest(self, connection: AsyncConnection, lack: Lack, value: str) -> None:
        """Keep a further digest, in hex. A blob that went meanwhile is left alone."""
        await connection.execute(update(blob).where(blob.c.digest == lack.digest).values({lack.kind: value}))

    async def _list(self, scope: Scope, kind: ColumnElement[Any], wanted: Iterable[ColumnElement[bool]]) -> list[Lack]:
        statement = _statement(kind).where(*wanted)
        if scope.applications is not None:
            newest = [release.c.id.in_(_newest_of(each)) for each in scope.applications]
            statement = statement.where(or_(false(), *newest))
        if scope.file_id is not None:
            statement = statement.where(file.c.id == scope.file_id)
        async with self._database.read() as connection:
            return [_lack_of(row) for row in await connection.execute(statement)]


def _bound(kind: ColumnElement[Any]) -> Select[Any]:
    """Return the bytes that the address of a file's derived one is bound to."""
    return (
        select(pinned_digest.c.digest)
        .where(
            pinned_digest.c.application_id == release.c.application_id,
            pinned_digest.c.version == release.c.version,
            pinned_digest.c.platform == build.c.platform,
            pinned_digest.c.architecture == build.c.architecture,
            pinned_digest.c.name_key == file.c.name_key + "." + kind,
        )
        .correlate(release, build, file)
    )


def _newest_of(application_id: str) -> Select[Any]:
    """Return the highest versions of an application: found by an index, however many there are."""
    mine = release.c.application_id == application_id
    return select(release.c.id).where(mine).order_by(release.c.sort_key.desc()).limit(_NEWEST)


def _statement(kind: ColumnElement[Any]) -> Select[Any]:
    offered = release.c.status.in_((ReleaseStatus.DRAFT.value, ReleaseStatus.ACTIVE.value))
    since = func.coalesce(release.c.published_at, release.c.created_at)
    return (
        select(
            kind.label("lacking"),
            release.c.application_id,
            release.c.version,
            build.c.platform,
            build.c.architecture,
            build.c.id.label("build_id"),
            file.c.id.label("file_id"),
            file.c.name,
            file.c.digest,
            blob.c.size_bytes,
            file.c.created_at,
        )
        .join(blob, blob.c.digest == file.c.digest)
        .join(build, build.c.id == file.c.build_id)
        .join(release, release.c.id == build.c.release_id)
        .where(offered, blob.c.quarantined_at.is_(None))
        .order_by(since.desc(), release.c.id.desc(), file.c.id)
        .limit(_AT_ONCE)
    )


def _lack_of(row: Any) -> Lack:
    return Lack(
        kind=row.lacking,
        application_id=row.application_id,
        version=row.version,
        target=Target(row.platform, row.architecture),
        build_id=row.build_id,
        file_id=row.file_id,
        name=row.name,
        digest=row.digest,
        size_bytes=row.size_bytes,
        created_at=row.created_at,
    )
