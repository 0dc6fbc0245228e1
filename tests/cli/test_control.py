"""Asking the running service: its events, its failures, and a socket behind which something else is."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import pytest

from tests.cli.conftest import Command
from updater.cli.control import ENDED, ask_service
from updater.processes.folder import CONTROL_SOCKET, LOCK_FILE

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
Conversation = Callable[[socket.socket, bytes], None]


@contextmanager
def behind_the_socket(root: Path, *, talk: Conversation) -> Iterator[list[bytes]]:
    """Hold a data folder and listen at its socket; `talk` gets the connection and the request that came."""
    root.mkdir(parents=True, exist_ok=True)
    seen: list[bytes] = []
    folder = os.open(root, os.O_PATH)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{folder}/{CONTROL_SOCKET}")
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                seen.append(read_request(connection))
                talk(connection, seen[-1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        with holding(root):
            yield seen
        thread.join(10)
        assert not thread.is_alive()
    os.close(folder)
    (root / CONTROL_SOCKET).unlink()


@contextmanager
def holding(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def read_request(connection: socket.socket) -> bytes:
    said = b""
    while b"\r\n\r\n" not in said:
        said += connection.recv(65536)
    head, _, body = said.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def await_end(connection: socket.socket) -> None:
    """Wait until the command closes its end; one that left something unread resets it."""
    with suppress(ConnectionResetError):
        assert connection.recv(1) == b""


def chunk(content: bytes) -> bytes:
    return f"{len(content):x}\r\n".encode() + content + b"\r\n"


def events(*values: object, end: bytes = b"0\r\n\r\n") -> Conversation:
    lines = b"".join(chunk(json.dumps(value).encode() + b"\n") for value in values)
    return lambda connection, _: connection.sendall(HEAD + lines + end)


def test_events_come_in_order_and_arguments_go_as_json(tmp_path: Path) -> None:
    result = {"result": {"name": "größer"}}
    with behind_the_socket(tmp_path, talk=events({"done": 1}, {"done": 2}, result)) as seen:
        assert list(ask_service(tmp_path, "verify", {"sample": 0.5, "name": "größer"})) == [
            {"done": 1}, {"done": 2}, result,
        ]  # fmt: skip
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /verify HTTP/1.1\r\n")
    assert json.loads(body) == {"sample": 0.5, "name": "größer"}


def test_a_line_may_come_in_pieces_and_a_piece_may_hold_several_lines(tmp_path: Path) -> None:
    lines = b'{"done": 1}\n{"done": 2}\n{"result": "' + b"x" * 300_000 + b'"}\n'
    pieces = b"".join(chunk(lines[at : at + 7]) for at in range(0, 70, 7)) + chunk(lines[70:])

    def talk(connection: socket.socket, _: bytes) -> None:
        for byte in HEAD + pieces[:200]:
            connection.sendall(bytes([byte]))
        connection.sendall(pieces[200:] + b"0\r\n\r\n")

    with behind_the_socket(tmp_path, talk=talk):
        *progress, result = ask_service(tmp_path, "verify", {})
    assert progress == [{"done": 1}, {"done": 2}]
    assert len(result["result"]) == 300_000


@pytest.mark.parametrize(
    "talk",
    [
        events({"done": 1}, end=b""),
        events({"done": 1}, end=b"5\r\n{"),
        events({"done": 1}, end=chunk(b'{"do') + b"0\r\n\r\n"),
        events({"done": 1}, end=b"nonsense\r\n"),
        events({"done": 1}),
    ],
    ids=["between", "within a piece", "within a line", "no chunk", "without a result"],
)
def test_a_service_that_ends_on_the_way_is_told(local: Command, tmp_path: Path, talk: Conversation) -> None:
    with behind_the_socket(tmp_path / "data", talk=talk):
        ran = local("verify", "--json")
    assert (ran.status, ran.out, ran.err) == (1, "", f"Error: {ENDED}\n")


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 twohundred\r\n\r\n"])
def test_what_is_no_service_behind_the_socket_is_told(local: Command, tmp_path: Path, said: bytes) -> None:
    with behind_the_socket(tmp_path / "data", talk=lambda connection, _: connection.sendall(said)):
        ran = local("key", "revoke", "1")
    assert (ran.status, ran.out) == (1, "")
    assert "is in use, but its process does not answer on control.sock" in ran.err


def test_a_held_folder_without_a_socket_is_told(local: Command, tmp_path: Path) -> None:
    with holding(tmp_path / "data"):
        ran = local("key", "list")
    assert (ran.status, ran.err.count("\n")) == (1, 1)
    assert "is it starting or stopping?" in ran.err


def test_a_service_of_another_version_is_told(tmp_path: Path) -> None:
    answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 14\r\n\r\n404: Not Found"
    with (
        behind_the_socket(tmp_path, talk=lambda connection, _: connection.sendall(answer)),
        pytest.raises(click.ClickException, match=r"does not know key\.list; restart it"),
    ):
        list(ask_service(tmp_path, "key.list", {}))


@pytest.mark.parametrize(
    ("failure", "status", "said"),
    [
        ({"failure": "NotFound", "message": "No key"}, 5, "Error: No key\n"),
        ({"failure": "Invalid", "message": "Wrong", "fields": {"name": "long"}}, 7, "Error: Wrong\n  name: long\n"),
        ({"failure": "Conflict", "message": "Taken", "fields": {}}, 6, "Error: Taken\n"),
        ({"failure": "Unavailable", "message": "Away"}, 8, "Error: Away; the service's log says more\n"),
        ({"failure": "DigestMismatch", "message": "Other"}, 9, "Error: Other\n"),
        ({"failure": "StorageFull", "message": "Full"}, 1, "Error: Full\n"),
        ({"failure": "Unexpected", "message": "Bug"}, 1, "Error: Bug\n"),
    ],
)  # fmt: skip
def test_a_failure_of_the_service_ends_the_command(
    local: Command, tmp_path: Path, failure: dict[str, object], status: int, said: str
) -> None:
    with behind_the_socket(tmp_path / "data", talk=events({"done": 1}, failure)):
        ran = local("collect")
    assert (ran.status, ran.out, ran.err) == (status, "", said)


def test_a_folder_deeper_than_a_socket_address_is_reached(tmp_path: Path) -> None:
    root = tmp_path / ("deep" * 30) / ("deeper" * 20)
    with behind_the_socket(root, talk=events({"result": []})):
        assert list(ask_service(root, "key.list", {})) == [{"result": []}]


def test_a_command_that_stops_reading_closes_its_connection(tmp_path: Path) -> None:
    """The service then ends the operation, instead of going on for a command that is gone."""
    closed = threading.Event()

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(HEAD + chunk(b'{"done": 1}\n'))
        await_end(connection)
        closed.set()

    with behind_the_socket(tmp_path, talk=talk):
        asking = ask_service(tmp_path, "verify", {})
        assert next(asking) == {"done": 1}
        asking.close()  # type: ignore[attr-defined]
        assert closed.wait(10)


def test_ctrl_c_ends_a_command_that_waits_for_the_service(tmp_path: Path) -> None:
    """An event loop would keep the signal until the next line comes, which may be hours."""
    over = threading.Event()

    def talk(connection: socket.socket, _: bytes) -> None:
        connection.sendall(HEAD + chunk(b'{"done": 1}\n'))
        waiting.set()
        await_end(connection)
        over.set()

    waiting = threading.Event()
    environment = {**os.environ, "UPDATER_STORAGE__ROOT": str(tmp_path / "data")}
    with behind_the_socket(tmp_path / "data", talk=talk):
        command = [sys.executable, "-m", "updater", "verify"]
        asking = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        assert waiting.wait(60)
        asking.send_signal(signal.SIGINT)
        said = asking.communicate(timeout=30)[1]
        assert over.wait(10)
    assert (asking.returncode, said.strip()) == (1, "Aborted!")
