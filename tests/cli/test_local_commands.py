"""Commands that work on the data folder, in this process: what they print, and how they end."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, invoke
from tests.conftest import KEYS
from tests.databases import place_database
from tests.threaded import running_service, threaded

PASSWORD = "correct horse battery\n"
KEY_COLUMNS = ["id", "name", "level", "application", "created_at", "expires_at", "revoked_at", "last_used_at"]
USER_COLUMNS = ["id", "name", "role", "created_at", "disabled_at", "last_sign_in_at"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("key", "create"), "Missing argument 'NAME'"),
        (("key", "create", "ci"), "Missing option '--level'"),
        (("key", "create", "ci", "--level", "root"), "'root' is not one of"),
        (("key", "create", "ci", "--level", "read", "--expires-days", "0"), "0.0 is not in the range"),
        (("key", "revoke"), "Missing argument 'KEY_ID'"),
        (("key", "revoke", "first"), "'first' is not a valid integer"),
        (("user", "create", "anna", "--password-stdin"), "Missing option '--role'"),
        (("user", "session", "anna", "--minutes", "-1"), "-1.0 is not in the range"),
        (("verify", "--sample", "0"), "0.0 is not in the range"),
        (("verify", "--sample", "1.5"), "1.5 is not in the range"),
        (("collect", "--grace-s", "-1"), "-1.0 is not in the range"),
        (("backup",), "Missing argument 'FOLDER'"),
        (("backup", __file__), "is a file"),
        (("restore", "/no/such/folder"), "does not exist"),
        (("migrate-blobs", "local"), "Missing argument 'TO'"),
        (("deployment", "announce", "web"), "Missing option '--version'"),
        (("deployment", "log", "--limit", "0"), "0 is not in the range"),
        (("deployment", "log", "--level", "loud"), "'loud' is not one of"),
        (("key", "list", "--config", "/no/such/file.yaml"), "does not exist"),
    ],
)
def test_a_wrong_command_line_is_status_2_and_touches_nothing(
    local: Command, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    ran = local(*words)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("key", "list"), ("key", "revoke", "1"), ("verify",), ("collect",), ("restart",), ("migrate-database",),
        ("migrate-blobs", "configured", "local"), ("deployment", "check"), ("backup", "backup"), ("serve",),
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_settings_are_one_line_that_names_the_key(local: Command, words: tuple[str, ...]) -> None:
    ran = local(*words, server__port="none")
    assert (ran.status, ran.out, ran.err.count("\n")) == (1, "", 1)
    assert ran.err.startswith("Error: server.port: 'none' does not fit;")


def test_a_folder_that_cannot_be_used_is_one_line(local: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    ran = local("key", "list", storage__root=str(tmp_path / "file" / "data"))
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"Error: storage.root: there is no data folder at {tmp_path / 'file' / 'data'};")


@pytest.mark.parametrize("words", [("key", "list"), ("key", "create", "ci", "--level", "read"), ("collect",)])
def test_a_folder_whose_restore_was_not_finished_is_refused(local: Command, tmp_path: Path, words: Any) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "restoring").touch()
    ran = local(*words)
    assert (ran.status, ran.out) == (1, "")
    assert "was not finished; run it again" in ran.err
    assert not (tmp_path / "data" / "updater.db").exists()


@pytest.mark.usefixtures("used")
def test_a_database_of_a_newer_version_is_refused(local: Command, tmp_path: Path) -> None:
    import sqlite3
    from contextlib import closing

    assert local("key", "list").status == 0
    with closing(sqlite3.connect(tmp_path / "data" / "updater.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    for words in (("key", "list"), ("user", "list"), ("key", "create", "ci", "--level", "read"), ("verify",)):
        ran = local(*words)
        assert (ran.status, ran.out) == (1, ""), words
        assert "its schema is 9999" in ran.err


@pytest.mark.usefixtures("used")
def test_a_damaged_database_is_unavailable(local: Command, tmp_path: Path) -> None:
    assert local("key", "list").status == 0
    (tmp_path / "data" / "updater.db").write_bytes(b"not a database at all" * 1000)
    for words in (("key", "list"), ("user", "list"), ("key", "revoke", "1")):
        ran = local(*words)
        assert (ran.status, ran.out, ran.err) == (8, "", "Error: The database does not answer at the moment\n"), words


@pytest.mark.usefixtures("used")
def test_keys_are_made_listed_and_revoked(local: Command, tmp_path: Path) -> None:
    first = local("key", "create", "größer 🚀", "--level", "write", "--app", "my-app", "--expires-days", "1.5")
    assert first.status == 0
    assert re.fullmatch(r"upd_[A-Za-z0-9_-]{43}\n", first.out)
    assert first.err == "key 1 for größer 🚀 (write); keep it, it is shown only now:\n"
    second = local("key", "create", "ci", "--level", "read", "--json")
    assert (second.status, second.err, list(second.json)) == (0, "", [*KEY_COLUMNS, "key"])

    table = local("key", "list")
    assert table.out.splitlines()[1].split() == ["id", "name", "level", "application", "state", "last", "used"]
    assert max(map(len, table.out.splitlines())) <= 80
    assert f"until {local('key', 'list', '--json').json[0]['expires_at'][:10]}" in table.out
    assert "größer 🚀" in table.out and first.out.strip() not in table.out
    listed = local("key", "list", "--json").json
    assert [list(each) for each in listed] == [KEY_COLUMNS] * 2
    assert [(each["name"], each["level"], each["application"]) for each in listed] == [
        ("größer 🚀", "write", "my-app"), ("ci", "read", None),
    ]  # fmt: skip
    assert listed[0]["expires_at"] > listed[0]["created_at"] and listed[1]["expires_at"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[0]["created_at"])

    assert local("key", "revoke", "1").out == "key 1 is revoked\n"
    assert local("key", "list", "--json").json[0]["revoked_at"] is not None
    for missing in ("1", "99"):
        ran = local("key", "revoke", missing)
        assert (ran.status, ran.out, ran.err) == (5, "", f"Error: No usable key has id {missing}\n")
    refused = local("key", "create", "x" * 101, "--level", "read")
    assert (refused.status, refused.out) == (7, "")
    assert refused.err == "Error: Input validation failed\n  name: expected 1 to 100 printable characters\n"
    # Commands about keys make what keys need, and nothing else.
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"updater.db", "secret", "lock"}


@pytest.mark.usefixtures("used")
def test_a_key_that_a_command_made_opens_the_service(local: Command, tmp_path: Path) -> None:
    key = local("key", "create", "ci", "--level", "read").out.strip()
    with threaded(lambda: running_service(tmp_path / "data")) as running:
        remote = {"UPDATER_SERVER": running.url}
        assert invoke("app", "list", "--key", key, environment=remote).status == 0
        assert invoke("app", "delete", "x", "--yes", "--key", key, environment=remote).status == 4
    assert local("key", "list", "--json").json[0]["last_used_at"] is not None


@pytest.mark.usefixtures("used")
def test_people_are_added_listed_and_disabled(local: Command) -> None:
    add = ("user", "create", "--password-stdin", "--role")
    assert local(*add, "admin", " Anna ", stdin=PASSWORD).out == "anna may sign in as admin\n"
    made = local(*add, "user", "ben", "--json", stdin=PASSWORD)
    assert (made.status, list(made.json)) == (0, USER_COLUMNS)
    assert "horse" not in made.out
    taken = local(*add, "staff", "ANNA", stdin=PASSWORD)
    assert (taken.status, taken.err) == (6, "Error: A user named anna exists already\n")
    wrong = local(*add, "staff", "größer", stdin="short\n")
    assert (wrong.status, wrong.out) == (7, "")
    assert [line.split(":")[0] for line in wrong.err.splitlines()] == ["Error", "  name", "  password"]

    assert local("user", "list").out.splitlines()[1].split()[:5] == ["id", "name", "role", "created", "disabled"]
    disabled = local("user", "disable", "ben", "--json").json
    assert (disabled["name"], disabled["disabled_at"] is not None) == ("ben", True)
    assert [each["disabled_at"] is None for each in local("user", "list", "--json").json] == [True, False]
    assert local("user", "session", "ben", "--minutes", "5").status == 6
    assert local("user", "disable", "ben", "--undo").out == "ben may sign in\n"
    opened = local("user", "session", "ben", "--minutes", "0.5", "--json")
    assert list(opened.json) == ["session", "name", "expires_at"]
    assert local("user", "session", "ben", "--minutes", "1e9").status == 7


@pytest.mark.usefixtures("used")
def test_a_password_is_asked_for_twice_on_stderr(local: Command) -> None:
    asked = local("user", "create", "anna", "--role", "user", stdin=PASSWORD * 2)
    assert (asked.status, asked.out) == (0, "anna may sign in as user\n")
    assert "Password: " in asked.err and "Repeat for confirmation: " in asked.err and "horse" not in asked.err
    differ = local("user", "password", "anna", stdin=PASSWORD + "another password\n" + PASSWORD * 2)
    assert differ.status == 0
    assert "do not match" in differ.err
    given_up = local("user", "password", "anna", stdin="")
    assert (given_up.status, given_up.out) == (1, "")


@pytest.fixture
def filled(tmp_path: Path) -> list[Path]:
    """Publish two builds into the data folder; return their stored files, by name."""
    with threaded(lambda: running_service(tmp_path / "data")) as running:
        environment = {"UPDATER_SERVER": running.url, "UPDATER_KEY": KEYS["admin"]}
        for version in ("1.0.0", "1.1.0"):
            path = tmp_path / f"{version}.bin"
            path.write_bytes(version.encode() * 10_000)
            words = ("--app", "my-app", "--version", version, "--platform", "linux", "--arch", "amd64", "--create")
            assert invoke("publish", path, *words, environment=environment).status == 0
    return sorted(path for path in (tmp_path / "data" / "blobs").rglob("*") if path.is_file())


def test_verify_names_damaged_files_and_ends_with_9(local: Command, filled: list[Path]) -> None:
    good = local("verify")
    assert (good.status, good.out, good.err) == (0, "2 checked, 0 damaged\n", "")
    filled[0].write_bytes(b"damaged")
    bad = local("verify")
    assert (bad.status, bad.out) == (9, "2 checked, 1 damaged\n")
    assert bad.err.startswith(f"  {filled[0].name}: quarantined; publish the same file again")
    told = local("verify", "--json")
    result = told.json
    (named,) = result.pop("files")
    assert (named["application"], named["platform"], named["digest"]) == ("my-app", "linux", filled[0].name)
    assert f"    my-app {named['version']} linux/amd64 {named['name']}\n" in bad.err
    assert (told.status, result, told.err) == (9, {"checked": 2, "bad": [filled[0].name]}, "")


def test_collect_and_retain_remove_what_is_not_kept(local: Command, filled: list[Path]) -> None:
    assert local("collect", "--grace-s", "0", "--json").json == {"removed": []}
    kept = local("retain")
    assert (kept.status, kept.out) == (0, "0 removed\n")
    assert "everything is kept" in kept.err
    would = local("retain", "--dry-run", retention__keep_releases="1")
    assert (would.out, would.err) == ("my-app 1.0.0\n1 would be removed\n", "")
    told = local("retain", "--json", retention__keep_releases="1").json
    gone = [{"application": "my-app", "version": "1.0.0"}]
    assert told == {"configured": True, "dry_run": False, "removed": gone}
    assert local("collect").out == "0 removed\n", "what was used a moment ago stays"
    assert local("collect", "--grace-s", "0").out == "1 removed\n"
    assert [path.exists() for path in filled].count(True) == 1


def test_a_backup_is_restored_into_an_empty_folder_only(local: Command, filled: list[Path], tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    assert local("backup", saved).out == "2 files, 2 of them copied now\n"
    assert local("backup", saved, "--json").json == {"blobs": 2, "copied": 0, "missing": []}
    full = local("restore", saved)
    assert (full.status, full.out) == (6, "")
    restored = local("restore", saved, storage__root=str(tmp_path / "new"))
    assert (restored.status, restored.out, restored.err) == (0, "2 files restored and verified\n", "")
    assert local("verify", storage__root=str(tmp_path / "new")).out == "2 checked, 0 damaged\n"
    none = local("restore", tmp_path / "data", storage__root=str(tmp_path / "third"))
    assert (none.status, none.out) == (5, "")


def test_a_backup_without_damaged_files_says_so_with_9(local: Command, filled: list[Path], tmp_path: Path) -> None:
    filled[0].write_bytes(b"damaged")
    saved = local("backup", tmp_path / "saved")
    assert (saved.status, saved.out) == (9, "1 files, 1 of them copied now\n")
    first, second = saved.err.splitlines()
    assert first == f"  {filled[0].name}: damaged or gone, not in the backup"
    assert second.startswith("    my-app 1.")
    restored = local("restore", tmp_path / "saved", "--json", storage__root=str(tmp_path / "new"))
    result = restored.json
    assert result.pop("files")[0]["application"] == "my-app"
    assert (restored.status, result) == (9, {"blobs": 1, "missing": [filled[0].name]})
    again = local("restore", tmp_path / "saved", storage__root=str(tmp_path / "newer"))
    assert (again.status, again.out) == (9, "1 files restored and verified\n")
    assert "not in the backup, or damaged there; not restored" in again.err
    copied = next(path for path in (tmp_path / "saved").rglob(filled[1].name))
    copied.write_bytes(b"damaged too")
    without = local("restore", tmp_path / "saved", storage__root=str(tmp_path / "newest"))
    assert (without.status, without.out) == (9, "0 files restored and verified\n")
    assert without.err.count("not restored") == 2
    assert not (tmp_path / "newest" / "restoring").exists()


@pytest.mark.usefixtures("used")
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("migrate-blobs", "local", "local"), 7, "target: expected another store than the source"),
        (("migrate-blobs", "configured", "local"), 7, "target: expected another store than the source"),
        (("migrate-blobs", "nowhere", "local"), 7, "source: "),
        (("migrate-database",), 1, "storage.database_url is not set"),
        (("deployment", "check"), 5, "There is no such deployment"),
        (("deployment", "check", "web"), 5, "There is no such deployment"),
        (("deployment", "apply"), 5, "There is no such deployment"),
        (("deployment", "rollback"), 5, "There is no such deployment"),
        (("deployment", "log"), 5, "There is no such deployment"),
        (("deployment", "announce", "web", "--version", "1"), 5, "There is no such deployment"),
        (("restart",), 1, "no workers are at work in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_has_its_status(local: Command, words: tuple[str, ...], status: int, said: str) -> None:
    ran = local(*words)
    assert (ran.status, ran.out) == (status, "")
    assert ran.err.startswith("Error: ") and said in ran.err


def test_postgresql_is_neither_backed_up_nor_restored(local: Command, filled: list[Path], tmp_path: Path) -> None:
    assert local("backup", tmp_path / "saved").status == 0
    url = "postgresql://127.0.0.1:1/none"
    refused = local("restore", tmp_path / "saved", storage__database_url=url, storage__root=str(tmp_path / "new"))
    assert (refused.status, refused.out) == (6, "")
    for words in (("key", "list"), ("verify",)):
        away = local(*words, storage__database_url=url)
        assert (away.status, away.out) == (8, "")
        assert away.err.startswith("Error: storage.database_url: 127.0.0.1:1/none does not answer: ")


def test_settings_come_from_a_file_too(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"storage": {"root": "größer"}}), encoding="utf-8")
    (tmp_path / "größer").mkdir()
    place_database(tmp_path / "größer")
    assert invoke("key", "list", "--config", config).status == 0
    assert invoke("key", "list", "--json", environment={"UPDATER_CONFIG": str(config)}).json == []
    config.write_text("storage: [", encoding="utf-8")
    broken = invoke("key", "list", "--config", config)
    assert (broken.status, broken.err) == (1, f"Error: {config} line 1: not valid YAML\n")
