"""One command under hard rules: output, environment, children."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from updater.deployments.asking import capture
from updater.deployments.git import in_the_way
from updater.deployments.leftovers import MARK, end_marked
from updater.deployments.steps import (
    HEAD_BYTES,
    LINE_BYTES,
    TAIL_BYTES,
    Command,
    OutputLines,
    run_command,
)


def cut(*chunks: bytes) -> list[str]:
    found: list[str] = []
    lines = OutputLines(found.append)
    for chunk in chunks:
        lines.feed(chunk)
    lines.close()
    return found


@given(st.lists(st.binary(max_size=500), max_size=20))
def test_any_bytes_become_bounded_printable_lines(chunks: list[bytes]) -> None:
    for line in cut(*chunks):
        assert line.isprintable()
        assert 0 < len(line) <= LINE_BYTES
    assert cut(*chunks) == cut(b"".join(chunks)), "where the chunks end makes no difference"


def test_the_middle_of_much_output_is_left_out_with_a_note() -> None:
    much = b"".join(b"line %d\n" % number for number in range(1_000_000))
    found = cut(*(much[at : at + 50_000] for at in range(0, len(much), 50_000)))
    assert (found[0], found[-1]) == ("line 0", "line 999999")
    assert sum(len(line) + 1 for line in found) < HEAD_BYTES + TAIL_BYTES + 100
    (note,) = [line for line in found if "left out" in line]
    assert note == f"[{len(much) - HEAD_BYTES - TAIL_BYTES} bytes of output left out]"


def test_credentials_and_escapes_are_taken_out() -> None:
    said = b"fatal: https://user:t0ken@example.com/x\x1b[31m red\x1b[0m\rnext\n"
    assert cut(said) == ["fatal: https://***@example.com/x red", "next"]


async def test_only_the_given_environment_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UPDATER_ACCESS__JWT_SECRET", "secret")
    answer = await capture(Command(("/usr/bin/env",), str(tmp_path), {"A": "1"}, 5))
    assert [line for line in answer.out.split() if not line.startswith(("PWD", "_"))] == ["A=1"]


async def await_sleepers(mark: str, count: int) -> None:
    """Wait until so many `sleep`s carry the mark: one that was killed or began just now may take its time."""
    wanted = f"{MARK}={mark}".encode()

    def fits(process: Path) -> bool:
        with contextlib.suppress(OSError):
            return (process / "comm").read_text() == "sleep\n" and wanted in (process / "environ").read_bytes()
        return False

    async with asyncio.timeout(20):
        while sum(map(fits, Path("/proc").glob("[0-9]*"))) != count:
            await asyncio.sleep(0.02)


async def test_children_that_left_the_group_are_ended_by_their_mark(tmp_path: Path) -> None:
    mark = str(uuid.uuid4())
    environment = {"PATH": os.environ["PATH"], MARK: mark}
    words = ("sh", "-c", "setsid sleep 62 & sleep 62 & echo $!")
    lines: list[str] = []
    ended = await run_command(Command(words, str(tmp_path), environment, 20), lines.append)
    assert ended.good
    assert ended.duration_s < 20, "children that keep the pipe open are not waited for"
    await await_sleepers(mark, 0)
    # The control: what a restart leaves is left.
    ended = await run_command(Command(words, str(tmp_path), environment, 20, keeps_children=True), lines.append)
    assert ended.good
    await await_sleepers(mark, 2)
    assert end_marked(mark) == 2
    await await_sleepers(mark, 0)


async def test_a_command_begins_when_its_id_is_written_down(tmp_path: Path) -> None:
    """Else a kill in between leaves a command running whose id was not recorded. Control: it started directly."""
    began: list[bool] = []

    def write_down(pid: int) -> None:
        assert os.getpgid(pid) == pid
        time.sleep(0.3)
        began.append((tmp_path / "began").exists())

    words = ("sh", "-c", "touch began; wc -c; echo $0 $1", "a b", "$c")
    command = Command(words, str(tmp_path), {"PATH": os.environ["PATH"]}, 20, on_start=write_down)
    lines: list[str] = []
    assert (await run_command(command, lines.append)).good
    assert (began, lines) == ([False], ["0", "a b $c"])


async def test_a_command_whose_id_nobody_wrote_down_never_begins(tmp_path: Path) -> None:
    def die(pid: int) -> None:
        raise RuntimeError("died")

    command = Command(("touch", "began"), str(tmp_path), {"PATH": os.environ["PATH"]}, 20, on_start=die)
    with pytest.raises(RuntimeError):
        await run_command(command, lambda _: None)
    await asyncio.sleep(0.3)
    assert not (tmp_path / "began").exists()


def test_what_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "own" / "deep").mkdir(parents=True)
    (tmp_path / "own" / "deep" / "file").write_text("mine")
    (tmp_path / "link").symlink_to("/etc")
    (tmp_path / "empty").mkdir()
    assert in_the_way(tmp_path, ["new", "own/other", "empty", "new/folder/x"], frozenset()) == []
    assert in_the_way(tmp_path, ["own"], frozenset()) == ["own/deep/file"]
    assert in_the_way(tmp_path, ["own"], frozenset({"own/deep/file"})) == []
    assert in_the_way(tmp_path, ["own/deep/file/x"], frozenset()) == ["own/deep/file"]
    assert in_the_way(tmp_path, ["link/passwd"], frozenset()) == ["link"]
    assert in_the_way(tmp_path, ["link/passwd"], frozenset({"link"})) == []
