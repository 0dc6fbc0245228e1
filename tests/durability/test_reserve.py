"""Uploads and reports leave the reserve alone, and everything else goes on."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import KEYS
from tests.durability.conftest import Launch, Server
from tests.durability.test_disk_full import Mount, mount  # noqa: F401 - a fixture

MIB = 1 << 20
RESERVE = 20 * MIB
pytestmark = pytest.mark.sqlite("the database lies on the disk that is short of room")


def leave(place: Path, room: int) -> Path:
    """Take room until so many bytes are left."""
    filler = place / "filler"
    with filler.open("ab") as file:
        while (free := shutil.disk_usage(place).free) > room:
            file.write(bytes(min(MIB, free - room)))
            file.flush()
    return filler


@pytest.fixture
def small(mount: Mount) -> Path:  # noqa: F811
    return mount("size=64m")


@pytest.fixture
def server(launch: Launch, small: Path) -> Server:
    started = launch(at=small / "storage", stdout=small / "log", storage={"reserve_bytes": RESERVE})
    started.create_application()
    assert started.publish(b"first", "1.0.0") == 201
    assert started.report("before") == 200
    return started


def refusal_before_a_byte(server: Server, size: int) -> int:
    """Announce a body and send none of it."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    with contextlib.closing(connection):
        connection.putrequest("PUT", "/api/v1/updates/my-app/builds/9.0.0/linux/amd64")
        for name, value in (("Authorization", f"Bearer {KEYS['admin']}"), ("Content-Length", str(size))):
            connection.putheader(name, value)
        connection.putheader("Expect", "100-continue")
        connection.endheaders()
        return connection.getresponse().status


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield os.urandom(MIB)


def chunked(server: Server, count: int) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Authorization": f"Bearer {KEYS['admin']}"}
    with contextlib.closing(connection):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(
                "PUT", "/api/v1/updates/my-app/builds/8.0.0/linux/amd64", pieces(count), headers, encode_chunked=True
            )
        return connection.getresponse().status


def test_uploads_and_reports_leave_the_reserve(server: Server, small: Path) -> None:
    assert refusal_before_a_byte(server, 50 * MIB) == 507
    filler = leave(small, RESERVE - MIB)
    assert server.publish(b"more", "2.0.0") == 507
    deadline_s = time.monotonic() + 5
    while server.report() == 200 and time.monotonic() < deadline_s:
        time.sleep(0.1)
    status, headers, _ = server.call("POST", "/updates/my-app/status", REPORT)
    assert status == 503
    assert headers["Retry-After"] == "60"
    assert server.download("1.0.0") == (200, b"first")
    assert server.offered() == "1.0.0"
    server.create_application("other")
    assert server.status("DELETE", "/applications/other") == 204
    assert server.status("GET", "/updates/my-app/releases") == 200
    filler.unlink()
    assert server.publish(b"more", "2.0.0") == 201
    time.sleep(1.1)
    assert server.report("after") == 200
    assert server.stop() == 0


@contextlib.contextmanager
def lowest(place: Path) -> Iterator[list[int]]:
    """Note the free bytes of a file system during the block."""
    seen, over = [shutil.disk_usage(place).free], threading.Event()

    def look() -> None:
        while not over.wait(0.001):
            seen.append(shutil.disk_usage(place).free)

    looking = threading.Thread(target=look)
    looking.start()
    yield seen
    over.set()
    looking.join()


def test_an_upload_of_unknown_size_stops_at_the_reserve(server: Server, small: Path) -> None:
    leave(small, RESERVE + 10 * MIB)
    with lowest(small) as free:
        assert chunked(server, 60) == 507
    assert min(free) > RESERVE - 17 * MIB, "looked at every 16 MiB"
    assert max(free) - min(free) < 20 * MIB
    assert server.incoming() == []


REPORT = {
    "current_version": "1.0.0",
    "target_version": "1.1.0",
    "platform": "linux",
    "architecture": "amd64",
    "status": "completed",
}
