"""The service is killed at every step of what files and drafts do; a release is live as a whole, or not at all."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
from collections.abc import Callable

import pytest

from tests.durability.conftest import Place, Server, Warm

MOST_STEPS = 60
FILES = {
    ("linux/amd64", None): b"the build for linux" * 900,
    ("linux/amd64", "App.zip"): b"an archive" * 5_000,
    ("windows/amd64", None): b"the build for windows" * 700,
    ("windows/amd64", "App.zip"): b"an archive" * 5_000,
}
PASSED = {"create", "write", "fsync", "rename", "commit", "committed"}


def put(server: Server, version: str, target: str, name: str | None, draft: bool) -> int:
    suffix = f"/files/{name}" if name else ""
    path = f"/updates/my-app/builds/{version}/{target}{suffix}"
    return server.status("PUT", path + ("?draft=true" if draft else ""), FILES[target, name])


def fill(server: Server, version: str) -> None:
    """Upload a draft, whose last attempt may have been killed anywhere."""
    for target, name in FILES:
        assert put(server, version, target, name, draft=True) in (200, 201)


def publish(server: Server, version: str) -> None:
    body = {"require": ["windows/amd64/App.zip", "linux/amd64/App.zip"]}
    assert server.status("POST", f"/updates/my-app/releases/{version}/publish", body) == 200


def delete(server: Server, version: str) -> None:
    assert server.status("DELETE", f"/updates/my-app/releases/{version}") == 200


def served(server: Server, version: str, target: str, name: str | None) -> tuple[int, bytes]:
    suffix = f"/{name}" if name else ""
    status, _, body = server.call("GET", f"/updates/my-app/download/{version}/{target}{suffix}", key="nobody")
    return status, body


def hold_to_all_or_nothing(server: Server, version: str) -> bool:
    """Return whether a release is live; each of its files says so, and so does the check."""
    answers = {each: served(server, version, *each) for each in FILES}
    statuses = {status for status, _ in answers.values()}
    assert statuses in ({200}, {404}), answers.keys()
    if statuses == {200}:
        assert {each: body for each, (_, body) in answers.items()} == FILES
    is_live = statuses == {200}
    assert (server.offered() == version) is is_live
    assert server.incoming() == []
    server.operate("collect", grace_s=0)
    orphans = "SELECT count(*) FROM blob WHERE digest NOT IN (SELECT blob_use.digest FROM blob_use)"
    assert server.place.ask(orphans) == [("0",)]
    return is_live


# What is done before, what is killed, and the steps it must at least have passed.
OPERATIONS: dict[str, tuple[tuple[Callable[[Server, str], None], ...], Callable[[Server, str], None], set[str]]] = {
    "fill a draft": ((), fill, PASSED),
    "publish a draft": ((fill,), publish, {"commit", "committed"}),
    "delete a draft": ((fill,), delete, {"commit", "committed"}),
}


@pytest.mark.sqlite("the steps to the disk are those of its file")
@pytest.mark.parametrize("name", OPERATIONS)
def test_killed_at_every_step(name: str, warm: Warm, place: Place) -> None:
    before, operation, must_pass = OPERATIONS[name]
    server = warm.start(place)
    server.create_application()
    server.stop()
    passed: set[str] = set()
    # The four uploads of a draft pass the same steps, so of those some are enough.
    for step in range(1, 4 * MOST_STEPS, 13) if operation is fill else range(1, MOST_STEPS):
        server = warm.start(place, fail_at=step)
        version = f"1.0.{step}"
        for prepare in before:
            prepare(server, version)
        server.send(signal.SIGUSR1)
        with contextlib.suppress(ConnectionError, http.client.HTTPException, IndexError):
            operation(server, version)
            break
        assert server.wait() == -signal.SIGKILL
        passed |= set(place.steps.read_text().split())
        server = warm.start(place)
        is_live = hold_to_all_or_nothing(server, version)
        if operation is fill:
            assert not is_live
            fill(server, version)
            assert not hold_to_all_or_nothing(server, version)
            publish(server, version)
        elif operation is publish:
            publish(server, version)  # again: the same, whether it was live or not
        if operation is not delete:
            assert hold_to_all_or_nothing(server, version)
        server.stop()
    else:
        raise AssertionError(f"more than {MOST_STEPS} steps")
    server.kill()
    assert passed >= must_pass


def companion(server: Server, version: str) -> None:
    assert put(server, version, "linux/amd64", "App.zip", draft=False) in (200, 201)


@pytest.mark.sqlite("the steps to the disk are those of its file")
def test_a_companion_of_a_live_release_killed_at_every_step(warm: Warm, place: Place) -> None:
    server = warm.start(place)
    server.create_application()
    assert put(server, "1.0.0", "linux/amd64", None, draft=False) == 201
    server.stop()
    for step in range(1, MOST_STEPS):
        server = warm.start(place, fail_at=step)
        server.send(signal.SIGUSR1)
        with contextlib.suppress(ConnectionError, http.client.HTTPException, IndexError):
            companion(server, "1.0.0")
            break
        assert server.wait() == -signal.SIGKILL
        server = warm.start(place)
        status, body = served(server, "1.0.0", "linux/amd64", "App.zip")
        assert (status, body) == (200, FILES["linux/amd64", "App.zip"]) or status == 404
        listed = json.loads(server.call("GET", "/updates/my-app/releases")[2])["releases"][0]["files"]
        assert len(listed) == (2 if status == 200 else 1)
        if status == 200:
            assert server.status("DELETE", "/updates/my-app/builds/1.0.0/linux/amd64/files/App.zip") == 200
        server.stop()
    else:
        raise AssertionError(f"more than {MOST_STEPS} steps")
    server.kill()
