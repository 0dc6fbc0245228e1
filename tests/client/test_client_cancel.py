"""An application may give up at any moment: nothing stays open behind it."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import time
from pathlib import Path

import pytest

from tests.conftest import LINUX
from updater_client import NewBuild, UpdateClient


def _open_files(folder: Path) -> list[Path]:
    """List what is open in the folder itself; the service has its own folder below."""
    gc.collect()
    found = [link.resolve() for link in Path("/proc/self/fd").iterdir() if link.exists()]
    return [path for path in found if path.parent == folder and path.is_file()]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see open files")
async def test_a_cancelled_transfer_leaves_no_file_open(client, build, tmp_path: Path) -> None:
    build.path.write_bytes(b"small, so that opening it is a large part of the whole")
    await client.publish("my-app", build)
    release = await client.latest("my-app", LINUX)
    for step in range(40):
        other = dataclasses.replace(build, version=f"2.0.{step}")
        calls = (client.publish("my-app", other), client.fetch(release, tmp_path / f"{step}"))
        tasks = [asyncio.create_task(call) for call in calls]
        await asyncio.sleep(0.0003 * step)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(20):
        while _open_files(tmp_path):  # a thread that reads ends its piece
            await asyncio.sleep(0.05)


def test_a_cancelled_upload_does_not_read_a_large_file_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(100 << 30)  # takes no room

    async def give_up() -> None:
        async with UpdateClient("http://127.0.0.1:9") as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.publish("my-app", NewBuild(path, "1.0.0", LINUX)), 0.2)

    begun = time.monotonic()
    asyncio.run(give_up())  # waits for its threads
    assert time.monotonic() - begun < 15
