"""A run on disk: whole or not at all, one writer, and room for the end on a full disk."""

from __future__ import annotations

import dataclasses
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from updater.deployments.journal import Journal, RunFolder, follow, is_running, list_runs, new_run_id, prune, take_lock
from updater.deployments.model import Kind, LogLevel, Outcome, Plan, RunState
from updater.settings import DeploymentSettings

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return make(tmp_path / "home")


def make(home: Path) -> RunFolder:
    folder, watch = RunFolder.create(home, Plan(new_run_id(NOW), Kind.APPLY, DeploymentSettings("web", "/srv"), NOW))
    os.close(watch)
    return folder


async def test_half_a_line_is_not_read_and_not_kept(folder: RunFolder) -> None:
    journal = Journal(folder)
    journal.log(LogLevel.INFO, None, "first")
    journal.close()
    with (folder.path / "journal").open("ab") as file:
        file.write(b'{"number": 2, "at"')
    assert [event.data["message"] for event in folder.events()[0]] == ["first"]
    journal = Journal(folder)
    journal.log(LogLevel.INFO, None, "second")
    journal.close()
    assert [event.number async for event in follow(folder)] == [1, 2]


def test_one_holder_of_the_lock_and_looking_is_no_holding(folder: RunFolder) -> None:
    home = folder.path.parent.parent
    assert not is_running(home)
    held = take_lock(home)
    assert held is not None
    assert is_running(home)
    assert take_lock(home) is None
    os.close(held)
    assert not is_running(home)


def test_old_runs_go_when_the_database_has_them(tmp_path: Path) -> None:
    folders = [make(tmp_path) for _ in range(5)]
    for each in folders[:4]:
        each.mark_imported()
    prune(tmp_path, keep=2)
    assert len(list_runs(tmp_path)) == 3
    assert folders[4].path.exists()


def test_a_full_disk_has_room_for_the_end(small_disk: Path) -> None:
    folder = make(small_disk / "home")
    state = RunState(folder.run, Kind.APPLY, NOW)
    journal = Journal(folder)
    journal.checkpoint(state)
    with (small_disk / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    for _ in range(1000):
        journal.log(LogLevel.INFO, "step", "x" * 1000)
    journal.end(dataclasses.replace(state, outcome=Outcome.RESTORED, finished_at=NOW))
    journal.close()
    found = folder.find_state()
    assert found is not None
    assert found.outcome is Outcome.RESTORED
    events, _ = folder.events()
    assert events[-1].kind == "end"
    assert [event.number for event in events] == list(range(1, len(events) + 1))
