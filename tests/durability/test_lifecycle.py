"""Starting, stopping, reloading, and operating a service from the command line while it runs and while it does not."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from tests.conftest import KEYS, NewDatabase
from tests.durability.conftest import PROJECT, Launch, Place, Server, Warm
from tests.stored import stored_id
from updater.cli import main

MIB = 1 << 20
AT_ONCE_S = 10
SOCKET = pytest.mark.sqlite("about the control socket; beside PostgreSQL commands are processes of their own")


@pytest.fixture
def server(warm: Warm, place: Place) -> Iterator[Server]:
    """Give a service that is killed when the test leaves it running."""
    yield warm.start(place, server={"drain_s": 1})


def ask(server: Server, version: str = "1.0.0") -> socket.socket:
    """Begin a download as a client that reads slowly."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.settimeout(20)
    client.connect(("127.0.0.1", server.port))
    path = f"/api/v1/updates/my-app/download/{version}/linux/amd64"
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def read_to_end(client: socket.socket) -> int:
    count = 0
    while piece := client.recv(MIB):
        count += len(piece)
    client.close()
    return count


def stop_s(server: Server) -> float:
    began_s = time.monotonic()
    assert server.stop() == 0
    return time.monotonic() - began_s


@pytest.mark.parametrize("client", ["nobody", "a connection", "an idle client", "half a request"])
def test_an_idle_service_stops_at_once(warm: Warm, place: Place, client: str) -> None:
    server = warm.start(place, server={"drain_s": 2 * AT_ONCE_S})
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        if client == "an idle client":
            connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
        if client == "half a request":
            connection.sendall(b"GET /api/v1/health HTTP/1.1\r\nHo")
        if client == "nobody":
            connection.close()
        time.sleep(0.05)
        assert stop_s(server) < AT_ONCE_S


def test_a_running_download_finishes(warm: Warm, place: Place) -> None:
    server = warm.start(place, server={"drain_s": 20})
    server.create_application()
    assert server.publish(bytes(30 * MIB), "1.0.0") == 201
    client = ask(server)
    server.send(signal.SIGTERM)
    time.sleep(0.3)
    assert read_to_end(client) > 30 * MIB
    assert server.wait() == 0


def test_a_slow_download_is_cut_at_the_deadline(server: Server) -> None:
    server.create_application()
    assert server.publish(bytes(30 * MIB), "1.0.0") == 201
    client = ask(server)
    assert 1 <= stop_s(server) < 1 + AT_ONCE_S
    try:
        assert read_to_end(client) < 30 * MIB
    except ConnectionResetError:
        client.close()


def test_cutting_does_not_wait_as_long_again(warm: Warm, place: Place) -> None:
    """`drain_s` bounds the end of the service: a supervisor's time limit is set by it."""
    server = warm.start(place, server={"drain_s": 8})
    server.create_application()
    assert server.publish(bytes(30 * MIB), "1.0.0") == 201
    with ask(server):
        assert 8 <= stop_s(server) < 15


def test_a_stalled_upload_is_cut_and_leaves_nothing(server: Server) -> None:
    server.create_application()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        head = "PUT /api/v1/updates/my-app/builds/1.0.0/linux/amd64 HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n"
        client.sendall(f"{head}Authorization: Bearer {KEYS['write']}\r\n\r\n".encode() + bytes(2 * MIB))
        while not server.incoming():
            time.sleep(0.01)
        assert stop_s(server) < 1 + AT_ONCE_S
    assert server.incoming() == []


def test_what_a_stop_cuts_is_in_the_access_log(warm: Warm, place: Place) -> None:
    server = warm.start(place, server={"drain_s": 1}, logging={"access": True})
    server.create_application()
    assert server.publish(bytes(30 * MIB), "1.0.0") == 201
    path = "/api/v1/updates/my-app/builds/1.1.0/linux/amd64"
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\nAuthorization: Bearer {KEYS['write']}\r\n\r\n"
    with ask(server), socket.create_connection(("127.0.0.1", server.port)) as upload:
        upload.sendall(head.encode() + bytes(2 * MIB))
        while not server.incoming():
            time.sleep(0.01)
        server.stop()
    lines = [json.loads(line) for line in server.said().splitlines() if line.startswith('{"id"')]
    cut = {each["path"].split("/")[5]: each["status"] for each in lines if each["status"] not in (200, 201)}
    assert cut == {"download": 599, "builds": 599}


