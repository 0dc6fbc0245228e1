"""The SQL of feed snapshots: the builds of an application that feeds look at, with all their files."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Row, Select, func, select, union_all

from updater.catalog.file_store import FileStore
from updater.catalog.files import FileKind, name_key
from updater.catalog.model import Build, BuildFile, ReleaseStatus
from updater.catalog.platforms import Target
from updater.catalog.rows_store import BUILD, build_of
from updater.database.asynchronous import AsyncConnection
from updater.database.engine import Database
from updater.database.tables import build, file, release
from updater.offers.feed_choice import RELEASES_SHOWN, FeedBuild, FeedSnapshot
from updater.offers.snapshot import Snapshot
from updater.rollouts.store import RolloutStore

# Terms of one compound statement, and values of one list: fewer than SQLite allows.
_TERMS_AT_ONCE, _IDS_AT_ONCE = 100, 500
_ACTIVE = (ReleaseStatus.ACTIVE.value,)
_ANY = tuple(each.value for each in ReleaseStatus)
_PACKAGES = (FileKind.PACKAGE.value, FileKind.DELTA.value)


class FeedStore:
    """Reads feed snapshots."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._files = FileStore()
        self._rollouts = RolloutStore(database)

    async def load(self, application_id: str, index: Snapshot, *, active_only: bool = True) -> FeedSnapshot:
        """Read an application as its feeds see it.

        Of each target, channel and kind of release (pre-release or not) there are the newest 50, so that many of one
        kind hide nothing of another; and whatever `index`, its snapshot, offers to some client, such as stepping
        stones. External builds are left out. `active_only` False: drafts and withdrawn releases are there too.

        Raises:
            Unavailable: the database does not answer.
        """
        statuses = _ACTIVE if active_only else _ANY
        async with self._database.read() as connection:
            groups = await self._groups(connection, application_id)
            wanted = await self._newest(connection, application_id, groups, statuses)
            wanted |= {each.id for each in index.builds.values() if each.file is not None}
            builds = await self._builds(connection, sorted(wanted), statuses)
            files = await self._files.list_files(connection, [each.id for each in builds])
            rollouts = await self._rollouts.list_open(connection, (application_id,))
        lowest: dict[Target, str] = {}
        for row in groups:
            target = Target(row.platform, row.architecture)
            if row.lowest_key is not None:
                lowest[target] = min(row.lowest_key, lowest.get(target, row.lowest_key))
        return FeedSnapshot(
            index.application,
            _by_target(FeedBuild(each, tuple(files.get(each.id, ()))) for each in builds),
            {each.release_id: each for each in rollouts},
            lowest,
        )

    async def find_package(self, application_id: str, target: Target, name: str) -> tuple[Build, BuildFile] | None:
        """Return a package or delta of an active release by its name, whose case does not count."""
        named = select(file.c.build_id, file.c.name).where(
            file.c.name_key == name_key(name), file.c.kind.in_(_PACKAGES)
        )
        async with self._database.read() as connection:
            # By its name first, of any application: asked in one, SQLite walks along all releases of this one.
            names = {row.build_id: row.name for row in await connection.execute(named)}
            builds = await self._builds(connection, sorted(names), _ACTIVE)
            mine = [each for each in builds if (each.application_id, each.target) == (application_id, target)]
            if not mine:
                return None
            newest = max(mine, key=lambda each: each.version.sort_key)
            files = (await self._files.list_files(connection, [newest.id])).get(newest.id, [])
        return next(((newest, each) for each in files if each.name == names[newest.id]), None)

    async def _groups(self, connection: AsyncConnection, application_id: str) -> Sequence[Row[Any]]:
        """Return the kinds of builds that there are, and the lowest version of each that was ever published."""
        published = func.min(release.c.sort_key).filter(release.c.status != ReleaseStatus.DRAFT.value)
        kind = (build.c.platform, build.c.architecture, release.c.channel_position, release.c.prerelease)
        wanted = (
            select(*kind, published.label("lowest_key"))
            .join(release, release.c.id == build.c.release_id)
            .where(release.c.application_id == application_id)
            .group_by(*kind)
        )
        return list(await connection.execute(wanted))

    async def _newest(
        self,
        connection: AsyncConnection,
        application_id: str,
        groups: Iterable[Row[Any]],
        statuses: Collection[str],
    ) -> set[int]:
        found: set[int] = set()
        terms = [select(_newest(application_id, each, statuses).subquery()) for each in groups]
        for start in range(0, len(terms), _TERMS_AT_ONCE):
            found |= set(await connection.scalars(union_all(*terms[start : start + _TERMS_AT_ONCE])))
        return found

    async def _builds(self, connection: AsyncConnection, ids: list[int], statuses: Collection[str]) -> list[Build]:
        found = []
        for start in range(0, len(ids), _IDS_AT_ONCE):
            some = ids[start : start + _IDS_AT_ONCE]
            wanted = BUILD.where(build.c.id.in_(some), release.c.status.in_(statuses), build.c.url.is_(None))
            found += [build_of(row._mapping) for row in await connection.execute(wanted)]
        return found


def _newest(application_id: str, group: Row[Any], statuses: Collection[str]) -> Select[tuple[int]]:
    """Return the newest hosted builds of one kind. The order is that of an index, so few rows are looked at."""
    return (
        select(build.c.id)
        .join(release, release.c.id == build.c.release_id)
        .where(
            release.c.application_id == application_id,
            release.c.status.in_(statuses),
            release.c.channel_position == group.channel_position,
            release.c.prerelease == group.prerelease,
            build.c.platform == group.platform,
            build.c.architecture == group.architecture,
            build.c.url.is_(None),
        )
        .order_by(release.c.sort_key.desc(), build.c.id.desc())
        .limit(RELEASES_SHOWN)
    )


def _by_target(builds: Iterable[FeedBuild]) -> dict[Target, tuple[FeedBuild, ...]]:
    grouped: dict[Target, list[FeedBuild]] = {}
    for each in builds:
        grouped.setdefault(each.build.target, []).append(each)
    for listed in grouped.values():
        listed.sort(key=lambda each: (each.build.version.sort_key, each.build.id), reverse=True)
    return {target: tuple(listed) for target, listed in grouped.items()}
