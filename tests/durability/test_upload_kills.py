"""The service is killed at every step of an upload that resumes, and at random moments; it is published once, whole."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import random
import signal
import threading
from base64 import b64encode
from dataclasses import dataclass, field

import pytest

from tests.conftest import KEYS
from tests.durability.conftest import Place, Server, Warm, is_gone

CONTENT = random.Random(9).randbytes(700_001)
PIECE = 300_000
MOST_STEPS = 120
BROKEN = (ConnectionError, http.client.HTTPException, TimeoutError)


Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Client:
    """A client that remembers its upload, and what it was told of it."""

    version: str
    content: bytes = CONTENT
    piece_bytes: int = PIECE
    url: str = ""
    told: int = 0
    sent: int = 0
    is_published: bool = False
    problems: list[str] = field(default_factory=list)

    def ask(
        self, server: Server, method: str, url: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        given = {"Authorization": f"Bearer {KEYS['write']}", "Tus-Resumable": "1.0.0", "Connection": "close", **headers}
        with contextlib.closing(connection):
            connection.request(method, url, body or None, given)
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read()

    def begin(self, server: Server) -> None:
        said = {"application_id": "my-app", "version": self.version, "platform": "linux", "architecture": "amd64"}
        pairs = ",".join(f"{name} {b64encode(text.encode()).decode()}" for name, text in said.items())
        headers = {"Upload-Length": str(len(self.content)), "Upload-Metadata": pairs}
        status, told, body = self.ask(server, "POST", "/api/v1/uploads", **headers)
        assert status == 201, body
        self.url = told["Location"]

    def run(self, server: Server) -> None:
        """Go on to the end, as a client of tus does: HEAD, then the rest."""
        if not self.url:
            self.begin(server)
        status, told, body = self.ask(server, "HEAD", self.url)
        assert status == 200, (status, body)
        offset = int(told["Upload-Offset"])
        if offset < self.told:
            self.problems.append(f"told {self.told}, has {offset}")
        while offset < len(self.content):
            piece = self.content[offset : offset + self.piece_bytes]
            self.sent += len(piece)
            headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
            status, told, body = self.ask(server, "PATCH", self.url, piece, **headers)
            assert status == 204, (status, body)
            offset = self.told = int(told["Upload-Offset"])
        told_of_it = json.loads(self.ask(server, "GET", self.url)[2])
        assert told_of_it["state"] == "published", told_of_it
        self.is_published = True


def hold_to_published(server: Server, client: Client) -> None:
    """Hold the service to what was sent: the right bytes, one build, one row, nothing left."""
    assert client.problems == []
    status, body = server.download(client.version)
    assert (status, hashlib.sha256(body).digest()) == (200, hashlib.sha256(client.content).digest())
    rows = server.place.ask(
        f"SELECT count(*) FROM audit WHERE action = 'build.published' AND version = '{client.version}'"
    )
    assert rows == [("1",)]
    assert server.incoming() == []
    assert [each.name for each in (server.root / "partial").iterdir()] == ["place"]


def clear_up(server: Server, client: Client) -> None:
    """End what a kill may leave behind until it expires: a beginning whose answer was lost, or a second name."""
    listed = {each["id"]: each for each in json.loads(client.ask(server, "GET", "/api/v1/uploads")[2])["uploads"]}
    for path in (server.root / "partial").iterdir():
        found = listed.get(path.name)
        if found is not None and found["state"] == "published":
            assert path.stat().st_nlink == 2, "it costs room beside the blob"
            path.unlink()
        elif path.name != "place" and (found is None or found["url"] != client.url):
            assert path.stat().st_size == 0
            path.unlink()


@pytest.mark.sqlite("the steps to the disk are those of its file")
@pytest.mark.parametrize("every", [4, pytest.param(1, marks=pytest.mark.long)])
def test_killed_at_every_step(warm: Warm, place: Place, every: int) -> None:
    server = warm.start(place)
    server.create_application()
    server.stop()
    passed: set[str] = set()
    for step in range(1, MOST_STEPS, every):
        server = warm.start(place, fail_at=step)
        client = Client(f"1.0.{step}")
        server.send(signal.SIGUSR1)
        with contextlib.suppress(*BROKEN):
            client.run(server)
            break
        assert server.wait() == -signal.SIGKILL
        passed |= set(place.steps.read_text().split())
        server = warm.start(place)
        client.run(server)
        clear_up(server, client)
        hold_to_published(server, client)
        assert client.sent <= len(CONTENT) + PIECE
        server.stop()
    else:
        raise AssertionError(f"more than {MOST_STEPS} steps")
    server.kill()
    assert passed >= {"create", "write", "fsync", "rename", "commit", "committed", "unlink"}


@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.long)])
def test_random_kills(warm: Warm, place: Place, kills: int) -> None:
    seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().getrandbits(32))
    print(f"FAULT_SEED={seed}")
    chosen, killed, uploads, sent, size = random.Random(seed), 0, 0, 0, 0
    server = warm.start(place)
    server.create_application()
    while killed < kills:
        uploads += 1
        content = chosen.randbytes(chosen.randrange(1, 12_000_000))
        client, before = Client(f"2.0.{uploads}", content, chosen.choice((64_000, 1 << 20, 64 << 20))), killed
        while True:
            timer = threading.Timer(chosen.uniform(0, 0.15), server.send, [signal.SIGKILL])
            if killed < kills:
                timer.start()
            with contextlib.suppress(*BROKEN):
                client.run(server)
                if client.is_published:
                    break
            killed += 1
            assert server.wait() == -signal.SIGKILL
            server = warm.start(place)
        if timer.ident is not None:
            timer.cancel()
            timer.join()
        if is_gone(server.pid):
            killed += 1
            server.wait()
            server = warm.start(place)
        clear_up(server, client)
        hold_to_published(server, client)
        # A kill costs a piece at most; of one large piece what came since the last checkpoint.
        if client.piece_bytes <= 1 << 20:
            assert client.sent <= len(content) + (killed - before) * client.piece_bytes
        sent, size = sent + client.sent, size + len(content)
    print(f"{killed} kills, {uploads} uploads of {size} bytes, {sent} bytes handed to sockets")
    server.stop()
