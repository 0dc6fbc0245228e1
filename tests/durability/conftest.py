"""Real server processes that tests stop, kill, trace and starve."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg
import pytest

from tests.actors import TESTER
from tests.conftest import KEYS, settings_tree
from updater.composition import open_services
from updater.config import load
from updater.errors import ConfigurationError, Failure
from updater.operations import OPERATIONS

READY_S = 5.0
PROJECT = Path(__file__).parents[2]


def require(fits: bool, reason: str) -> None:
    """Skip where the machine cannot do it; on CI that is a failure, so that it is noticed."""
    if not fits:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@functools.cache
def tracer_works() -> bool:
    """Tell whether this machine has strace and lets it trace."""
    strace = shutil.which("strace")
    return (
        strace is not None and subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True).returncode == 0
    )


def require_strace() -> str:
    require(tracer_works(), "needs strace, and the right to trace")
    return "strace"


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("service", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Place:
    """A data folder, and the database that goes with it: None for the one in it."""

    root: Path
    database_url: str | None

    @property
    def steps(self) -> Path:
        """Where a process that is to be killed writes down which steps it passed."""
        return self.root.with_suffix(".steps")

    def environment(self, **sections: dict[str, Any]) -> dict[str, str]:
        sections["server"] = {"port": 0, **sections.get("server", {})}
        sections["storage"] = {"root": str(self.root), "database_url": self.database_url, **sections.get("storage", {})}
        return settings_tree(self.root, **sections)

    def ask(self, statement: str) -> list[tuple[str, ...]]:
        """Run a statement behind the service's back; return the rows, as text."""
        if self.database_url is not None:
            return asyncio.run(self._ask(self.database_url, statement))
        with contextlib.closing(
            sqlite3.connect(self.root / "updater.db", timeout=30, isolation_level=None)
        ) as database:
            return [tuple(map(str, row)) for row in database.execute(statement)]

    async def _ask(self, url: str, statement: str) -> list[tuple[str, ...]]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(map(str, row)) for row in await connection.fetch(statement)]
        finally:
            await connection.close()


class Server:
    """A running `updater serve` and how to talk to it, without any event loop."""

    def __init__(self, place: Place, pid: int, port: int, wait: Callable[[], int], said: Callable[[], str]) -> None:
        self.place, self.root, self.pid, self.port = place, place.root, pid, port
        self.wait = wait
        self.said = said

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        key: str = "admin",
        timeout_s: float = 60,
        content_type: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Any:
        """Send one request; return status, headers and body. A dict goes as JSON, an empty key is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        headers = {"Connection": "close", **headers}
        if key:
            headers["Authorization"] = f"Bearer {KEYS.get(key, key)}"
        if content_type is not None:
            headers["Content-Type"] = content_type
        if isinstance(body, dict):
            headers["Content-Type"] = "application/json"
            body = json.dumps(body).encode()
        with contextlib.closing(connection):
            connection.request(method, f"/api/v1{path}", body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def status(self, method: str, path: str, body: Any = None, **more: Any) -> int:
        return int(self.call(method, path, body, **more)[0])

    def create_application(self, application_id: str = "my-app") -> None:
        given = {"id": application_id, "name": "My App", "platforms": ["linux", "windows"]}
        assert self.status("POST", "/applications", given) == 201

    def publish(self, content: bytes, version: str, **more: Any) -> int:
        return self.status("PUT", f"/updates/my-app/builds/{version}/linux/amd64", content, **more)

    def download(self, version: str) -> tuple[int, bytes]:
        status, _, body = self.call("GET", f"/updates/my-app/download/{version}/linux/amd64")
        return status, body

    def report(self, report_id: str | None = None, **more: Any) -> int:
        given = {
            "current_version": "1.0.0",
            "target_version": "1.1.0",
            "platform": "linux",
            "architecture": "amd64",
            "status": "completed",
            **({"report_id": report_id} if report_id else {}),
        }
        return self.status("POST", "/updates/my-app/status", given, **more)

    def offered(self, current: str = "0.0.1") -> str | None:
        question = f"current_version={current}&platform=linux&architecture=amd64"
        status, _, body = self.call("GET", f"/updates/my-app/check?{question}")
        assert status == 200, body
        found: str | None = json.loads(body).get("latest_version")
        return found

    def operate(self, operation: str, **arguments: Any) -> Any:
        """Run an operation as the command line does: through the control socket, or beside it; return its result."""
        if self.place.database_url is not None:
            return asyncio.run(self._operate_beside(operation, arguments))
        connection = _UnixConnection(self.root / "control.sock")
        with contextlib.closing(connection):
            connection.request("POST", f"/{operation}", json.dumps(arguments), {"Content-Type": "application/json"})
            lines = connection.getresponse().read().splitlines()
        last = json.loads(lines[-1])
        if "result" not in last:
            raise KeyError(f"{operation}: {last}")
        return last["result"]

    async def _operate_beside(self, operation: str, arguments: dict[str, Any]) -> Any:
        """Fails as the socket does when the service is gone, or its disk."""
        if is_gone(self.pid):
            raise ConnectionRefusedError
        try:
            async with open_services(load(None, self.place.environment())) as services:
                events = [event async for event in OPERATIONS[operation](services, TESTER, **arguments)]
        except (Failure, ConfigurationError) as failure:
            raise ConnectionError from failure
        return events[-1]["result"]

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> int:
        self.send(signal.SIGKILL)
        return self.wait()

    def stop(self) -> int:
        self.send(signal.SIGTERM)
        return self.wait()

    def incoming(self) -> list[str]:
        return sorted(path.name for path in (self.root / "incoming").iterdir())

    def blobs(self) -> dict[str, Path]:
        return {path.name: path for path in (self.root / "blobs").glob("??/??/*")}


class EndedEarly(AssertionError):
    """The service ended before it listened."""


def await_port(said: Callable[[], str], gone: Callable[[], bool]) -> int:
    """Return the port that the service announces. Fails when it does not within `READY_S` (more under a tracer)."""
    deadline_s = time.monotonic() + 12 * READY_S
    while time.monotonic() < deadline_s:
        ended = gone()
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", said())
        if found:
            return int(found[1])
        if ended:
            raise EndedEarly(said()[-2000:])
        time.sleep(0.005)
    raise AssertionError(f"the service is not ready: {said()[-2000:]}")


def is_gone(pid: int) -> bool:
    """Tell whether a process ended, reaped or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


