"""No room and failing disks: refused in words, nothing left behind, and reading goes on."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.durability.conftest import Launch, Server, require, require_strace
from tests.stored import stored_id

MIB = 1 << 20
REFUSED = {503, 507}
RECOVERS_WITHIN_S = 30.0
Mount = Callable[[str], Path]
# With PostgreSQL only the files lie there: uploads are refused, everything else goes on.
ALL_ON_THE_DISK = pytest.mark.sqlite("the database lies on the disk that fails, too")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Return a function that mounts a small file system in memory."""
    places: list[Path] = []

    def run(options: str) -> Path:
        place = tmp_path / "small"
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        done = subprocess.run(command, capture_output=True, text=True) if os.geteuid() == 0 else None
        require(done is not None and done.returncode == 0, "needs the right to mount a file system")
        places.append(place)
        return place

    yield run
    for place in places:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take what room is left."""
    filler = place / "filler"
    with filler.open("ab", buffering=0) as file:
        for size in (MIB, 4096, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return filler


def take_all_names(place: Path) -> Path:
    folder = place / "names"
    folder.mkdir()
    with contextlib.suppress(OSError):
        for number in range(10_000):
            (folder / str(number)).touch()
    return folder


def reads_go_on(server: Server, content: bytes) -> None:
    assert server.download("1.0.0") == (200, content)
    assert server.offered() == "1.0.0"
    assert server.status("GET", "/updates/my-app/releases") == 200
    assert server.status("GET", "/health") == 200


def writes_are_refused(server: Server) -> None:
    assert server.publish(os.urandom(3 * MIB), "2.0.0") in REFUSED
    assert server.report("refused") in REFUSED
    more = {"id": "more", "name": "More", "platforms": ["linux"]}
    assert server.status("POST", "/applications", more) in REFUSED
    assert server.status("DELETE", "/updates/my-app/releases/1.0.0/linux/amd64") in REFUSED
    assert server.incoming() == []


def writes_work_again(server: Server) -> None:
    deadline_s = time.monotonic() + RECOVERS_WITHIN_S
    while (status := server.publish(b"after", "2.0.0")) in REFUSED and time.monotonic() < deadline_s:
        time.sleep(0.1)
    assert status == 201
    assert server.report("after") == 200
    assert server.offered() == "2.0.0"
    assert server.incoming() == []
    if server.place.database_url is None:
        assert server.place.ask("PRAGMA integrity_check") == [("ok",)]
    assert {(stored_id("before"),), (stored_id("after"),)} <= set(server.place.ask("SELECT report_id FROM report"))


def start(launch: Launch, place: Path, content: bytes) -> Server:
    # The log goes to the same disk: a line that cannot be written must not become an error.
    server = launch(at=place / "storage", stdout=place / "log")
    server.create_application()
    assert server.publish(content, "1.0.0") == 201
    assert server.report("before") == 200
    return server


@ALL_ON_THE_DISK
def test_a_full_disk(launch: Launch, mount: Mount) -> None:
    place, content = mount("size=24m"), os.urandom(MIB)
    server = start(launch, place, content)
    statuses = [server.publish(os.urandom(5 * MIB), f"0.0.{number}") for number in range(6)]
    assert 507 in statuses
    assert set(statuses) <= {201, 507}
    assert server.incoming() == []
    filler = fill(place)
    reports = [server.report(f"full-{number}") for number in range(20)]
    assert set(reports) <= {200, *REFUSED}
    fill(place)
    reads_go_on(server, content)
    while server.report() == 200:  # what SQLite had reserved before
        fill(place)
    writes_are_refused(server)
    reads_go_on(server, content)
    filler.unlink()
    writes_work_again(server)
    assert server.stop() == 0


def test_a_disk_too_full_for_a_file(launch: Launch, mount: Mount) -> None:
    place, content = mount("size=24m"), os.urandom(MIB)
    server = start(launch, place, content)
    assert server.publish(os.urandom(25 * MIB), "2.0.0") == 507
    assert server.incoming() == []
    reads_go_on(server, content)
    writes_work_again(server)


def test_no_more_names(launch: Launch, mount: Mount) -> None:
    place, content = mount("size=24m,nr_inodes=80"), os.urandom(MIB)
    server = start(launch, place, content)
    names = take_all_names(place)
    assert server.publish(b"more", "2.0.0") == 507
    reads_go_on(server, content)
    for each in names.iterdir():
        each.unlink()
    writes_work_again(server)


@ALL_ON_THE_DISK
def test_a_limit_on_the_size_of_files(launch: Launch, tmp_path: Path) -> None:
    content = os.urandom(MIB)
    server = start(launch, tmp_path, content)
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (2 * MIB, hard))
    assert server.publish(os.urandom(3 * MIB), "2.0.0") == 507
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (16, hard))
    writes_are_refused(server)
    reads_go_on(server, content)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))
    writes_work_again(server)


@contextlib.contextmanager
def failing(server: Server, trace: Path, calls: str, when: str) -> Iterator[None]:
    """Let these system calls fail with EIO, counted in each thread."""
    command = [require_strace(), "-f", "-y", "-o", str(trace), "-e", f"trace={calls}"]
    command += ["-e", f"inject={calls}:error=EIO:when={when}", "-p", str(server.pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    assert "attached" in tracer.stderr.readline()
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.communicate(timeout=20)


@ALL_ON_THE_DISK
def test_a_disk_that_fails_to_sync(launch: Launch, tmp_path: Path) -> None:
    content, trace = os.urandom(MIB), tmp_path / "trace"
    server = start(launch, tmp_path, content)
    with failing(server, trace, "fsync,fdatasync", "1+"):
        assert 500 < server.publish(os.urandom(MIB), "2.0.0") < 600
        assert server.report("refused") == 503
        assert server.status("DELETE", "/updates/my-app/releases/1.0.0/linux/amd64") == 503
        assert server.download("2.0.0")[0] == 404
        reads_go_on(server, content)
        assert server.incoming() == []
    given_up = re.findall(r"fsync\(\d+<(.*/incoming/[^>]+)>\)?", trace.read_text())
    assert given_up
    assert len(given_up) == len(set(given_up)), "a failed fsync was tried again"
    writes_work_again(server)


EACH = ("fsync", "fdatasync", "pwrite64", "write", "rename")


@pytest.mark.parametrize(
    ("calls", "times"), [("fsync,fdatasync", 5), *(pytest.param(each, 24, marks=pytest.mark.long) for each in EACH)]
)
def test_every_single_failure(launch: Launch, tmp_path: Path, calls: str, times: int) -> None:
    """Whatever fails, the answer is an error and nothing is published, or it is done and stays done."""
    server = start(launch, tmp_path, os.urandom(MIB))
    kept = {"1.0.0"}
    for when in range(1, times + 1):
        version, content = f"3.0.{when}", os.urandom(MIB + when)
        with failing(server, tmp_path / "trace", calls, str(when)):
            with contextlib.suppress(ConnectionError):
                status = server.publish(content, version)
            assert status == 201 or 500 < status < 600
            expected = (200, content) if status == 201 else None
            found = server.download(version)
            assert found == expected if expected else found[0] == 404
        assert server.incoming() == []
        kept |= {version} if status == 201 else set()
    server.kill()
    server = launch(at=server.root)
    assert all(server.download(version)[0] == 200 for version in kept)
    assert server.operate("verify")["bad"] == []


def test_the_injection_itself_works(launch: Launch, tmp_path: Path) -> None:
    server = start(launch, tmp_path, b"content")
    with failing(server, tmp_path / "trace", "fsync", "1+"):
        server.publish(b"more", "2.0.0")
    assert f"EIO ({os.strerror(errno.EIO)}) (INJECTED)" in (tmp_path / "trace").read_text()
