"""`updater doctor` with real faults: each is named with its remedy, nothing is changed, and the status says so."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_tree
from tests.deployments.site import Site
from tests.ports import free_port
from tests.servers.tls import tls_server
from updater.doctor import service


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


Run = Callable[..., tuple[int, dict[str, dict[str, Any]]]]


@pytest.fixture
def examine(tmp_path: Path) -> Run:
    """Run the command in a process of its own; return its status, and its findings by subject."""

    def run(root: Path | None = None, **sections: Any) -> tuple[int, dict[str, dict[str, Any]]]:
        sections = {"server": {"port": free_port()}, **sections}
        given = settings_tree(root or tmp_path / "storage", **sections)
        others = {name: text for name, text in os.environ.items() if not name.startswith("UPDATER_")}
        command = [sys.executable, "-m", "updater", "doctor", "--json"]
        done = subprocess.run(command, env={**others, **given}, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, {each["subject"]: each for each in json.loads(done.stdout)["findings"]}

    return run


def test_nothing_is_wrong_and_nothing_is_made(examine: Run, tmp_path: Path) -> None:
    status, found = examine()
    assert (status, list(tmp_path.iterdir())) == (0, [])
    assert {each["state"] for each in found.values()} <= {"ok", "warning"}
    assert list(found) == [
        "settings", "packages", "data folder", "free space", "open files", "port", "clock", "database", "stored files",
    ]  # fmt: skip


def test_five_things_are_broken(examine: Run, tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    record = {**site.record(), "remote": "nowhere"}
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        status, found = examine(
            root=tmp_path / "site" / "work" / "app.py",
            server={"port": taken.getsockname()[1], "public_url": f"http://127.0.0.1:{free_port()}"},
            storage={"blob_url": f"s3://bucket?endpoint=http://127.0.0.1:{free_port()}&region=x"},
            rate_limit={"enabled": True, "storage_url": f"redis://:a-secret-word@127.0.0.1:{free_port()}/0"},
            deployments=[record],
        )
    assert status == 1
    states = {subject: each["state"] for subject, each in found.items()}
    for subject in ("data folder", "port", "stored files", "public_url", "deployment web"):
        assert states[subject] == "error", (subject, found[subject])
        assert found[subject]["remedy"]
    assert states["Redis"] == "warning"
    assert "nowhere" in found["deployment web"]["seen"]
    assert "a-secret-word" not in json.dumps(found)


def test_wrong_settings_are_a_finding(examine: Run) -> None:
    status, found = examine(server={"port": 700_000})
    assert (status, found["settings"]["state"], list(found)) == (1, "error", ["settings"])
    assert "server.port" in found["settings"]["seen"]


def _database(root: Path, revision: str = "0001") -> Path:
    root.mkdir()
    with closing(sqlite3.connect(root / "updater.db")) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES (?)", [revision])
        connection.execute("CREATE TABLE filler AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
                           "WHERE i < 9000) SELECT i, hex(randomblob(40)) AS text FROM n")  # fmt: skip
        connection.execute("CREATE INDEX by_text ON filler (text)")
    return root / "updater.db"


def test_the_database_is_older_newer_or_damaged(examine: Run, tmp_path: Path) -> None:
    """Control: without `PRAGMA quick_check` the damaged one is found well."""
    old = _database(tmp_path / "old")
    before = old.read_bytes()
    status, found = examine(root=old.parent)
    assert (status, found["database"]["state"]) == (0, "warning")
    assert "0001" in found["database"]["seen"]
    assert old.read_bytes() == before, "nothing is migrated"
    status, found = examine(root=_database(tmp_path / "new", "9999").parent)
    assert (status, found["database"]["state"]) == (1, "error")
    damaged = _database(tmp_path / "damaged")
    with damaged.open("r+b") as file:
        file.seek(damaged.stat().st_size // 2)
        file.write(b"\xff" * 8192)
    status, found = examine(root=damaged.parent)
    assert (status, found["database"]["state"]) == (1, "error")
    assert "damaged" in found["database"]["seen"]


def test_programs_count_from_the_checkout_or_by_path(examine: Run, tmp_path: Path) -> None:
    """Control: red when a name with a slash counts from the folder in which the command is run."""
    site = Site(tmp_path / "site")
    tool = site.checkout / "build.sh"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    for program, state in (("./build.sh", "ok"), ("sh", "ok"), ("./absent.sh", "error"), ("no-such-program", "error")):
        _, found = examine(deployments=[site.record(steps=[{"name": "dependencies", "command": [program]}])])
        assert found["deployment web"]["state"] == state, (program, found["deployment web"])
    assert "no-such-program" in found["deployment web"]["seen"]


async def test_what_nobody_foresaw_is_a_finding(
    make_settings: Any, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Control: red when deployments are looked at outside the bound; no address with its password is shown."""

    async def fail(_: Any) -> None:
        raise RuntimeError("postgresql://updater:canary@db/x is odd")

    for name in ("look_at_database", "look_at_deployment"):
        monkeypatch.setattr(service, name, fail)
    settings = make_settings(server={"port": free_port()}, deployments=[site.record()])
    found = {each.subject: each async for each in service.examine(settings)}
    for subject in ("database", "deployment web"):
        assert (found[subject].state, "RuntimeError" in found[subject].seen) == ("error", True)
        assert "canary" not in found[subject].seen


async def test_a_service_that_runs_is_well(start_service: Any, examine: Run) -> None:
    running = await start_service()
    port = int(running.url.rpartition(":")[2])
    status, found = await asyncio.to_thread(examine, server={"port": port, "public_url": running.url})
    assert (status, found["port"]["state"], found["service"]["seen"]) == (0, "ok", "healthy")
    assert found["public_url"]["state"] == "ok"


@pytest.mark.parametrize(
    ("days", "is_trusted", "state"),
    [(200, True, "ok"), (5, True, "warning"), (-1, True, "error"), (200, False, "error")],
)
def test_the_certificate_of_the_public_address(
    examine: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, is_trusted: bool, state: str
) -> None:
    with tls_server(tmp_path, days) as (port, certificate):
        if is_trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        _, found = examine(server={"port": free_port(), "public_url": f"https://localhost:{port}"})
    assert found["certificate"]["state"] == state, found["certificate"]
