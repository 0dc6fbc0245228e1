"""The processes of a measurement: the service, its peers and the load, each on its core, ended with the block."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.rows import Skip
from tests.ports import free_port

SERVER_CORE, LOAD_CORE = "0", "1"
KEY = "bench-key-0123456789"
# High enough that no request is refused: the counting is measured.
_PLENTY = 1_000_000_000
# Long: the machine may be busy.
_START_S = 300


@dataclass(frozen=True)
class Process:
    """A server that runs. Memory and processor time are those of the whole process."""

    pid: int
    url: str
    started_s: float

    def cpu_s(self) -> float:
        """Return the processor time of all threads so far."""
        tasks = Path(f"/proc/{self.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def memory_mib(self, line: str = "VmRSS") -> float:
        """Return a line of /proc/PID/status: VmRSS is resident now, VmHWM the most since `forget_peak`."""
        found = re.search(rf"{line}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024

    def forget_peak(self) -> None:
        """Let VmHWM begin again from what is resident now. Source: proc(5), clear_refs."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")


@contextmanager
def running(command: list[str], port: int, log: Path, *, core: str | None, **more: Any) -> Iterator[Process]:
    """Run a server for the block. `started_s` is the time until it accepted a connection; `log` gets its output."""
    pinned = ["taskset", "-c", core, *command] if core is not None else command
    began = time.monotonic()
    with log.open("wb") as output, subprocess.Popen(pinned, stdout=output, stderr=subprocess.STDOUT, **more) as child:
        try:
            _await_port(child, port, log)
            yield Process(child.pid, f"http://127.0.0.1:{port}", time.monotonic() - began)
        finally:
            child.terminate()


@contextmanager
def service(root: Path, *, core: str | None = SERVER_CORE, module: str = "updater", **more: Any) -> Iterator[Process]:
    """Run the service for the block, with rate limits, access log (to a file) and metrics as in production.

    `more` are further settings, `section__key` or a whole list.
    """
    port = free_port()
    root.mkdir(parents=True, exist_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UPDATER_")}
    settings = {
        "server__port": port,
        "server__drain_s": 0,
        "storage__root": str(root / "storage"),
        "access__api_keys": [{"name": "bench", "key": KEY, "permissions": ["write"]}],
        "rate_limit__anonymous_per_minute": _PLENTY,
        "rate_limit__authenticated_per_minute": _PLENTY,
        "rate_limit__downloads_per_minute": _PLENTY,
        **more,
    }
    environment |= {f"UPDATER_{name.upper()}": json.dumps(value) for name, value in settings.items()}
    command = [sys.executable, "-m", module, "serve"]
    with running(command, port, root / "service.log", core=core, env=environment) as process:
        yield process


def settle(server: Process) -> None:
    """Wait until the server works at nothing of its own, such as looking at a new file; half a minute at most."""
    for _ in range(60):
        before_s = server.cpu_s()
        time.sleep(0.5)
        if server.cpu_s() - before_s < 0.005:
            return


def create_application(server: Process, application_id: str = "my-app") -> None:
    """Create the application that the rows use."""
    given = {"id": application_id, "name": "My App", "platforms": ["linux", "windows"]}
    request = urllib.request.Request(
        f"{server.url}/api/v1/applications",
        json.dumps(given).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"},
    )
    urllib.request.urlopen(request).close()


def wrk(url: str, script: Path, *, seconds: int, connections: int = 64) -> int:
    """Load a server with wrk; return how many requests it answered. A refused or failed one is an error."""
    if shutil.which("wrk") is None:
        raise Skip("wrk is missing (Debian: wrk)")
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"(\d+) requests in", said)
    if found is None or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"the load failed:\n{said}")
    return int(found[1])


def _await_port(child: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise RuntimeError(f"the server ended: {log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    raise RuntimeError(f"the server did not start within {_START_S} s")
