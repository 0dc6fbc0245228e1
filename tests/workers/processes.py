"""A parent with its workers, or a service alone, as processes of their own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import KEYS, settings_tree
from tests.databases import place_database

READY_S = 90
# As systemd does it: the socket is descriptor 3, and LISTEN_PID that of the process that the service is.
_HANDING = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


@dataclass
class Started:
    """A process that serves, and what it wrote."""

    process: subprocess.Popen[bytes]
    output: Path
    environment: dict[str, str]

    @property
    def url(self) -> str:
        found = re.search(r"listening on (http://\S+)", self.said())
        assert found is not None, self.said()
        return found[1]

    def said(self) -> str:
        return self.output.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log's lines of this kind."""
        lines = [line for line in self.said().splitlines() if line.startswith("{")]
        return [each for line in lines if (each := json.loads(line))["event"] == name]

    def workers(self) -> dict[int, int]:
        """Return the process ids of the workers, the newest of each number."""
        return {each["worker"]: each["pid"] for each in self.events("worker.started")}

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the program beside it."""
        command = [sys.executable, "-m", "updater", *words]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=READY_S)

    def call(self, method: str, path: str, body: bytes | dict[str, Any] | None = None, key: str = "write") -> bytes:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        kind = "application/json" if isinstance(body, dict) else "application/octet-stream"
        headers = {"Authorization": f"Bearer {KEYS[key]}", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=READY_S) as response:
            content: bytes = response.read()
        return content

    def publish(self, content: bytes, version: str = "1.0.0") -> str:
        """Make `my-app` with one build; return the path of its download."""
        self.call("POST", "/api/v1/applications", {"id": "my-app", "name": "My App", "platforms": ["linux"]})
        # Another worker may take a second to hear of the application.
        wait_until(lambda: self._knows_everywhere("/api/v1/applications/my-app"), "the application")
        self.call("PUT", f"/api/v1/updates/my-app/builds/{version}/linux/amd64", content)
        path = f"/api/v1/updates/my-app/download/{version}/linux/amd64"
        wait_until(lambda: self._knows_everywhere(path, method="HEAD"), "the build")
        return path

    def _knows_everywhere(self, path: str, method: str = "GET") -> bool:
        """Tell whether a number of new connections, which are spread over the workers, all find it."""
        try:
            for _ in range(12):
                self.call(method, path)
        except urllib.error.HTTPError as error:
            assert error.code == 404
            time.sleep(0.2)
            return False
        return True

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(READY_S)


def wait_until(condition: Callable[[], Any], what: str, within_s: float = READY_S) -> None:
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"this did not happen: {what}"
        time.sleep(0.02)


@contextmanager
def serving(
    root: Path,
    *,
    listening: int | None = None,
    words: tuple[str, ...] = (),
    under: tuple[str, ...] = (),
    **sections: Any,
) -> Iterator[Started]:
    """Run `updater serve` for the block, `under` a program that becomes it, such as prlimit.

    `listening` is a socket's descriptor, handed on as systemd does it.
    """
    sections["server"] = {"port": 0, **sections.get("server", {})}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UPDATER_")}
    environment |= settings_tree(root, **sections)
    command = [*under, sys.executable, "-m", "updater", "serve", *words]
    if listening is not None:
        command = [sys.executable, "-c", _HANDING, str(listening), *command]
    if not sections.get("storage", {}).get("database_url"):
        root.mkdir(parents=True, exist_ok=True)
        place_database(root)
    output = root.with_name(f"{root.name}-{time.monotonic_ns()}.log")
    with output.open("wb") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, pass_fds=() if listening is None else (listening,)
        )
    started = Started(process, output, environment)
    try:
        wait_until(lambda: "listening on" in started.said() or process.poll() is not None, "the start")
        yield started
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(READY_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
