"""The service is killed at every step on the way of a TUF target, and of a set of metadata that names it.

After the restart clients see the repository before or after, whole; the publisher repeats, and succeeds.
"""

from __future__ import annotations

import contextlib
import http.client
import signal
from collections.abc import Mapping

import pytest

from tests.durability.conftest import Place, Server, Warm
from tests.tuf.developer import Developer

MOST_STEPS = 120
UPLOADS = "/updates/my-app/tuf/stable"
GONE = (ConnectionError, http.client.HTTPException)


def put(server: Server, path: str, content: bytes) -> int:
    return server.status("PUT", f"{UPLOADS}/targets/{path}", content)


def post(server: Server, files: Mapping[str, bytes]) -> int:
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode() + body + b"\r\n"
        for name, body in files.items()
    ]
    body = b"".join([*parts, b"--x--\r\n"])
    return server.status("POST", f"{UPLOADS}/metadata", body, content_type="multipart/form-data; boundary=x")


def fetch(server: Server, path: str) -> bytes | None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", f"/feeds/my-app/stable/tuf/{path}", headers={"Connection": "close"})
        response = connection.getresponse()
        body = response.read()
    assert response.status in (200, 404), (response.status, body)
    return body if response.status == 200 else None


def hold_to_promises(server: Server, old: Mapping[str, bytes], new: Mapping[str, bytes]) -> bool:
    """Hold the repository to one of two states; return whether it is the new one."""
    timestamp = fetch(server, "metadata/timestamp.json")
    is_new = timestamp == new["timestamp.json"]
    assert is_new or timestamp == old["timestamp.json"]
    for name, body in new.items():
        if name != "timestamp.json":
            assert fetch(server, f"metadata/{name}") == (body if is_new else None), name
    for name, body in old.items():
        if name != "timestamp.json":
            assert fetch(server, f"metadata/{name}") == body, name
    return is_new


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_every_step(warm: Warm, place: Place, stride: int) -> None:
    developer, passed, seen = Developer(), set[str](), set[bool]()
    server = warm.start(place)
    server.create_application()
    assert post(server, developer.taken()) == 200
    server.stop()
    old = dict(developer.files)
    for step in range(1, MOST_STEPS, stride):
        path = f"app-{step}.zip"
        developer.release(path, path.encode())
        new = developer.taken()
        server = warm.start(place, fail_at=step)
        server.send(signal.SIGUSR1)
        try:
            put(server, path, path.encode())
            assert post(server, new) == 200
            server.kill()
            survived = True
        except GONE:
            assert server.wait() == -signal.SIGKILL
            survived = False
        passed |= set(place.steps.read_text().split())
        server = warm.start(place)
        seen.add(hold_to_promises(server, old, new))
        assert put(server, path, path.encode()) in (200, 201)
        assert post(server, new) == 200
        assert hold_to_promises(server, old, new)
        assert fetch(server, f"targets/{path}") == path.encode()
        server.stop()
        old = new
        if survived:
            break
    else:
        raise AssertionError(f"more than {MOST_STEPS} steps")
    server = warm.start(place)
    server.operate("collect", grace_s=0)
    assert server.operate("verify")["bad"] == []
    for name, body in developer.files.items():
        assert fetch(server, f"metadata/{name}") == body
    server.stop()
    assert seen == {True, False}
    assert passed >= {"create", "write", "fsync", "rename", "commit", "committed"}
