from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.conftest import Running
from tests.databases import place_folder
from tests.threaded import running_service, threaded
from updater.cli import main


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Updater = Callable[..., Awaitable[Ran]]
Command = Callable[..., Ran]


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


def invoke(*words: object, environment: Mapping[str, str | None] | None = None, stdin: str = "") -> Ran:
    """Run the command in this process; an exception that a command does not expect is a failed test."""
    cleared = {name: None for name in os.environ if name.startswith("UPDATER_")}
    result = CliRunner(env={**cleared, **(environment or {})}).invoke(
        main, [*map(str, words)], input=stdin, prog_name="updater"
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run one service for a module of tests; each test makes applications of its own in it."""
    with threaded(lambda: running_service(tmp_path_factory.mktemp("shared") / "storage")) as running:
        yield running


@pytest.fixture
def remote(shared: Running) -> Command:
    """Return a function that runs a command against the shared service, with its key unless told otherwise."""

    def run(*words: object, url: str = shared.url, key: str = shared.key, stdin: str = "") -> Ran:
        environment = {"UPDATER_SERVER": url, "UPDATER_KEY": key}
        return invoke(*words, environment=environment, stdin=stdin)

    return run


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """Return the data folder of `local`, as a first start leaves it that was ended before it made a key."""
    return place_folder(tmp_path / "data")


@pytest.fixture
def local(tmp_path: Path) -> Command:
    """Return a function that runs a command on a data folder of this test, `tmp_path / "data"`."""

    def run(*words: object, stdin: str = "", **settings: str) -> Ran:
        environment = {f"UPDATER_{name.upper()}": value for name, value in settings.items()}
        environment.setdefault("UPDATER_STORAGE__ROOT", str(tmp_path / "data"))
        return invoke(*words, environment=environment, stdin=stdin)

    return run
