"""Files and the programs that move them: what uploads and downloads of every row are measured with."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.bench.processes import KEY, LOAD_CORE, Process
from tests.bench.rows import Figure, Runs

SIZE_BYTES = 256 << 20


class Meter:
    """Keeps what a server's process used of the processor during each of several works, in seconds."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._used_s: list[float] = []

    def over(self, work: Callable[[], float]) -> float:
        """Do the work, and return what it returns."""
        before_s = self._process.cpu_s()
        result = work()
        self._used_s.append(self._process.cpu_s() - before_s)
        return result

    def runs(self) -> Runs:
        """Return what was used, a value a work."""
        return Runs(tuple(self._used_s))


def processor(what: str, own: Runs, peer: Runs, *, at_most: float | None = None) -> Figure:
    """Compare seconds of processor time: less is better."""
    return Figure(what, own.over(peer), own, peer, "{:.3f} s", at_most=at_most)


def make_file(folder: Path, size_bytes: int = SIZE_BYTES, name: str = "original.bin") -> Path:
    """Write a file of random bytes, a whole number of MiB."""
    path = folder / name
    with path.open("wb") as file:
        for _ in range(size_bytes >> 20):
            file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
    return path


def freshen(path: Path) -> None:
    """Change a few bytes, so that no server has this content already."""
    with path.open("r+b") as file:
        file.write(os.urandom(16))


def fetch(url: str) -> float:
    """Download with curl, to nowhere; return how long it took."""
    return took_s("taskset", "-c", LOAD_CORE, "curl", "-sSf", "-o", "/dev/null", url)


def fetch_in_pieces(url: str, folder: Path) -> float:
    """Download with aria2c over eight connections into a folder; return how long it took."""
    split = ["-x8", "-s8", "-k1M", "--file-allocation=none", "--allow-overwrite=true", "--auto-file-renaming=false"]
    quiet = ["-q", "--no-conf=true", "-d", str(folder), "-o", "fetched"]
    return took_s("taskset", "-c", LOAD_CORE, "aria2c", *split, *quiet, url)


def upload_form(server: Process, path: Path, version: str, *fields: str) -> float:
    """Upload with curl as a form; `fields` are further ones, `name=value`. Return how long it took."""
    return send_form(f"{server.url}/api/v1/updates/my-app/upload", path, version, *fields)


def send_form(address: str, path: Path, version: str, *fields: str) -> float:
    """Send the form of an upload to an address, as `upload_form`. Return how long it took."""
    given = {"version": version, "platform": "linux", "architecture": "amd64", "file": f"@{path}"}
    form = [part for each in (*(f"{name}={value}" for name, value in given.items()), *fields) for part in ("-F", each)]
    return took_s("curl", "-sSf", "-o", "/dev/null", "-H", f"Authorization: Bearer {KEY}", *form, address)


def took_s(*command: str) -> float:
    """Run a command that must succeed; return how long it took."""
    began_s = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began_s
