"""Migrations and tables are one: what the migrations build is what the code declares."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sqlite3
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, MetaData, Table, text

from updater.database.all_tables import metadata
from updater.database.opening import open_database
from updater.database.revisions import MIGRATIONS, head_revision
from updater.errors import ConfigurationError, StorageFull, Unavailable


def differences(connection: Connection, declared: MetaData) -> list[Any]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True, "target_metadata": declared}
    )
    return list(compare_metadata(context, declared))


async def test_the_migrations_build_the_declared_tables(database_url: str | None, tmp_path: Path) -> None:
    async with open_database(database_url, tmp_path) as database, database.write() as connection:
        assert await connection.run_sync(differences, metadata) == []
        fewer = MetaData(naming_convention=metadata.naming_convention)
        for table in metadata.tables.values():
            if table.name != "report":
                table.to_metadata(fewer)
        found = await connection.run_sync(differences, fewer)
        assert "remove_table" in {each[0] for each in found}, "the comparison is blind"


@pytest.mark.sqlite("what is compared is its file")
async def test_constraints_and_indexes_are_the_declared_ones(tmp_path: Path) -> None:
    """Read from the file itself, since the comparison leaves some of them out on SQLite."""
    for folder in ("migrated", "declared"):
        (tmp_path / folder).mkdir()
    async with open_database(None, tmp_path / "migrated"):
        pass
    async with open_database(None, tmp_path / "declared") as database, database.write() as connection:
        for table in reversed(metadata.sorted_tables):
            await connection.run_sync(table.drop)
        await connection.run_sync(metadata.create_all)
    shapes = [{name: shape(tmp_path / file, table) for name, table in metadata.tables.items()} for file in FILES]
    assert shapes[0] == shapes[1]


FILES = ("migrated/updater.db", "declared/updater.db")


def shape(path: Path, table: Table) -> dict[str, list[Any]]:
    with sqlite3.connect(path) as database:
        columns = database.execute(f"PRAGMA table_info({table.name})").fetchall()
        keys = database.execute(f"PRAGMA foreign_key_list({table.name})").fetchall()
        indexes = database.execute(f"PRAGMA index_list({table.name})").fetchall()
        names = [
            (unique, [row[2] for row in database.execute(f"PRAGMA index_info('{name}')")])
            for _, name, unique, *_ in indexes
        ]
    database.close()
    return {
        "columns": sorted(each[1:] for each in columns),
        "keys": sorted(each[2:] for each in keys),
        "indexes": sorted(names),
    }


def test_revisions_are_one_chain() -> None:
    names = sorted(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
    assert [name.split("_")[0] for name in names] == [f"{number:04}" for number in range(1, len(names) + 1)]
    assert head_revision() == f"{len(names):04}"


# A migration that was released is never edited: databases that it brought up to date would not follow.
LANDED = {
    "0001_the_first_tables": "bb05cd5b34f37e1d",
    "0002_hash_of_the_key_of_a_report": "37801728ed3b9ce8",
    "0003_rollups": "2572c798096bbe2b",
    "0004_people_and_tasks": "a021824b6748b52c",
    "0005_deployments": "fd1bd786782309d7",
    "0006_changes_and_leases": "d5677d466a125fc6",
    "0007_files_uses_and_audit": "674a2491ca536012",
    "0008_private_applications": "244b42dd84cbe2c4",
    "0009_clock_mark": "960d7fe8c8e1b4da",
    "0010_channels_and_rollouts": "ce344d86295cbbaa",
    "0011_files_of_a_build": "28e87da94bed97f9",
    "0012_tuf_repositories": "5dc9e3ef115b56c5",
    "0013_gathered_sources": "f61d176d33ee73c9",
    "0014_uploads_that_resume": "9610e752a0fc1938",
    "0015_actions_of_the_audit": "1a53fe2c1c7e16d1",
    "0016_webhooks": "f3a6bf937898f9b5",
}


def test_migrations_that_landed_are_never_edited() -> None:
    """A new migration gets its line with the release that brings it."""
    files = {path.stem: path.read_bytes() for path in (MIGRATIONS / "versions").glob("[0-9]*.py")}
    assert {name: hashlib.sha256(content).hexdigest()[:16] for name, content in files.items()} == LANDED


async def test_a_newer_schema_is_refused_in_one_line(database_url: str | None, tmp_path: Path) -> None:
    async with open_database(database_url, tmp_path) as database, database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    files = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigurationError, match=r"schema is 9999.*start the newer version") as caught:
        async with open_database(database_url, tmp_path):
            pass
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == files


@pytest.mark.sqlite("has a file")
async def test_a_folder_in_place_of_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "updater.db").mkdir()
    with pytest.raises(ConfigurationError, match=r"updater\.db is no file"):
        async with open_database(None, tmp_path):
            pass


@pytest.mark.sqlite("has a file")
async def test_a_start_without_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk SQLite cannot open what it lays beside its file, and says only that."""
    (tmp_path / "updater.db-wal").mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    before = set(threading.enumerate())
    with pytest.raises(StorageFull, match="no room left in"):
        async with open_database(None, tmp_path):
            pass
    # The thread of the connection that failed tells the loop when it ends: the loop must still be there.
    for thread in set(threading.enumerate()) - before:
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 10)


@pytest.mark.sqlite("damages its file")
@pytest.mark.parametrize(
    "content", [b"this is no database, but a text of some length " * 40, b"SQLite format 3\0" * 300]
)
async def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "updater.db"
    path.write_bytes(content)
    with pytest.raises(Unavailable):
        async with open_database(None, tmp_path):
            pass
    assert path.read_bytes() == content
