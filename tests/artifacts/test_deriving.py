"""The process that makes a derived file: what it makes, what it refuses, and that it never outlives who asked."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from updater.artifacts import derived, deriving, makers
from updater.artifacts.derived import Deriver, Underivable
from updater.artifacts.deriving import Order
from updater.artifacts.local import LocalBlobStore
from updater.errors import NotFound, Unavailable

CONTENT = random.Random(1).randbytes(3_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Elsewhere(LocalBlobStore):
    """A store whose files are not on this machine, as far as anyone can tell; it may fail after some pieces."""

    pieces_until_failure: int | None = None

    def locate(self, digest: str) -> Path:
        return None  # type: ignore[return-value]

    async def read(self, digest: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        left = self.pieces_until_failure
        path = LocalBlobStore.locate(self, digest)
        if not path.exists():
            raise NotFound("blob", "No such blob")
        content = path.read_bytes()[start:]
        content = content if length is None else content[:length]
        for place in range(0, len(content), 1 << 20):
            if left == 0:
                raise Unavailable("The store failed")
            left = None if left is None else left - 1
            yield content[place : place + (1 << 20)]


@pytest.fixture(autouse=True)
def hurry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the processes their share of a machine on which other tests run, but for the test that looks at it."""
    if request.function is not test_the_process_has_the_least_priority_and_ends_with_who_asked:
        monkeypatch.setattr(derived, "NICENESS", 0)


@pytest.fixture(params=[LocalBlobStore, Elsewhere])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalBlobStore]:
    kept: LocalBlobStore = request.param(tmp_path)
    yield kept
    kept.close()


async def put(store: LocalBlobStore, content: bytes = CONTENT) -> str:
    async def chunks() -> AsyncIterator[bytes]:
        yield content

    staged = await store.receive(chunks())
    path = LocalBlobStore.locate(store, staged.digest)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return staged.digest


def order(kind: str, **more: object) -> Order:
    values = {"size_bytes": len(CONTENT), "digest": DIGEST, "parent": os.getpid(), "name": "My App", "url": "My%20App"}
    return Order(kind, **{**values, **more})  # type: ignore[arg-type]


async def made(store: LocalBlobStore, wanted: Order) -> bytes:
    return b"".join([piece async for piece in Deriver(store).make(wanted)])


async def test_both_kinds_are_made_of_the_bytes(store: LocalBlobStore) -> None:
    await put(store)
    assert await made(store, order("blockmap")) == makers.make_block_map([CONTENT])
    assert await made(store, order("zsync", modified_at="2026-11-05T07:08:09+00:00")) == (
        makers.make_zsync([CONTENT], size_bytes=len(CONTENT), filename="My App", url="My%20App").replace(
            b"\nBlocksize", b"\nMTime: Thu, 05 Nov 2026 07:08:09 +0000\nBlocksize", 1
        )
    )


@pytest.mark.parametrize("kind", ["blockmap", "zsync"])
async def test_nothing_is_made_of_a_damaged_or_missing_file(store: LocalBlobStore, kind: str) -> None:
    with pytest.raises(NotFound):
        await made(store, order(kind))
    await put(store)
    path = LocalBlobStore.locate(store, DIGEST)
    for wrong in (CONTENT[:-1], CONTENT + b"!", CONTENT[:-1] + b"?", b""):
        path.write_bytes(wrong)
        with pytest.raises((NotFound, Underivable)):
            await made(store, order(kind))


async def test_a_store_that_fails_midway_is_said_to_have_failed(tmp_path: Path) -> None:
    """And not the file to be damaged."""
    store = Elsewhere(tmp_path)
    await put(store)
    store.pieces_until_failure = 1
    with pytest.raises(Unavailable, match="The store failed"):
        await made(store, order("blockmap"))
    store.close()


async def test_what_the_process_says_last_is_told(store: LocalBlobStore) -> None:
    await put(store)
    with pytest.raises(Underivable, match="line breaks"):
        await made(store, order("zsync", name="a\nb"))


