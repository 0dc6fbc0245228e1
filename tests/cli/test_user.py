"""`updater user`, as a process: in the data folder, and through the running service."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.databases import place_database
from updater.access.keys import load_secret

PASSWORD = b"correct horse battery\n"


@pytest.fixture
def environment(tmp_path: Path, database_url: str | None) -> dict[str, str]:
    storage = {"UPDATER_STORAGE__ROOT": str(tmp_path / "storage")}
    (tmp_path / "storage").mkdir()
    if database_url is None:
        place_database(tmp_path / "storage")
    else:
        load_secret(tmp_path / "storage" / "secret")
        storage["UPDATER_STORAGE__DATABASE_URL"] = database_url
    return {**storage, "PATH": "", "PYTHONPATH": ":".join(sys.path)}


async def run(environment: dict[str, str], *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "updater", "user", *words),
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    return process.returncode or 0, out.decode(), err.decode()


async def test_people_from_the_command_line(environment: dict[str, str]) -> None:
    create = ("create", "Anna", "--role", "admin", "--password-stdin")
    status, out, err = await run(environment, *create, "--json", stdin=PASSWORD)
    assert (status, err) == (0, "")
    assert json.loads(out)["name"] == "anna"
    assert (await run(environment, *create, stdin=PASSWORD))[0] == 6
    status, _, err = await run(environment, "create", "b", "--role", "user", "--password-stdin", stdin=b"short\n")
    assert status == 7
    assert "password" in err
    status, out, _ = await run(environment, "session", "anna", "--minutes", "5")
    assert status == 0
    assert len(out.strip()) == 43
    assert (await run(environment, "password", "anna", "--password-stdin", stdin=b"another password\n"))[0] == 0
    status, _, err = await run(environment, "disable", "anna")
    assert (status, err) == (6, "Error: anna is the last administrator who can sign in; make another one first\n")
    assert (await run(environment, "create", "c", "--role", "user", "--password-stdin", stdin=PASSWORD))[0] == 0
    assert (await run(environment, "role", "c", "admin"))[1] == "c is admin now; all their sessions are over\n"
    assert (await run(environment, "disable", "anna"))[0] == 0
    assert (await run(environment, "session", "anna", "--minutes", "5"))[0] == 6
    status, out, _ = await run(environment, "list", "--json")
    assert json.loads(out)[0]["disabled_at"] is not None
    assert (await run(environment, "disable", "anna", "--undo"))[1] == "anna may sign in\n"
    assert (await run(environment, "disable", "nobody"))[0] == 5


async def test_people_of_a_running_service(environment: dict[str, str]) -> None:
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "updater", "serve"),
        env={**environment, "UPDATER_SERVER__PORT": "0"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert server.stderr is not None
    try:
        async with asyncio.timeout(30):
            while b"listening" not in (said := await server.stderr.readline()):
                assert said
        assert (await run(environment, "create", "anna", "--role", "user", "--password-stdin", stdin=PASSWORD))[0] == 0
        status, out, _ = await run(environment, "list")
        assert status == 0
        assert "anna" in out
    finally:
        server.terminate()
        await server.wait()


@pytest.mark.parametrize(
    "words", [("create", "a", "--role", "chief"), ("session", "a"), ("session", "a", "--minutes", "0")]
)
async def test_usage(environment: dict[str, str], words: Any) -> None:
    assert (await run(environment, *words))[0] == 2
