"""Floods of connections, and too few open files: well-behaved clients are served, and no loop spins.

Controls: without `ConnectionLimiter` the process runs out of files; without `tell_shortages` asyncio logs tracebacks.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.looking import open_files, worked_s
from tests.workers.processes import Started, serving, wait_until

NEVER_CLOSED = 4  # standard input, output and error, and the event loop's epoll


def sockets_of(pid: int) -> int:
    """Count open sockets: other files, such as a database's, are opened whenever a task needs them."""
    return sum(each.startswith("socket:") for each in open_files(pid))


def busy_share(pid: int, over_s: float) -> float:
    before_s, began_s = worked_s(pid), time.monotonic()
    time.sleep(over_s)
    return (worked_s(pid) - before_s) / (time.monotonic() - began_s)


def connect(started: Started, source: str) -> socket.socket:
    port = int(started.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), 5, (source, 0))


@contextlib.contextmanager
def flood(started: Started, sources: list[str], count: int) -> Iterator[None]:
    """Hold so many connections open that say nothing, those of each address one after the other."""
    with contextlib.ExitStack() as stack:
        for number in range(count):
            stack.enter_context(connect(started, sources[number * len(sources) // count]))
        yield


def asked_s(started: Started) -> float:
    """Ask as a good client; return how long the answer took."""
    began_s = time.monotonic()
    with connect(started, "127.0.0.9") as sock:
        sock.sendall(b"GET /api/v1/docs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
    return time.monotonic() - began_s


def test_two_thousand_idle_connections_of_one_address(tmp_path: Path) -> None:
    with serving(tmp_path / "data") as started:
        asked_s(started)
        pid = started.process.pid
        base = sockets_of(pid)
        with flood(started, ["127.0.0.2"], 2_000):
            assert asked_s(started) < 4
            wait_until(lambda: sockets_of(pid) <= base + 512, "that the oldest gave way")
            assert busy_share(pid, 1) < 0.2
            assert asked_s(started) < 4
        wait_until(lambda: sockets_of(pid) <= base, "that all connections are closed")
        assert started.stop() == 0


def test_with_few_open_files_a_flood_keeps_nobody_out(tmp_path: Path) -> None:
    sources = [f"127.0.1.{number + 1}" for number in range(10)]
    with serving(tmp_path / "data", under=("prlimit", "--nofile=64:256")) as started:
        pid = started.process.pid
        assert re.search(r"Max open files +256 +256", Path(f"/proc/{pid}/limits").read_text())
        (few,) = started.events("server.few_files")
        assert few["connections"] == 64
        asked_s(started)
        base = sockets_of(pid)
        with flood(started, sources, 800):
            assert asked_s(started) < 4
            assert sockets_of(pid) <= base + 70
            assert busy_share(pid, 1) < 0.2
        wait_until(lambda: sockets_of(pid) <= base, "that all connections are closed")
        assert asked_s(started) < 4
        assert started.events("connections.not_accepted") == []
        assert started.stop() == 0


def test_without_any_open_file_left_it_waits_quietly(tmp_path: Path) -> None:
    """When other processes or a leak hold all files, the service waits, and serves again afterwards."""
    with serving(tmp_path / "data") as started:
        pid = started.process.pid
        asked_s(started)
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        # Numbers below this limit are in use for as long as the process runs, whatever it closes meanwhile.
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (NEVER_CLOSED, hard))
        with connect(started, "127.0.0.2") as waiting:
            waiting.sendall(b"GET /api/v1/docs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert busy_share(pid, 3) < 0.2
            wait_until(lambda: started.events("connections.not_accepted"), "that it says so")
            assert len(started.events("connections.not_accepted")) == 1
            assert "Traceback" not in started.said()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
            waiting.settimeout(30)
            assert waiting.recv(12) == b"HTTP/1.1 200"
        assert started.stop() == 0


def test_it_does_not_start_where_nobody_could_be_served(tmp_path: Path) -> None:
    command = ["prlimit", "--nofile=100:100", sys.executable, "-m", "updater", "serve"]
    environment = {**os.environ, "UPDATER_STORAGE__ROOT": str(tmp_path), "UPDATER_SERVER__PORT": "0"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode != 0
    assert "this process may open 100 files and needs 256 at least" in ended.stderr