@pytest.mark.parametrize(
    ("end", "found"), [(b"map", True), (b"other", False), (b"", False), (b"huge", False)], ids=lambda each: str(each)
)
async def test_the_block_map_of_an_appimage_is_found(store: LocalBlobStore, end: bytes, found: bool) -> None:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    raw = deflater.compress(json.dumps({"version": "2", "files": []}).encode()) + deflater.flush()
    ends = {
        b"map": raw + len(raw).to_bytes(4, "big"),
        b"huge": b"\x7f\xff\xff\xff",
        b"other": b"no map" + bytes([0, 0, 0, 6]),
    }
    content = (b"\x7fELF" * 1000 if end else b"") + ends.get(end, b"")
    digest = await put(store, content)
    assert await Deriver(store).find_block_map_bytes(digest, len(content)) == (len(raw) if found else None)


def children() -> list[int]:
    """Return the processes that make something for this one."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            with contextlib.suppress(OSError):
                if deriving.__name__ in Path(f"/proc/{pid}/cmdline").read_text():
                    found.append(int(pid))
    return found


async def started() -> int:
    async with asyncio.timeout(30):
        while not (found := children()):
            await asyncio.sleep(0.01)
    return found[0]


class Endless(Elsewhere):
    """A store that gives the first piece of a file, and then nothing for long."""

    async def read(self, digest: str, start: int = 0, length: int | None = None) -> AsyncIterator[bytes]:
        yield bytes(1 << 20)
        await asyncio.sleep(600)


async def test_the_process_has_the_least_priority_and_ends_with_who_asked(tmp_path: Path) -> None:
    task = asyncio.create_task(made(Endless(tmp_path), order("blockmap")))
    pid = await started()
    async with asyncio.timeout(30):
        while os.getpriority(os.PRIO_PROCESS, pid) != 19:
            await asyncio.sleep(0.01)
    assert os.getpgid(pid) == pid != os.getpgid(0), "a terminal's interrupt is not for it"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not children()


async def test_a_process_that_is_killed_made_nothing(tmp_path: Path) -> None:
    task = asyncio.create_task(made(Endless(tmp_path), order("blockmap")))
    os.kill(await started(), signal.SIGKILL)
    with pytest.raises(Underivable, match="ended with -9"):
        async with asyncio.timeout(30):
            await task


def test_it_ends_by_itself_when_its_parent_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    wanted = order("blockmap", parent=os.getppid(), niceness=0)
    command = [sys.executable, "-m", deriving.__name__, wanted.text(), str(path)]
    ended = subprocess.run(command, capture_output=True, timeout=60)
    assert (ended.returncode, ended.stdout) == (1, b"")


def test_it_finds_its_libraries_and_reads_no_environment(tmp_path: Path) -> None:
    """Control: the variables of this test's process, secrets among them, are not in the other's."""
    code = (
        "import asyncio, os, sys\n"
        "from updater.artifacts import derived\n"
        "async def main():\n"
        "    process = await derived._start(derived.Order('blockmap', 1, '', os.getpid()), None, fed=True)\n"
        "    print(open(f'/proc/{process.pid}/environ').read())\n"
        "    process.kill(); await process.wait()\n"
        "asyncio.run(main())\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "UPDATER_X": "secret"},
    ).stdout
    assert "PYTHONPATH=" in said
    assert "secret" not in said


def test_the_memory_that_it_takes_is_bounded(tmp_path: Path) -> None:
    """A small process in between: what this one has counts for its children, too, until they are another program."""
    path, piece, whole = tmp_path / "file", random.Random(2).randbytes(1 << 20), hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(200):
            file.write(piece)
            whole.update(piece)
    between = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    for kind in ("blockmap", "zsync"):
        code = f"import os, sys; from updater.artifacts import deriving as d; o = d.Order({kind!r}, {200 << 20}, "
        code += f"{whole.hexdigest()!r}, os.getppid(), 'a', 'a', None, 0); sys.exit(d.main([o.text(), {str(path)!r}]))"
        command = [sys.executable, "-c", between, sys.executable, "-c", code]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert int(said) < 100 * 1024
