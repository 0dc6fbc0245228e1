"""The order of system calls behind an answer: bytes, name and row are on disk before the client hears of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import DATABASE
from tests.durability.conftest import Launch, Server, require_strace

CALLS = "openat,write,pwrite64,fsync,fdatasync,rename,mkdir,sendto,writev,sendmsg"
UNFINISHED = "<unfinished ...>"  # what strace ends a call's line with when another thread's call comes before its end
WITHOUT_FSYNC = ("-c", "import os; os.fsync = lambda _: None; from updater.cli import main; main()")
WITHOUT_FULL = (
    "-c",
    "import importlib.util as u, sys; s = u.find_spec('updater.database.sqlite'); m = u.module_from_spec(s);"
    "sys.modules[s.name] = m; text = open(s.origin).read(); assert 'synchronous=FULL' in text;"
    "exec(compile(text.replace('synchronous=FULL', 'synchronous=NORMAL'), s.origin, 'exec'), m.__dict__);"
    "from updater.cli import main; main()",
)


@dataclass(frozen=True)
class Call:
    """A system call; `began` and `ended` are places in the order of all that happened."""

    text: str
    began: int
    ended: int


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "trace"


def start_traced(launch: Launch, trace: Path, program: tuple[str, ...] = ("-m", "updater")) -> Server:
    strace = require_strace()
    tracer = (strace, "-f", "-y", "-s", "200", "--seccomp-bpf", "-o", str(trace), "-e", f"trace={CALLS}")
    server = launch(tracer=tracer, program=program)
    server.create_application()
    return server


def read(trace: Path) -> list[Call]:
    calls: list[Call] = []
    begun: dict[str, tuple[str, int]] = {}
    for place, line in enumerate(trace.read_text(errors="replace").splitlines()):
        thread, _, text = line.partition(" ")
        text = text.strip()
        if text.endswith(UNFINISHED):
            begun[thread] = (text.removesuffix(UNFINISHED).rstrip(), place)
        elif (resumed := re.match(r"<\.\.\. \w+ resumed>(.*)", text)) is not None:
            head, began = begun.pop(thread, ("", place))
            calls.append(Call(head + resumed[1], began, place))
        else:
            calls.append(Call(text, place, place))
    return calls


def only(calls: list[Call], pattern: str, after: int = -1, before: int = 1 << 60) -> Call:
    """Return the last call that fits, began after one place and ended before another."""
    fitting = [each for each in calls if after < each.began and each.ended < before and re.search(pattern, each.text)]
    assert fitting, f"no {pattern} in its place"
    return fitting[-1]


def hold_upload_to_order(calls: list[Call]) -> None:
    answer = only(calls, r"^(sendto|writev|sendmsg|write)\(.*HTTP/1\.1 201 Created")
    rename = only(calls, r'^rename\(".*/incoming/', before=answer.began)
    temporary, target = re.findall(r'"([^"]+)"', rename.text)
    written = only(calls, rf"^write\(\d+<{temporary}>")
    assert written.ended < rename.began
    synced = only(calls, rf"^fsync\(\d+<{temporary}>", after=written.ended, before=rename.began)
    assert synced.text.endswith("= 0")
    folder = Path(target).parent
    named = only(calls, rf"^fsync\(\d+<{folder}>", after=rename.ended, before=answer.began)
    for new in (folder, folder.parent):
        made = only(calls, rf'^mkdir\("{new}"', before=rename.began)
        only(calls, rf"^fsync\(\d+<{new.parent}>", after=made.ended, before=answer.began)
    hold_row_to_order(calls, "build", named.ended, answer.began)


def hold_row_to_order(calls: list[Call], table: str, after: int, before: int) -> None:
    if DATABASE == "postgres":  # which syncs before it answers; that it is asked in time is ours
        row = only(calls, rf"^(sendto|write|writev)\(.*INSERT INTO {table} ", after=after, before=before)
        only(calls, r"^(sendto|write|writev)\(.*COMMIT", after=row.ended, before=before)
        return
    # Rows that are of no matter to the answer, such as a key's last use, may be written after the last sync.
    synced = only(calls, r"^(fsync|fdatasync)\(\d+<[^>]*updater\.db-wal>\)\s*= 0", after=after, before=before)
    only(calls, r"^pwrite64\(\d+<[^>]*updater\.db-wal>", after=after, before=synced.began)


def hold_report_to_order(calls: list[Call]) -> None:
    answer = only(calls, r"^(sendto|writev|sendmsg|write)\(.*HTTP/1\.1 200 OK")
    earlier = only(calls, r"^(sendto|writev|sendmsg|write)\(.*HTTP/1\.1 20", before=answer.began)
    hold_row_to_order(calls, "report", earlier.ended, answer.began)


def test_a_call_that_another_thread_interrupts_is_read_whole(trace: Path) -> None:
    lines = (
        "7 fdatasync(12</d/updater.db-wal> <unfinished ...>",
        '8 write(1, "x", 1) = 1',
        "7 <... fdatasync resumed>) = 0",
    )
    trace.write_text("\n".join(lines))
    assert read(trace) == [Call('write(1, "x", 1) = 1', 1, 1), Call("fdatasync(12</d/updater.db-wal>) = 0", 0, 2)]


def test_an_upload_is_on_disk_before_its_answer(launch: Launch, trace: Path) -> None:
    server = start_traced(launch, trace)
    assert server.publish(b"x" * 3_000_000, "1.0.0") == 201
    server.stop()
    hold_upload_to_order(read(trace))


def test_a_report_is_on_disk_before_its_answer(launch: Launch, trace: Path) -> None:
    server = start_traced(launch, trace)
    assert server.report("one") == 200
    server.stop()
    hold_report_to_order(read(trace))


def test_the_check_notices_missing_syncs_of_files(launch: Launch, trace: Path) -> None:
    server = start_traced(launch, trace, WITHOUT_FSYNC)
    assert server.publish(b"x" * 3_000_000, "1.0.0") == 201
    server.stop()
    with pytest.raises(AssertionError, match=r"no \^fsync"):
        hold_upload_to_order(read(trace))


@pytest.mark.sqlite("PostgreSQL does its own syncing")
def test_the_check_notices_missing_syncs_of_rows(launch: Launch, trace: Path) -> None:
    server = start_traced(launch, trace, WITHOUT_FULL)
    assert server.report("one") == 200
    server.stop()
    with pytest.raises(AssertionError, match="fdatasync"):
        hold_report_to_order(read(trace))