class Warm:
    """Forks services from a process that has imported everything; `patch` is code that it runs before."""

    def __init__(self, patch: str = "") -> None:
        program = f"import runpy\n{patch}\nrunpy.run_module('tests.durability.warm', run_name='__main__')"
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=PROJECT,
        )
        self._read()  # it has imported everything: no start that is measured waits for that
        self._running: set[int] = set()

    def start(
        self,
        place: Place,
        *,
        fail_at: int | None = None,
        armed: bool = False,
        log: Path | None = None,
        begun: Callable[[int], None] = lambda _: None,
        **sections: dict[str, Any],
    ) -> Server:
        """Start a service; `begun` is called with its process id before it is ready."""
        output = log or place.root.with_suffix(".log")
        output.unlink(missing_ok=True)  # or the port of the service before would be read
        pid = self._fork(place, ("serve",), output, fail_at=fail_at, armed=armed, **sections)
        begun(pid)
        said = lambda: output.read_text() if output.exists() else ""  # noqa: E731
        try:
            port = await_port(said, lambda: is_gone(pid))
        except EndedEarly:
            self._wait(pid)  # until its last thread is gone, it holds the folder
            raise
        return Server(place, pid, port, lambda: self._wait(pid), said)

    def run(self, place: Place, *words: str, fail_at: int) -> int:
        """Run a command that is killed at a step, if it gets so far; return its exit status."""
        return self._wait(self._fork(place, words, place.root.with_suffix(".command"), fail_at=fail_at, armed=True))

    def end_all(self) -> None:
        """Kill what a failed test left running, and wait until it is gone."""
        for pid in tuple(self._running):
            os.kill(pid, signal.SIGKILL)
            self._wait(pid)

    def close(self) -> None:
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
        self._process.communicate()

    def _fork(
        self,
        place: Place,
        words: tuple[str, ...],
        output: Path,
        *,
        fail_at: int | None,
        armed: bool,
        **sections: dict[str, Any],
    ) -> int:
        pid = self._ask(
            words=words,
            environment=place.environment(**sections),
            output=str(output),
            fail_at=fail_at,
            armed=armed,
            steps="" if fail_at is None else str(place.steps),
        )["pid"]
        self._running.add(pid)
        return int(pid)

    def _wait(self, pid: int) -> int:
        self._running.discard(pid)
        return int(self._ask(wait=pid)["status"])

    def _ask(self, **order: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Give a starter of services that are up in a moment."""
    starter = Warm()
    yield starter
    starter.close()


@pytest.fixture
def place(tmp_path: Path, database_url: str | None) -> Place:
    """Return where this test's service keeps what it has."""
    return Place(tmp_path / "storage", database_url)


Launch = Callable[..., Server]


@pytest.fixture
def launch(place: Place) -> Iterator[Launch]:
    """Return a function that starts `python -m updater serve`, under `tracer` when given, in a group of its own."""
    started: list[subprocess.Popen[bytes]] = []

    def start(
        *,
        tracer: tuple[str, ...] = (),
        program: tuple[str, ...] = ("-m", "updater"),
        at: Path = place.root,
        stdout: Path | None = None,
        from_file: tuple[str, ...] = (),
        preload: str = "",
        **sections: dict[str, Any],
    ) -> Server:
        given = tuple(f"UPDATER_{section}__".upper() for section in from_file)
        there = dataclasses.replace(place, root=at)
        environment = {
            name: text for name, text in there.environment(**sections).items() if not name.startswith(given or ("-",))
        }
        # The log lies outside the data folder: that folder may be a full disk.
        errors = place.root.parent / f"stderr-{len(started)}"
        with errors.open("wb") as stderr, (stdout or Path(os.devnull)).open("wb") as out:
            process = subprocess.Popen(
                [*tracer, sys.executable, "-W", "error", *program, "serve"],
                env={**os.environ, **environment, **({"LD_PRELOAD": preload} if preload else {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=stderr,
                cwd=PROJECT,
                start_new_session=True,
            )
        started.append(process)
        port = await_port(errors.read_text, lambda: process.poll() is not None)
        pid = process.pid if not tracer else _child_of(process.pid)
        return Server(there, pid, port, lambda: process.wait(30), errors.read_text)

    yield start
    for process in started:
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError, FileNotFoundError, IndexError):
                os.kill(_child_of(process.pid), signal.SIGKILL)
            process.kill()
        process.wait()


def _child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
