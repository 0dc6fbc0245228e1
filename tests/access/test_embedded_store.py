"""Listing without SQLAlchemy gives the rows that the stores give, or leaves the work to them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from tests.actors import TESTER
from updater.access.embedded_store import find_access_reader
from updater.access.opening import find_access_lists, open_access
from updater.access.store import AccessStore, PeopleStore
from updater.clock import utc_now
from updater.config import load
from updater.database.embedded import FILE_NAME
from updater.database.opening import open_database
from updater.database.revisions import head_revision
from updater.errors import Unavailable
from updater.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load(None, {"UPDATER_STORAGE__ROOT": str(tmp_path)})


async def fill(settings: Settings) -> None:
    """Make keys and people of every kind: limited, expiring, revoked, used, disabled, signed in."""
    async with open_access(settings) as services:
        await services.access.create_key("plain", "read", actor=TESTER)
        key, text = await services.access.create_key("größer 🚀", "write", application="my-app", actor=TESTER)
        await services.access.create_key(
            "soon", "admin", expires_at=utc_now() + timedelta(days=1, microseconds=1), actor=TESTER
        )
        await services.access.revoke_key(1, actor=TESTER)
        await services.access.load()
        assert services.access.identify(text) is not None
        await services.access.flush_used()
        assert key.id == 2
        for name, role in (("anna", "admin"), ("ben", "staff"), ("cleo", "user")):
            await services.people.create_user(name, role, "a long password", actor=TESTER)
        await services.accounts.change_user("ben", disabled=True, actor=TESTER)
        await services.people.sign_in("anna", "a long password")


async def test_both_give_the_same_rows(settings: Settings, tmp_path: Path) -> None:
    await fill(settings)
    reader = find_access_reader(tmp_path)
    assert reader is not None
    keys, users = await reader.list_keys(), await reader.list_users()
    async with open_database(None, tmp_path) as database:
        assert keys == await AccessStore(database).list_keys()
        assert users == await PeopleStore(database).list_users()
    assert [key.name for key in keys] == ["plain", "größer 🚀", "soon"]
    # Every column that may be empty is so in one row and not in another.
    for column in ("application", "expires_at", "revoked_at", "last_used_at"):
        assert len({getattr(key, column) is None for key in keys}) == 2, column
    for column in ("disabled_at", "last_sign_in_at"):
        assert len({getattr(user, column) is None for user in users}) == 2, column


async def test_only_an_embedded_database_at_the_present_schema_is_read(settings: Settings, tmp_path: Path) -> None:
    assert find_access_lists(settings) is None
    assert list(tmp_path.iterdir()) == []
    async with open_access(settings):
        pass
    lists = find_access_lists(settings)
    assert lists is not None
    assert (await lists.access.list_keys(), await lists.people.list_users()) == ([], [])
    elsewhere = {"UPDATER_STORAGE__ROOT": str(tmp_path), "UPDATER_STORAGE__DATABASE_URL": "postgresql://127.0.0.1:1/x"}
    assert find_access_lists(load(None, elsewhere)) is None
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    assert find_access_reader(tmp_path) is None
    assert head_revision() > "0001"


@pytest.mark.parametrize("content", [b"", b"this is no database, whatever its name says" * 100])
def test_a_file_that_is_no_database_is_left_to_the_engine(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    assert find_access_reader(tmp_path) is None
    assert (tmp_path / FILE_NAME).read_bytes() == content


async def test_damage_in_the_rows_is_told_as_the_engine_tells_it(settings: Settings, tmp_path: Path) -> None:
    await fill(settings)
    reader = find_access_reader(tmp_path)
    assert reader is not None
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection, connection:
        connection.execute("DROP TABLE session")
        connection.execute("ALTER TABLE user_account RENAME TO gone")
    with pytest.raises(Unavailable, match="does not answer"):
        await reader.list_users()
    assert len(await reader.list_keys()) == 3


async def test_rows_in_the_log_of_a_killed_process_are_read(settings: Settings, tmp_path: Path) -> None:
    """What was committed last lies beside the file until a connection brings it in."""
    await fill(settings)
    path = tmp_path / FILE_NAME
    live = sqlite3.connect(path)
    live.execute("UPDATE api_key SET name = 'renamed' WHERE id = 1")
    live.commit()
    copied = tmp_path / "copy of it?"
    copied.mkdir()
    for suffix in ("", "-wal"):
        (copied / f"{FILE_NAME}{suffix}").write_bytes(path.with_name(f"{FILE_NAME}{suffix}").read_bytes())
    live.close()
    reader = find_access_reader(copied)
    assert reader is not None
    assert (await reader.list_keys())[0].name == "renamed"
