"""Only its own user reads what the service stores, whatever the umask; with x-accel nginx's group reads the files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.durability.conftest import Place, Server, await_port, require
from updater.clock import utc_now
from updater.deployments import locks
from updater.deployments.journal import Journal, RunFolder, new_run_id
from updater.deployments.model import Kind, LogLevel, Plan
from updater.permissions import bind_private
from updater.settings import DeploymentSettings

pytestmark = pytest.mark.sqlite("looks at the file of the embedded database, and at backups of it")
UMASKS = (0, 0o022, 0o077)


@pytest.fixture(params=UMASKS, ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run the test, and the processes that it starts, with this umask."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(root: Path) -> dict[str, int]:
    """Return the mode of everything below a folder, and of itself, by its path in there."""
    return {
        str(path.relative_to(root)): stat.S_IMODE(path.lstat().st_mode)
        for path in (root, *root.rglob("*"))
        if not path.is_symlink()
    }


def run(place: Place, *arguments: str, **sections: Any) -> None:
    command = [sys.executable, "-m", "updater", *arguments]
    subprocess.run(command, check=True, env={**os.environ, **place.environment(**sections)}, capture_output=True)


@contextmanager
def serving(place: Place, **sections: Any) -> Iterator[Server]:
    """Run a service that is started as a process of its own, and so has this process's umask."""
    output = place.root.with_suffix(".log")
    with output.open("wb") as file:
        environment = {**os.environ, **place.environment(**sections)}
        command = [sys.executable, "-m", "updater", "serve"]
        with subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT) as process:
            try:
                port = await_port(output.read_text, lambda: process.poll() is not None)
                yield Server(place, process.pid, port, process.wait, output.read_text)
            finally:
                process.terminate()


def used_once(place: Place, **sections: Any) -> None:
    """Start the service, publish, run a command through its socket, and end it."""
    with serving(place, **sections) as server:
        server.create_application()
        assert server.publish(b"bytes" * 1000, "1.0.0") == 201
        assert stat.S_IMODE((place.root / "control.sock").stat().st_mode) == 0o600
        run(place, "backup", str(place.root.with_name("backup")), **sections)


def test_nobody_else_reads_what_is_stored(place: Place, umask: int) -> None:
    used_once(place)
    run(place, "restore", str(place.root.with_name("backup")), storage={"root": str(place.root.with_name("restored"))})
    for root in (place.root, place.root.with_name("backup"), place.root.with_name("restored")):
        found = modes(root)
        assert "blobs" in found
        assert {name: oct(mode) for name, mode in found.items() if mode & 0o077} == {}
        assert found["."] == 0o700


def test_the_group_reads_files_that_nginx_sends_and_nothing_else(place: Place, umask: int) -> None:
    used_once(place)
    used = {"storage": {"offload": "x-accel"}}
    with serving(place, **used) as server:
        assert server.publish(b"more" * 1000, "1.1.0") == 201
    found = modes(place.root)
    assert found["."] == 0o750
    for name, mode in found.items():
        if name == "blobs" or name.startswith("blobs/"):
            assert mode == (0o750 if (place.root / name).is_dir() else 0o640), name
        elif name != ".":
            assert not mode & 0o077, name
    with serving(place):
        assert {name for name, mode in modes(place.root).items() if mode & 0o077} == set()


def test_a_folder_that_was_open_is_closed_and_said(place: Place) -> None:
    used_once(place)
    for path in (place.root, *place.root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with serving(place) as server:
        assert server.publish(b"more", "1.1.0") == 201
        assert "storage.modes_changed" in server.said()
    assert {name: oct(mode) for name, mode in modes(place.root).items() if mode & 0o077} == {}


def test_a_folder_of_somebody_else_is_used_as_it_is(place: Place) -> None:
    require(os.geteuid() == 0, "needs the right to give a folder away")
    place.root.mkdir()
    place.root.chmod(0o1777)
    with serving(place) as server:
        server.create_application()
        assert server.publish(b"bytes", "1.0.0") == 201
    found = modes(place.root)
    assert found.pop(".") == 0o1777
    assert not any(mode & 0o077 for mode in found.values())


async def test_runs_of_deployments_are_private(umask: int, tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir(0o700)
    home = root / "deployments" / "web"
    async with locks.exclusive(home / "exclusive"):
        plan = Plan(new_run_id(utc_now()), Kind.APPLY, DeploymentSettings("web", "/srv"), utc_now())
        folder, watch = RunFolder.create(home, plan)
    os.close(watch)
    journal = Journal(folder)
    journal.log(LogLevel.INFO, None, "first")
    journal.close()
    assert {name: oct(mode) for name, mode in modes(root).items() if mode & 0o077} == {}


async def test_a_private_socket_needs_no_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with bind_private(str(tmp_path / "socket")):
            assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o600
    finally:
        os.umask(before)
