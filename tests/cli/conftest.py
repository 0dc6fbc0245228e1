from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conftest import Running


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Updater = Callable[..., Awaitable[Ran]]


@pytest.fixture
def updater(server: Running) -> Updater:
    """Run the command as a process of its own, against the server, with its key unless told otherwise."""

    async def run(*words: object, url: str = server.url, key: str = server.key, stdin: bytes = b"") -> Ran:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-W", "error", "-m", "updater"),
            *map(str, words),
            env={"UPDATER_SERVER": url, "UPDATER_KEY": key, "PATH": "", "PYTHONPATH": ":".join(sys.path)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate(stdin)
        return Ran(process.returncode or 0, out.decode(), err.decode())

    return run