def test_a_new_client_is_refused_while_draining(warm: Warm, place: Place) -> None:
    server = warm.start(place, server={"drain_s": 20})
    server.create_application()
    assert server.publish(bytes(30 * MIB), "1.0.0") == 201
    client = ask(server)
    server.send(signal.SIGTERM)
    with pytest.raises(ConnectionError):
        while True:  # the test's time limit is the only one it needs
            server.status("GET", "/health")
    read_to_end(client)
    assert server.wait() == 0


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_every_acknowledged_report_is_kept_once(warm: Warm, place: Place, ending: signal.Signals) -> None:
    """Clients report without pause, each report twice, while the service ends."""
    server = warm.start(place, server={"drain_s": 2})
    server.create_application()
    acknowledged: list[str] = []
    other: list[int] = []

    def client(number: int) -> None:
        for count in range(10_000):
            name = f"{number}-{count}"
            for _ in range(2):
                try:
                    status = server.report(name)
                except (OSError, HTTPException):
                    return
                if status == 200:
                    acknowledged.append(name)
                else:
                    other.append(status)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(16)]
    for each in clients:
        each.start()
    while len(acknowledged) < 200:
        time.sleep(0.01)
    server.send(ending)
    for each in clients:
        each.join()
    assert server.wait() == (0 if ending == signal.SIGTERM else -ending)
    assert set(other) <= {503}
    server = warm.start(place)
    kept = [name for (name,) in place.ask("SELECT report_id FROM report")]
    assert len(set(acknowledged)) >= 100
    assert {stored_id(name) for name in acknowledged} <= set(kept)
    assert len(kept) == len(set(kept))
    server.stop()


def run_cli(place: Place, *words: str) -> Result:
    return CliRunner().invoke(main, words, env=place.environment())


def becomes(expected: object, ask: Callable[[], object], within_s: float = 1.0) -> bool:
    """Tell whether a service takes over in time what a command beside it has changed."""
    deadline_s = time.monotonic() + within_s
    while ask() != expected and time.monotonic() < deadline_s:
        time.sleep(0.01)
    return ask() == expected


def test_operations_while_the_service_runs_and_while_it_does_not(server: Server, warm: Warm) -> None:
    server.create_application()
    server.publish(b"bytes", "1.0.0")
    server.publish(b"other", "1.0.1")
    made = json.loads(run_cli(server.place, "key", "create", "ci", "--level", "read", "--json").output)
    assert becomes(200, lambda: server.status("GET", "/updates/my-app/releases", key=made["key"]))
    assert run_cli(server.place, "key", "revoke", str(made["id"])).exit_code == 0
    assert becomes(401, lambda: server.status("GET", "/updates/my-app/releases", key=made["key"]))
    damaged = next(path for path in server.blobs().values() if path.read_bytes() == b"other")
    damaged.write_bytes(b"OTHER")
    outcome = run_cli(server.place, "verify", "--json")
    said = json.loads(outcome.stdout)
    assert (outcome.exit_code, said["checked"], said["bad"]) == (9, 2, [damaged.name])
    (named,) = said["files"]
    assert (named["digest"], named["application"], named["version"]) == (damaged.name, "my-app", "1.0.1"), "by build"
    assert becomes("1.0.0", server.offered)
    assert server.download("1.0.1")[0] == 503
    assert server.status("DELETE", "/updates/my-app/releases/1.0.1/linux/amd64") == 200
    assert json.loads(run_cli(server.place, "collect", "--grace-s", "0", "--json").stdout)["removed"] == [damaged.name]
    server.stop()

    assert not (server.root / "control.sock").exists()
    assert json.loads(run_cli(server.place, "verify", "--json").stdout) == {"checked": 1, "bad": []}
    assert json.loads(run_cli(server.place, "collect", "--grace-s", "0", "--json").stdout) == {"removed": []}
    assert json.loads(run_cli(server.place, "key", "list", "--json").stdout)[-1]["revoked_at"]
    assert run_cli(server.place, "key", "revoke", "99").exit_code == 5


@SOCKET
def test_operations_after_a_kill_do_not_mind_the_dead_socket(server: Server, warm: Warm) -> None:
    server.kill()
    assert (server.root / "control.sock").exists()
    assert run_cli(server.place, "key", "list").exit_code == 0
    again = warm.start(server.place)
    assert again.operate("verify") == {"checked": 0, "bad": []}
    again.stop()


@pytest.mark.sqlite("elsewhere another process may be receiving there")
def test_a_start_clears_away_what_was_interrupted_whatever_the_clock_says(warm: Warm, place: Place) -> None:
    """A machine that lost its power may have lost its time, too."""
    warm.start(place).stop()
    left = place.root / "incoming" / "interrupted"
    left.write_bytes(b"half")
    tomorrow_s = time.time() + 86_400
    os.utime(left, (tomorrow_s, tomorrow_s))
    server = warm.start(place)
    assert server.incoming() == []
    server.stop()


