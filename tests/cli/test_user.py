"""`updater user`, as a process: in the data folder, and through the running service."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

PASSWORD = b"correct horse battery\n"


async def run(root: Path, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-m", "updater", "user", *words),
        env={"UPDATER_STORAGE__ROOT": str(root), "PATH": "", "PYTHONPATH": ":".join(sys.path)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(stdin)
    return process.returncode or 0, out.decode(), err.decode()


async def test_people_from_the_command_line(tmp_path: Path) -> None:
    root = tmp_path / "storage"
    create = ("create", "Anna", "--role", "admin", "--password-stdin")
    status, out, err = await run(root, *create, "--json", stdin=PASSWORD)
    assert (status, err) == (0, "")
    assert json.loads(out)["name"] == "anna"
    assert (await run(root, *create, stdin=PASSWORD))[0] == 6
    status, _, err = await run(root, "create", "b", "--role", "user", "--password-stdin", stdin=b"short\n")
    assert status == 7
    assert "password" in err
    status, out, _ = await run(root, "session", "anna", "--minutes", "5")
    assert status == 0
    assert len(out.strip()) == 43
    assert (await run(root, "password", "anna", "--password-stdin", stdin=b"another password\n"))[0] == 0
    assert (await run(root, "disable", "anna"))[0] == 0
    assert (await run(root, "session", "anna", "--minutes", "5"))[0] == 6
    status, out, _ = await run(root, "list", "--json")
    assert json.loads(out)[0]["disabled_at"] is not None
    assert (await run(root, "disable", "anna", "--undo"))[1] == "anna may sign in\n"
    assert (await run(root, "disable", "nobody"))[0] == 5


async def test_people_of_a_running_service(tmp_path: Path) -> None:
    root = tmp_path / "storage"
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "updater", "serve"),
        env={"UPDATER_STORAGE__ROOT": str(root), "UPDATER_SERVER__PORT": "0", "PYTHONPATH": ":".join(sys.path)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert server.stderr is not None
    try:
        async with asyncio.timeout(30):
            while b"listening" not in (said := await server.stderr.readline()):
                assert said
        assert (await run(root, "create", "anna", "--role", "user", "--password-stdin", stdin=PASSWORD))[0] == 0
        status, out, _ = await run(root, "list")
        assert status == 0
        assert "anna" in out
    finally:
        server.terminate()
        await server.wait()


@pytest.mark.parametrize(
    "words", [("create", "a", "--role", "chief"), ("session", "a"), ("session", "a", "--minutes", "0")]
)
async def test_usage(tmp_path: Path, words: Any) -> None:
    assert (await run(tmp_path / "storage", *words))[0] == 2
