"""The data folder: who may make one, which of its parts must be there, and every name that it may have."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path

import pytest

from tests.databases import place_folder
from tests.processes.serving import call, run, serving
from tests.servers.postgres import Postgres
from updater.errors import ConfigurationError
from updater.processes.folder import FolderInUse, hold_folder


def publish(url: str, key: str, version: str = "1.0.0") -> None:
    given = {"id": "my-app", "name": "My App", "platforms": ["linux"]}
    assert call(f"{url}/api/v1/applications", "POST", given, key)[0] in (201, 409)
    path = f"{url}/api/v1/updates/my-app/builds/{version}/linux/amd64"
    assert call(path, "PUT", version.encode(), key)[0] == 201


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """Return the data folder of a service that published a file and was ended."""
    root = tmp_path / "data"
    with serving(root) as (url, key):
        assert key is not None
        publish(url, key)
    return root


@pytest.mark.parametrize(
    "words",
    [
        ("key", "create", "ci", "--level", "read"), ("key", "list"), ("verify",), ("collect",), ("audit",),
        ("backup", "backup"), ("migrate-blobs", "local", "local"), ("deployment", "check"), ("restart",),
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("there", [False, True])
def test_no_command_makes_a_data_folder(tmp_path: Path, words: tuple[str, ...], there: bool) -> None:
    root = tmp_path / "wrong"
    if there:
        root.mkdir()
    ran = run(root, *words)
    assert ran.returncode != 0
    assert str(root) in ran.stderr and "--config" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert root.exists() == there and not (there and list(root.iterdir())), "nothing is made there"
    assert not Path("backup").exists()


def test_a_key_is_made_where_the_settings_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "config.yaml").write_text("storage: {root: data}")
    place_folder(tmp_path / "etc" / "data")
    monkeypatch.chdir(tmp_path)
    ran = run("", "key", "create", "ci", "--level", "read", "--config", "etc/config.yaml", UPDATER_STORAGE__ROOT="data")
    assert ran.returncode == 0, ran.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["etc"]


@pytest.mark.parametrize("gone", ["updater.db", "secret", "blobs"])
def test_a_missing_part_is_refused_with_what_to_do(used: Path, gone: str) -> None:
    away = used.parent / "away"
    (used / gone).rename(away)
    before = sorted(path.name for path in used.rglob("*") if not path.name.startswith(("lock", "incoming")))
    for words in (("serve",), ("collect", "--grace-s", "0")):
        ran = run(used, *words)
        assert ran.returncode == 1, words
        assert str(used) in ran.stderr and "on purpose" in ran.stderr, ran.stderr
    assert before == sorted(path.name for path in used.rglob("*") if not path.name.startswith(("lock", "incoming")))
    away.rename(used / gone)
    with serving(used) as (url, key):
        assert key is None
        assert call(f"{url}/api/v1/updates/my-app/download/1.0.0/linux/amd64") == (200, b"1.0.0")


def test_an_empty_file_is_no_database_either(used: Path) -> None:
    (used / "updater.db").write_bytes(b"")
    assert "missing or empty" in run(used, "serve").stderr


def test_to_start_anew_the_old_parts_are_moved_away(used: Path) -> None:
    (used / "updater.db").unlink()
    shutil.rmtree(used / "blobs")
    (used / "secret").unlink()
    with serving(used) as (_, key):
        assert key is not None


@pytest.mark.parametrize("left", [(), ("lock",), ("lock", "updater.db")])
def test_an_interrupted_first_start_starts_again(tmp_path: Path, left: tuple[str, ...]) -> None:
    root = tmp_path / "data"
    root.mkdir()
    for name in left:
        (root / name).touch()
    (root / "secret.new").write_bytes(b"half")
    with serving(root) as (url, key):
        assert key is not None
        publish(url, key)


def test_an_empty_postgresql_beside_a_used_folder_is_refused(used: Path, postgres: Postgres) -> None:
    url = postgres.create_database()
    ran = run(used, "serve", UPDATER_STORAGE__DATABASE_URL=url)
    assert ran.returncode == 1
    assert "updater migrate-database" in ran.stderr
    assert run(used, "migrate-database", UPDATER_STORAGE__DATABASE_URL=url).returncode == 0
    with serving(used, UPDATER_STORAGE__DATABASE_URL=url) as (address, _):
        assert call(f"{address}/api/v1/updates/my-app/download/1.0.0/linux/amd64") == (200, b"1.0.0")
    (used / "secret").unlink()
    refused = run(used, "serve", UPDATER_STORAGE__DATABASE_URL=url)
    assert refused.returncode == 1 and "other machines" in refused.stderr


def test_a_removed_lock_lets_no_second_process_in(tmp_path: Path) -> None:
    with hold_folder(tmp_path):
        (tmp_path / "lock").unlink()
        with pytest.raises(FolderInUse), hold_folder(tmp_path):
            pass
    with hold_folder(tmp_path):
        pass


def test_a_version_that_locks_the_file_alone_is_respected(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(FolderInUse), hold_folder(tmp_path):
            pass


def test_where_folders_cannot_be_locked_the_file_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fcntl.flock

    def flock(descriptor: int, how: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").is_dir():
            raise OSError(9, "Bad file descriptor")
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", flock)
    with hold_folder(tmp_path), pytest.raises(ConfigurationError, match="in use"), hold_folder(tmp_path):
        pass


NAMES = ["a?b=c&d%41 100% #x ~ 'y' größe 🚀", "file:x?mode=ro", "~", "x" * 120]


@pytest.mark.parametrize("name", [*NAMES, "slash/", "link"])
def test_a_data_folder_may_have_any_name(tmp_path: Path, name: str) -> None:
    root = f"{tmp_path}/{name}"
    if name == "link":
        (tmp_path / "real").mkdir()
        Path(root).symlink_to("real")
    backup = tmp_path / "backup"
    with serving(root) as (url, first):
        assert first is not None
        made = run(root, "key", "create", "ci", "--level", "write")
        assert made.returncode == 0, made.stderr
        publish(url, first)
        assert call(f"{url}/api/v1/updates/my-app/download/1.0.0/linux/amd64") == (200, b"1.0.0")
        assert run(root, "verify").stdout == "1 checked, 0 damaged\n"
        assert run(root, "backup", backup).returncode == 0
    assert run(root, "key", "list").stdout.count("ci") == 1
    assert run(root, "verify").stdout == "1 checked, 0 damaged\n"
    assert run(root, "backup", backup).returncode == 0
    again = tmp_path / "again" / name
    assert run(again, "restore", backup).returncode == 0
    assert run(again, "verify").stdout == "1 checked, 0 damaged\n"
    assert {each.name for each in tmp_path.iterdir()} <= {Path(root).name, "backup", "again", "real"}