@SOCKET
def test_only_the_owner_may_open_the_socket(server: Server) -> None:
    for name in ("control.sock", "secret", "lock"):
        assert (server.root / name).stat().st_mode & 0o077 == 0
    server.stop()


@SOCKET
def test_the_socket_of_a_deep_folder(warm: Warm, tmp_path: Path) -> None:
    root = tmp_path / ("d" * 100) / ("e" * 100) / "storage"
    root.parent.mkdir(parents=True)
    server = warm.start(Place(root, None))
    assert json.loads(run_cli(server.place, "key", "list", "--json").stdout) == []
    server.stop()
    assert not (root / "control.sock").exists()


def refusal(place: Place, **sections: Any) -> str:
    """Start where it cannot work; return the one line it says."""
    done = subprocess.run(
        [sys.executable, "-m", "updater", "serve"],
        env={**os.environ, **place.environment(**sections)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.sqlite("the embedded database has one process; PostgreSQL's may share the folder")
def test_a_second_service_on_the_folder_is_refused(server: Server) -> None:
    assert refusal(server.place) == f"Error: storage.root: {server.root} is in use by another process"
    server.create_application()
    server.stop()


OBSTACLES = {
    "damaged database": "database",
    "damaged secret": "secret is damaged",
    "file in the way": "incoming",
    "newer schema": "start the newer version",
    "locked": "database",
}


@pytest.mark.parametrize(
    "obstacle",
    [
        pytest.param("damaged database", marks=pytest.mark.sqlite("damages its file")),
        pytest.param("locked", marks=pytest.mark.sqlite("locks its file")),
        *("damaged secret", "file in the way", "newer schema"),
    ],
)
def test_a_start_that_cannot_work_says_so_in_one_line(warm: Warm, place: Place, obstacle: str) -> None:
    root = place.root
    assert warm.start(place).stop() == 0
    assert not list(root.glob("updater.db-*")), "a service that stopped leaves its whole database in one file"
    with ExitStack() as stack:
        if obstacle == "damaged database":
            (root / "updater.db").write_bytes(b"no database " * 1000)
        elif obstacle == "damaged secret":
            (root / "secret").write_bytes(b"")
        elif obstacle == "file in the way":
            (root / "incoming").rmdir()
            (root / "incoming").write_bytes(b"")
        elif obstacle == "newer schema":
            place.ask("UPDATE alembic_version SET version_num = '9999'")
        else:
            holder = stack.enter_context(closing(sqlite3.connect(root / "updater.db", isolation_level=None)))
            holder.execute("BEGIN IMMEDIATE")
        assert OBSTACLES[obstacle] in refusal(place).lower()


def test_a_taken_port_is_refused(server: Server, tmp_path: Path, new_database: NewDatabase) -> None:
    said = refusal(Place(tmp_path / "other", new_database()), server={"port": server.port})
    assert said == f"Error: server.port: cannot listen on 127.0.0.1:{server.port}: Address already in use"
    server.stop()


def write_settings(path: Path, **sections: Any) -> None:
    path.write_text(yaml.safe_dump(sections))


def test_sighup_rereads_keys_and_limits(launch: Launch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = tmp_path / "updater.yaml"
    monkeypatch.setenv("UPDATER_CONFIG", str(settings))
    first = {"name": "first", "key": KEYS["admin"], "permissions": ["admin"]}
    second = {"name": "second", "key": KEYS["write"], "permissions": ["write"]}
    limit = {"anonymous_per_minute": 1000, "authenticated_per_minute": 1000}
    write_settings(settings, access={"api_keys": [first]}, rate_limit=limit)
    server = launch(stdout=tmp_path / "log", from_file=("access", "rate_limit"))

    def reload() -> None:
        """Send the signal, and wait until the service says that it acted on it."""
        before = (tmp_path / "log").read_text().count("server.reload")
        server.send(signal.SIGHUP)
        deadline_s = time.monotonic() + 30
        while (tmp_path / "log").read_text().count("server.reload") == before and time.monotonic() < deadline_s:
            time.sleep(0.01)

    server.create_application()
    assert server.status("GET", "/updates/my-app/releases", key="write") == 401
    write_settings(settings, access={"api_keys": [second]}, rate_limit={**limit, "authenticated_per_minute": 3})
    reload()
    assert server.status("GET", "/updates/my-app/releases", key="admin") == 401
    statuses = [server.status("GET", "/updates/my-app/releases", key="write") for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    settings.write_text("access: {nonsense: true}")
    reload()
    assert server.status("GET", "/updates/my-app/releases", key="admin") == 401
    assert server.stop() == 0
