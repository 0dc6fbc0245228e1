"""A data folder of the version before, brought up to date: nothing is lost, also when it is killed half-way."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, text
from sqlalchemy.ext.asyncio import create_async_engine

import updater.database.tables as tables
from updater.catalog.files import generated_name, kind_of, name_key
from updater.catalog.platforms import Target
from updater.catalog.versions import Scheme, parse_version
from updater.database.copies import read_used_blobs
from updater.database.opening import open_database
from updater.database.postgres import postgres_engine
from updater.database.rollout_tables import rollout
from updater.database.schema import MIGRATIONS

BEFORE = "0006"
APPLICATIONS = (("my-app", "semver"), ("-odd_App", "semver"), ("python", "pep440"))
VERSIONS = {
    "semver": ("1.0.0", "1.2.3", "10.20.30", "2.0.0-rc.1", "2.0.0+build.7"),
    "pep440": ("1.0", "1", "1!2.0", "1.2.3", "1.2.3.4", "2.0rc1", "2.0.post1"),
}
SUFFIXES = ("", ".exe", ".DMG", ".zip", ".AppImage", ".nupkg", ".7z", ".gz", ".blockmap", ".delta")


def migrate_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def fill(connection: Connection) -> int:
    """Fill the tables of the version before; return how many builds there are."""
    run = lambda statement, **values: connection.execute(text(statement), values)  # noqa: E731
    numbers = iter(range(1, 10_000))
    for name, scheme in APPLICATIONS:
        run(
            "INSERT INTO application (id, name, description, platforms, config, scheme, created_at, updated_at) "
            "VALUES (:id, 'x', '', '[\"linux\"]', '{}', :scheme, 1, 1)",
            id=name,
            scheme=scheme,
        )
        for place, version in enumerate(VERSIONS[scheme]):
            number = next(numbers)
            parsed = parse_version(version, Scheme(scheme))
            run(
                "INSERT INTO release (id, application_id, version, sort_key, prerelease, status, created_at) "
                "VALUES (:id, :app, :version, :key, :pre, :status, 1)",
                id=number,
                app=name,
                version=parsed.text,
                key=parsed.sort_key,
                pre=parsed.prerelease,
                status="inactive" if place == 1 else "active",
            )
            suffix = SUFFIXES[number % len(SUFFIXES)]
            digest = f"{number:064x}"
            run(
                "INSERT INTO blob (digest, size_bytes, created_at) VALUES (:digest, :size, 1)",
                digest=digest,
                size=number,
            )
            run(
                "INSERT INTO build (id, release_id, platform, architecture, digest, checksum_type, checksum, "
                "size_bytes, suffix, notes, required, metadata, created_at) "
                "VALUES (:id, :id, 'linux', 'amd64', :digest, 'sha256', "
                ":digest, :size, :suffix, 'notes', false, '{}', 1)",
                id=number,
                digest=digest,
                size=number,
                suffix=suffix,
            )
            run("INSERT INTO download_count (build_id, started, finished) VALUES (:id, 9, :id)", id=number)
    run(
        "INSERT INTO build (id, release_id, platform, architecture, url, checksum_type, checksum, size_bytes, suffix, "
        "notes, required, metadata, created_at) VALUES (9999, 1, 'windows', 'amd64', 'https://x/y', 'md5', 'abc', 7, "
        "'', '', true, '{}', 1)"
    )
    run("INSERT INTO blob (digest, size_bytes, created_at) VALUES ('unused', 5, 1)")
    return next(numbers) - 1


async def make_old(url: str | None, root: Path) -> int:
    """Make a database of the version before."""
    engine = postgres_engine(url) if url else create_async_engine(f"sqlite+aiosqlite:///{root / 'updater.db'}")
    if url is None:
        # As the version before had it.
        @event.listens_for(engine.sync_engine, "connect")
        def on_connect(connection: Any, _: Any) -> None:
            connection.execute("PRAGMA foreign_keys=ON")

    async with engine.begin() as connection:
        await connection.run_sync(migrate_to, BEFORE)
        count = await connection.run_sync(fill)
    await engine.dispose()
    return count


async def rows(database: Any, statement: str) -> list[Any]:
    async with database.read() as connection:
        return list(await connection.execute(text(statement)))


async def test_every_build_keeps_its_file_its_name_and_its_counts(database_url: str | None, tmp_path: Path) -> None:
    count = await make_old(database_url, tmp_path)
    async with open_database(database_url, tmp_path) as database:
        files = await rows(
            database,
            "SELECT release.application_id, release.version, file.name, file.name_key, file.kind, file.is_primary, "
            "file.digest, build.id FROM file JOIN build ON build.id = file.build_id "
            "JOIN release ON release.id = build.release_id ORDER BY build.id",
        )
        assert len(files) == count
        for row in files:
            suffix = SUFFIXES[row.id % len(SUFFIXES)]
            name = generated_name(row.application_id, row.version, Target("linux", "amd64"), suffix)
            assert (row.name, row.name_key, row.kind) == (name, name_key(name), kind_of(name).value)
            assert row.is_primary
            assert row.digest == f"{row.id:064x}"
        counts = await rows(database, "SELECT build_id, started, finished FROM download_count ORDER BY build_id")
        assert [tuple(row) for row in counts] == [(row.id, 9, row.id) for row in files]
        external = await rows(database, "SELECT url, checksum_type, checksum, size_bytes FROM build WHERE id = 9999")
        assert [tuple(row) for row in external] == [("https://x/y", "md5", "abc", 7)]
        used = await rows(database, "SELECT digest FROM blob_use ORDER BY digest")
        assert [row.digest for row in used] == [row.digest for row in files]


async def test_releases_get_their_status_and_their_count_of_numbers(database_url: str | None, tmp_path: Path) -> None:
    await make_old(database_url, tmp_path)
    async with open_database(database_url, tmp_path) as database:
        found = await rows(
            database,
            "SELECT release.version, release.numbers, release.status, release.complete, application.scheme "
            "FROM release JOIN application ON application.id = release.application_id",
        )
    for row in found:
        assert row.numbers == parse_version(row.version, Scheme(row.scheme)).numbers, row.version
        assert row.complete
    assert sorted(row.version for row in found if row.status == "withdrawn") == ["1", "1.2.3", "1.2.3"]
    assert {row.status for row in found} == {"active", "withdrawn"}


async def test_every_application_gets_one_channel_and_all_releases_are_on_it(
    database_url: str | None, tmp_path: Path
) -> None:
    await make_old(database_url, tmp_path)
    async with open_database(database_url, tmp_path) as database, database.read() as connection:
        applications = (await connection.execute(tables.application.select())).all()
        releases = (await connection.execute(tables.release.select())).all()
        assert (await connection.execute(rollout.select())).all() == []
    assert {(tuple(each.channels), each.default_rollout) for each in applications} == {(("stable",), None)}
    assert {(each.channel, each.channel_position, each.complete) for each in releases} == {("stable", 0, True)}


@pytest.mark.sqlite("cuts its file's transaction")
async def test_a_migration_that_fails_half_way_leaves_the_database_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed or failing, the transaction goes back; the next start does it all."""
    await make_old(None, tmp_path)
    path = tmp_path / "updater.db"
    with closing(sqlite3.connect(path)) as before:
        old = "\n".join(before.iterdump())
    real = command.upgrade

    def fail_at_the_end(*arguments: Any) -> None:
        real(*arguments)
        raise RuntimeError("cut")

    monkeypatch.setattr(command, "upgrade", fail_at_the_end)
    with pytest.raises(RuntimeError, match="cut"):
        async with open_database(None, tmp_path):
            pass
    with closing(sqlite3.connect(path)) as after:
        assert "\n".join(after.iterdump()) == old
    monkeypatch.undo()
    async with open_database(None, tmp_path) as database:
        assert await rows(database, "SELECT version_num FROM alembic_version WHERE version_num > '0006'")


@pytest.mark.sqlite("reads its file")
async def test_a_copy_knows_what_is_used(tmp_path: Path) -> None:
    count = await make_old(None, tmp_path)
    async with open_database(None, tmp_path):
        pass
    used = read_used_blobs(tmp_path / "updater.db")
    assert len(used) == count
    assert "unused" not in used
