"""The zsync address of an image: the stored file with its two lines, and real zsync behind it.

Controls: `URL:` left as it was, the recipe sent instead of the file: each turns red.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError

from tests.feeds.filing import publish
from updater.artifacts import zsync
from updater.catalog.platforms import Target

PATH = "/feeds/my-app/stable/appimage/x86_64.zsync"
LINUX = Target("linux", "amd64")
NAME = "My App.AppImage"


async def control_file(folder: Path, image: bytes) -> bytes:
    """Return the file that zsyncmake makes of an image."""
    source = folder / "source.AppImage"
    source.write_bytes(image)
    made = folder / "made.zsync"
    arguments = ["zsyncmake", "-u", "http://elsewhere.example/old", "-f", "old", "-o", str(made), str(source)]
    process = await asyncio.create_subprocess_exec(*arguments, stderr=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0
    return made.read_bytes()


@pytest.mark.skipif(shutil.which("zsyncmake") is None, reason="zsync is not installed")
async def test_an_image_updates_itself(feeds: Any, tmp_path: Path) -> None:
    dice = random.Random(1)
    old = dice.randbytes(400_000)
    new = old[:150_000] + dice.randbytes(3_000) + old[150_000:]
    stored = await control_file(tmp_path, new)
    await publish(feeds, "1.0.0", LINUX, {NAME: old, f"{NAME}.zsync": await control_file(tmp_path, old)})
    await publish(feeds, "1.1.0", LINUX, {NAME: new, f"{NAME}.zsync": stored})
    response, body = await feeds.exchange("GET", PATH, status=200)
    assert response.headers["Content-Type"] == "application/x-zsync"
    assert response.headers["Content-Length"] == str(len(body))
    url = f"{feeds.url}/api/v1/updates/my-app/download/1.1.0/linux/amd64/My%20App.AppImage"
    assert body == zsync.rewrite(stored, NAME, url)
    assert body.count(b"\nURL: ") == 1 and body.endswith(stored.partition(b"\n\n")[2])
    head, nothing = await feeds.exchange("HEAD", PATH, status=200)
    assert nothing == b"" and head.headers["Content-Length"] == str(len(body))
    await feeds.exchange("GET", PATH, headers={"If-None-Match": response.headers["ETag"]}, status=304)
    (tmp_path / "installed.AppImage").write_bytes(old)
    arguments = ["zsync", "-q", "-i", "installed.AppImage", "-o", "updated.AppImage", f"{feeds.url}{PATH}"]
    process = await asyncio.create_subprocess_exec(*arguments, cwd=tmp_path)
    assert await process.wait() == 0
    assert (tmp_path / "updated.AppImage").read_bytes() == new


async def test_while_there_is_no_control_file_the_image_before_is_shown(feeds: Any) -> None:
    await feeds.exchange("GET", PATH, status=404)
    control = zsync.render(b"\0" * 8, size_bytes=3, sha1="ab" * 20, filename="x", url="x")
    await publish(feeds, "1.0.0", LINUX, {NAME: b"one", f"{NAME}.zsync": control})
    await publish(feeds, "1.1.0", LINUX, {NAME: b"two"})
    for query in ("", "?current_version=1.1.0", "?client_id=a"):
        _, body = await feeds.exchange("GET", PATH + query, status=200)
        assert b"/download/1.0.0/" in body and f"Filename: {NAME}\n".encode() in body
    for path in ("amd64.zsync", "x86_64", "x86_64.zsync.zsync", "aarch64.zsync"):
        await feeds.exchange("GET", PATH.replace("x86_64.zsync", path), status=404)


async def test_what_is_no_control_file_is_not_sent(feeds: Any) -> None:
    await publish(feeds, "1.0.0", LINUX, {NAME: b"one", f"{NAME}.zsync": b"something else"})
    answer = await feeds.call("GET", PATH, status=404)
    assert "no zsync file" in answer["message"]


async def test_a_control_file_whose_bytes_are_gone_is_503(feeds: Any) -> None:
    control = zsync.render(b"\0" * 8, size_bytes=3, sha1="ab" * 20, filename="x", url="x")
    await publish(feeds, "1.0.0", LINUX, {NAME: b"one", f"{NAME}.zsync": control})
    blobs = feeds.services.artifacts.blobs
    async for each in blobs.scan():
        if each.size_bytes == len(control):
            await blobs.delete(each.digest)
    await feeds.exchange("GET", PATH, status=503)


async def test_a_large_control_file_is_sent_piece_by_piece(feeds: Any) -> None:
    sums = random.Random(2).randbytes(5_000_000)
    control = zsync.render(sums, size_bytes=3, sha1="ab" * 20, filename="x", url="x")
    await publish(feeds, "1.0.0", LINUX, {NAME: b"one", f"{NAME}.zsync": control})
    url = f"{feeds.url}/api/v1/updates/my-app/download/1.0.0/linux/amd64/My%20App.AppImage"
    response, body = await feeds.exchange("GET", PATH, status=200)
    assert body == zsync.rewrite(control, NAME, url)
    assert response.headers["Content-Length"] == str(len(body))
    assert response.headers["Content-Type"] == "application/x-zsync" and "ETag" in response.headers
    head, nothing = await feeds.exchange("HEAD", PATH, status=200)
    assert nothing == b"" and head.headers["Content-Length"] == str(len(body))
    await feeds.exchange("GET", PATH, headers={"If-None-Match": response.headers["ETag"]}, status=304)


async def test_a_control_file_that_was_cut_is_no_whole_answer(feeds: Any) -> None:
    control = zsync.render(b"\0" * 5_000_000, size_bytes=3, sha1="ab" * 20, filename="x", url="x")
    await publish(feeds, "1.0.0", LINUX, {NAME: b"one", f"{NAME}.zsync": control})
    path = feeds.services.artifacts.blobs.locate(hashlib.sha256(control).hexdigest())
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.truncate(4_000_000)
    with pytest.raises(ClientPayloadError):
        await feeds.exchange("GET", PATH)
