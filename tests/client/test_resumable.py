"""`publish` of a large file goes on after cuts, with another run, and never sends more than a piece again."""

from __future__ import annotations

import asyncio
import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

import updater_client.releases as releases
from tests.conftest import LINUX, QUICK, Running
from tests.web.tus.cutting import cutting
from tests.web.tus.talking import BUILD, metadata
from updater_client import NewApplication, NewBuild, UpdateClient, UpdateError, resumable
from updater_client.files import NewFile

PIECE = 256 * 1024
SIZE = 20 * PIECE + 12_345


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> NewBuild:
    """A build that is large for these tests: pieces of 256 KiB, from 1 MiB on."""
    monkeypatch.setattr(resumable, "PIECE_BYTES", PIECE)
    monkeypatch.setattr(releases, "RESUMES_FROM_BYTES", 1 << 20)
    path = tmp_path / "App.bin"
    path.write_bytes(random.Random(3).randbytes(SIZE))
    return NewBuild(path, "1.1.0", LINUX, release_notes="Größer.", metadata={"commit": "ab12"})


async def made(server: Running) -> None:
    async with UpdateClient(server.url, server.key, retry=QUICK) as client:
        await client.create_application(NewApplication("my-app", "My App"))


def digest_of(build: NewBuild) -> str:
    return hashlib.sha256(build.path.read_bytes()).hexdigest()


async def uploads(server: Running) -> list[dict[str, Any]]:
    async with UpdateClient(server.url, server.key, retry=QUICK) as client:
        found: list[dict[str, Any]] = (await client.releases._transport.call("GET", "/uploads"))["uploads"]
        return found


async def test_twenty_cuts(server: Running, large: NewBuild) -> None:
    await made(server)
    choose = random.Random(5)
    async with (
        cutting(server.url, lambda: choose.randrange(0, 2 * PIECE) if relay_cuts() < 20 else None) as relay,
        UpdateClient(relay.url, server.key, retry=QUICK) as client,
    ):
        cut[:] = [relay]
        seen: list[int] = []
        published = await client.publish("my-app", large, progress=lambda done, _: seen.append(done))
    assert published.checksum == digest_of(large)
    assert relay.cuts >= 10
    assert relay.sent_bytes <= SIZE + relay.cuts * PIECE
    assert seen[-1] == SIZE


cut: list[Any] = []


def relay_cuts() -> int:
    return cut[0].cuts if cut else 0


async def test_another_run_goes_on(server: Running, large: NewBuild) -> None:
    await made(server)
    async with cutting(server.url, lambda: None) as relay:
        async with UpdateClient(relay.url, server.key, retry=QUICK) as client:
            half = asyncio.Event()
            run = asyncio.create_task(
                client.publish("my-app", large, progress=lambda done, _: half.set() if done > SIZE // 2 else None)
            )
            await half.wait()
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
        first = relay.sent_bytes
        assert first >= SIZE // 2
        async with UpdateClient(relay.url, server.key, retry=QUICK) as client:
            published = await client.publish("my-app", large)
        assert published.checksum == digest_of(large)
        assert relay.sent_bytes <= SIZE + PIECE
    (only,) = await uploads(server)
    assert only["state"] == "published"


async def test_two_runs_at_once_both_succeed(server: Running, large: NewBuild) -> None:
    await made(server)
    async with (
        UpdateClient(server.url, server.key, retry=QUICK) as one,
        UpdateClient(server.url, server.key, retry=QUICK) as two,
    ):
        first, second = await asyncio.gather(one.publish("my-app", large), two.publish("my-app", large))
    assert {first.checksum, second.checksum} == {digest_of(large)}


async def test_the_same_bytes_again_send_nothing(server: Running, large: NewBuild) -> None:
    await made(server)
    async with cutting(server.url, lambda: None) as relay, UpdateClient(relay.url, server.key, retry=QUICK) as client:
        assert not (await client.publish("my-app", large)).repeated
        sent = relay.sent_bytes
        assert (await client.publish("my-app", large)).repeated
        assert relay.sent_bytes == sent
        large.path.write_bytes(b"x" * SIZE)
        with pytest.raises(UpdateError, match="exists already") as caught:
            await client.publish("my-app", large)
        assert caught.value.status == 409
        assert relay.sent_bytes == sent


async def test_a_companion_and_long_notes(server: Running, large: NewBuild, tmp_path: Path) -> None:
    await made(server)
    async with cutting(server.url, lambda: None) as relay, UpdateClient(relay.url, server.key, retry=QUICK) as client:
        import dataclasses

        # More than headers hold: it goes as a form.
        await client.publish("my-app", dataclasses.replace(large, release_notes="n" * 60_000))
        assert relay.sent_bytes == 0
        file = NewFile(large.path, "App.zip", "1.1.0", LINUX, kind="archive")
        added = await client.releases.add_file("my-app", file)
        assert (added.name, added.kind, added.checksum) == ("App.zip", "archive", digest_of(large))
        assert relay.sent_bytes == SIZE


async def test_what_is_refused_at_the_end_says_why(server: Running, large: NewBuild) -> None:
    """Somebody else is faster: the last piece is refused, and what is there tells that it is the same."""
    await made(server)
    async with UpdateClient(server.url, server.key, retry=QUICK) as client:
        path = (
            await client.releases._transport.tell(
                "POST",
                "/uploads",
                {
                    "Tus-Resumable": "1.0.0",
                    "Upload-Length": "5",
                    "Upload-Metadata": metadata(**{**BUILD, "version": "1.1.0"}),
                },
            )
        )["Location"].removeprefix("/api/v1")
        await client.publish("my-app", large)
        sending = resumable._Sending(client.releases._transport, {}, await take(large, b"other"), None)
        with pytest.raises(UpdateError, match="exists already"):
            await sending._send(path, 0)
        with pytest.raises(UpdateError, match="exists already") as caught:
            await sending._offset(path)
        assert caught.value.details["checksum"] == digest_of(large)


async def take(build: NewBuild, content: bytes) -> Any:
    from updater_client.upload import take_snapshot

    path = build.path.with_name("other")
    path.write_bytes(content)
    return await take_snapshot(path)
