"""What a command imports: one that works on the data folder brings in neither the web nor an HTTP client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import settings_tree
from tests.databases import place_folder
from tests.deployments.site import git

# The last line on stdout names what was imported, whatever the command printed before it.
_CODE = """
import json, sys
from updater.cli import main
try:
    main(sys.argv[1:], prog_name="updater")
except SystemExit as ended:
    print("\\n" + json.dumps([ended.code or 0, sorted(sys.modules)]))
"""
ACCESS = (
    ("key", "create", "ci", "--level", "read"),
    ("key", "revoke", "1"),
    ("user", "create", "anna", "--role", "user", "--password-stdin"),
    ("user", "password", "anna", "--password-stdin"),
    ("user", "session", "anna", "--minutes", "5"),
    ("user", "disable", "anna"),
)
LISTS = (("key", "list"), ("key", "list", "--json"), ("user", "list"))
OTHERS = (
    ("verify",),
    ("collect",),
    ("retain",),
    ("backup", "backup"),
    ("audit",),
    ("audit", "verify"),
    ("migrate-blobs", "local", "local"),
    ("migrate-database",),
    ("deployment", "check"),
    ("deployment", "log"),
    ("deployment", "announce", "web", "--version", "9.9.9"),
    ("deployment", "apply", "--background"),
    ("deployment", "rollback"),
    ("restart",),
    ("doctor",),
    ("config", "show"),
    ("config", "check"),
)
WEB = ("aiohttp", "updater.web", "updater_client", "updater.serving", "updater.app")
ALL_BUT_ACCESS = (*WEB, "updater.composition", "updater.catalog", "updater.telemetry", "updater.deployments")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder whose data folder has a database, and a checkout to deploy."""
    folder = tmp_path_factory.mktemp("imports")
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git(folder, "clone", "--quiet", "remote.git", "work")
    git(folder / "work", "checkout", "--quiet", "-B", "main")
    git(folder / "work", "commit", "--quiet", "--allow-empty", "-m", "one")
    git(folder / "work", "push", "--quiet", "origin", "HEAD:main")
    git(folder, "clone", "--quiet", "remote.git", "checkout")
    place_folder(folder / "data")
    assert imported(folder, "key", "list")[0] == 0
    return folder


def imported(folder: Path, *words: str) -> tuple[int, set[str]]:
    """Run a command in a fresh interpreter; return its exit status and the names of all modules it imported."""
    steps = [{"name": "dependencies", "command": ["true"]}]
    record = {"id": "web", "path": str(folder / "checkout"), "protocols": ["file"], "steps": steps}
    environment = {**os.environ, **settings_tree(folder / "data", deployments=[record])}
    run = subprocess.run(
        [sys.executable, "-c", _CODE, *words],
        env=environment, cwd=folder, input="a long password\n", capture_output=True, text=True,
    )  # fmt: skip
    assert "Traceback" not in run.stderr, run.stderr
    status, modules = json.loads(run.stdout.splitlines()[-1])
    return status, set(modules)


def found(modules: set[str], unwanted: tuple[str, ...]) -> list[str]:
    return sorted(name for name in modules if any(name == each or name.startswith(f"{each}.") for each in unwanted))


def test_commands_about_keys_and_people_import_access_alone(folder: Path) -> None:
    for words in ACCESS:
        status, modules = imported(folder, *words)
        assert (status, found(modules, ALL_BUT_ACCESS)) == (0, []), words
        assert "sqlalchemy" in modules, words


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_listing_does_without_sqlalchemy_and_a_log(folder: Path, words: tuple[str, ...]) -> None:
    status, modules = imported(folder, *words)
    assert (status, found(modules, (*ALL_BUT_ACCESS, "sqlalchemy", "alembic", "structlog"))) == (0, [])


@pytest.mark.parametrize("words", OTHERS, ids=" ".join)
def test_no_local_command_imports_the_web(folder: Path, words: tuple[str, ...]) -> None:
    _, modules = imported(folder, *words)
    assert found(modules, WEB) == []


def test_a_restore_imports_no_web(folder: Path, tmp_path: Path) -> None:
    assert imported(folder, "backup", str(tmp_path / "backup"))[0] == 0
    status, modules = imported(tmp_path, "restore", str(tmp_path / "backup"))
    assert (status, found(modules, WEB)) == (0, [])


def test_the_check_itself_can_fail(folder: Path) -> None:
    """The control: a command that talks to a server does import what the others may not."""
    status, modules = imported(folder, "app", "list", "--server", "http://127.0.0.1:1", "--retries", "0")
    assert status == 8
    assert {"aiohttp", "updater_client"} <= set(found(modules, WEB))
    assert found({"updater.webhooks", "aiohttp_other"}, WEB) == []


def test_every_local_command_is_in_the_lists() -> None:
    from updater.cli import COMMANDS

    remote = {
        "publish",
        "check",
        "fetch",
        "report",
        "app",
        "release",
        "figures",
        "webhook",
        "rollout",
        "explain",
        "history",
        "feeds",
    }
    assert {words[0] for words in (*ACCESS, *LISTS, *OTHERS)} | {"restore", "serve"} == set(COMMANDS) - remote
