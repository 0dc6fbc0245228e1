"""The service is killed at every step on its way to the disk; after a restart, what was acknowledged is there."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import NewDatabase
from tests.durability.conftest import READY_S, EndedEarly, Place, Server, Warm
from tests.durability.test_random_kills import ANSWERS_FIRST, NEVER_SWEEPS
from tests.looking import worked_s
from tests.stored import stored_id

MIB = 1 << 20
MOST_STEPS = 60


@dataclass
class Ledger:
    """What the client was told: `published` must be there, `deleted` must not; the rest may be either."""

    published: dict[str, bytes] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    unknown: dict[str, bytes] = field(default_factory=dict)
    reported: set[str] = field(default_factory=set)
    random: random.Random = field(default_factory=lambda: random.Random(4))
    count: int = 0

    def fresh(self) -> str:
        self.count += 1
        return f"1.0.{self.count}"

    def publish(self, server: Server, content: bytes) -> None:
        version = self.fresh()
        self.unknown[version] = content
        assert server.publish(content, version) == 201
        self.published[version] = self.unknown.pop(version)

    def delete(self, server: Server) -> None:
        version = next(iter(self.published))
        self.unknown[version] = self.published.pop(version)
        assert server.status("DELETE", f"/updates/my-app/releases/{version}/linux/amd64") == 200
        del self.unknown[version]
        self.deleted.add(version)

    def report(self, server: Server) -> None:
        self.count += 1
        name = f"report-{self.count}"
        assert server.report(name) == 200
        self.reported.add(name)


def upload(server: Server, ledger: Ledger) -> None:
    ledger.publish(server, ledger.random.randbytes(2 * MIB + 5))


def upload_once(server: Server, ledger: Ledger) -> None:
    if not ledger.published:
        upload(server, ledger)


def upload_again(server: Server, ledger: Ledger) -> None:
    ledger.publish(server, next(iter(ledger.published.values())))


def delete(server: Server, ledger: Ledger) -> None:
    ledger.delete(server)


def collect(server: Server, ledger: Ledger) -> None:
    server.operate("collect", grace_s=0)


def report(server: Server, ledger: Ledger) -> None:
    ledger.report(server)


def verify(server: Server, ledger: Ledger) -> None:
    assert server.operate("verify")["bad"] == []


# Each with what makes it possible, and the steps it must at least have passed: a hook that came loose is noticed.
OPERATIONS: dict[Callable[[Server, Ledger], None], tuple[tuple[Callable[[Server, Ledger], None], ...], set[str]]] = {
    upload: ((), {"create", "write", "fsync", "mkdir", "rename", "commit", "committed"}),
    upload_again: ((upload_once,), {"create", "write", "fsync", "rename", "commit", "committed"}),
    delete: ((upload_once,), {"commit", "committed"}),
    collect: ((upload, delete), {"unlink", "fsync", "commit", "committed"}),
    report: ((), {"commit", "committed"}),
    verify: ((upload_once,), {"commit", "committed"}),
}

COMMANDS = {collect: ("collect", "--grace-s", "0"), verify: ("verify",)}


_BESIDE = pytest.mark.sqlite("asked of the service through its socket; on PostgreSQL it is a process of its own")
OF_THE_SERVICE = [
    pytest.param(each, marks=[_BESIDE] if each in COMMANDS else [], id=each.__name__) for each in OPERATIONS
]


def kill_at_every_step(operation: Callable[[Server, Ledger], None], warm: Warm, place: Place) -> None:
    before, must_pass = OPERATIONS[operation]
    ledger = Ledger()
    server = warm.start(place)
    server.create_application()
    server.stop()
    passed: set[str] = set()
    for step in range(1, MOST_STEPS):
        server = warm.start(place, fail_at=step)
        assert worked_s(server.pid) <= READY_S
        hold_to_promises(server, ledger)
        for prepare in before:
            prepare(server, ledger)
        server.send(signal.SIGUSR1)
        with contextlib.suppress(ConnectionError, http.client.HTTPException, IndexError):
            operation(server, ledger)
            break
        assert server.wait() == -signal.SIGKILL
        passed |= set(place.steps.read_text().split())
    else:
        raise AssertionError(f"more than {MOST_STEPS} steps")
    server.kill()
    server = warm.start(place)
    hold_to_promises(server, ledger)
    server.stop()
    assert passed >= must_pass


@pytest.mark.parametrize("operation", OF_THE_SERVICE)
def test_killed_at_every_step(operation: Callable[[Server, Ledger], None], warm: Warm, place: Place) -> None:
    kill_at_every_step(operation, warm, place)


@pytest.mark.long
@pytest.mark.sqlite("elsewhere no start sweeps")
@pytest.mark.parametrize(("operation", "broken"), [(report, ANSWERS_FIRST), (upload, NEVER_SWEEPS)])
def test_what_a_kill_breaks_is_noticed(operation: Callable[[Server, Ledger], None], broken: str, place: Place) -> None:
    """The control: a service that answers before it commits, and one that does not clear up."""
    warm = Warm(broken)
    try:
        with pytest.raises(AssertionError) as found:
            kill_at_every_step(operation, warm, place)
        print(str(found.value)[:300])
    finally:
        warm.end_all()
        warm.close()


@pytest.mark.parametrize("operation", COMMANDS, ids=lambda each: each.__name__)
def test_a_command_killed_at_every_step(operation: Callable[[Server, Ledger], None], warm: Warm, place: Place) -> None:
    """On PostgreSQL the service runs meanwhile."""
    before, must_pass = OPERATIONS[operation]
    ledger, passed = Ledger(), set[str]()
    server = warm.start(place)
    server.create_application()
    for step in range(1, MOST_STEPS):
        hold_to_promises(server, ledger)
        for prepare in before:
            prepare(server, ledger)
        if place.database_url is None:
            server.stop()
        status = warm.run(place, *COMMANDS[operation], fail_at=step)
        passed |= set(place.steps.read_text().split())
        if place.database_url is None:
            server = warm.start(place)
        if status == 0:
            break
        assert status == -signal.SIGKILL
    hold_to_promises(server, ledger)
    server.stop()
    assert passed >= must_pass


@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_every_step_of_the_first_start(
    warm: Warm, tmp_path: Path, new_database: NewDatabase, stride: int
) -> None:
    passed: set[str] = set()
    for step in range(1, MOST_STEPS, stride):
        place = Place(tmp_path / f"storage-{step}", new_database())
        try:
            server = warm.start(place, fail_at=step, armed=True)
        except EndedEarly:
            passed |= set(place.steps.read_text().split())
            server = warm.start(place)
            server.create_application()
            assert server.publish(b"bytes", "1.0.0") == 201
            assert server.stop() == 0
            continue
        server.kill()
        break
    else:
        raise AssertionError(f"more than {MOST_STEPS} steps")
    assert passed >= {"mkdir", "create", "replace", "fsync", "commit", "committed"}


def hold_to_promises(server: Server, ledger: Ledger) -> None:
    """Compare the service with what its client was told, and its files with its rows."""
    if server.place.database_url is None:  # else another process may be receiving there
        assert server.incoming() == []
    for version, content in list(ledger.unknown.items()):
        status, body = server.download(version)
        assert (status, body) == (200, content) or status == 404
        (ledger.published.__setitem__ if status == 200 else lambda *_: None)(version, content)
        del ledger.unknown[version]
    for version, content in ledger.published.items():
        assert server.download(version) == (200, content)
    for version in ledger.deleted:
        assert server.download(version)[0] == 404
    server.operate("collect", grace_s=0)
    found = server.blobs()
    assert set(found) == {hashlib.sha256(content).hexdigest() for content in ledger.published.values()}
    for digest, path in found.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == digest
    if server.place.database_url is None:
        assert server.place.ask("PRAGMA integrity_check") == [("ok",)]
    kept = [name for (name,) in server.place.ask("SELECT report_id FROM report")]
    assert len(kept) == len(set(kept))
    assert set(kept) >= {stored_id(name) for name in ledger.reported}
    orphans = "SELECT count(*) FROM blob WHERE digest NOT IN (SELECT blob_use.digest FROM blob_use)"
    assert server.place.ask(orphans) == [("0",)]
