"""What Windows and macOS do otherwise, as far as that can be told to the client here.

`test_wheel.py` runs all of it without what only POSIX has. Not shown: Windows itself, its event loop, its disks.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import subprocess
import sys
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web

import updater_client.placing as placing
from tests.client.conftest import Answers
from tests.conftest import LINUX, QUICK
from updater_client import Build, FetchedFile, UpdateClient
from updater_client.folder.names import is_kept
from updater_client.folder.scan import is_junction
from updater_client.reserved import as_long_path, is_device

DATA = b"bytes" * 1000


@pytest.fixture
def build(answers: Answers) -> Build:
    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=DATA)

    answers.handle = handle
    return Build("1", LINUX, f"{answers.url}/f", hashlib.sha256(DATA).hexdigest(), "sha256", len(DATA))


async def fetch(build: Build, path: Path) -> FetchedFile:
    async with UpdateClient("http://127.0.0.1:9", retry=QUICK) as client:
        return await client.fetch(build, path)


class _Open:
    """Refuses to rename, as Windows does while somebody has the old file open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, times: int, winerror: int | None) -> None:
        self.asked, self._replace = 0, Path.replace
        self._times, self._winerror = times, winerror
        monkeypatch.setattr(Path, "replace", lambda part, path: self.replace(part, path))

    def replace(self, part: Path, path: Path) -> Path:
        self.asked += 1
        if self.asked > self._times:
            return self._replace(part, path)
        error = PermissionError(errno.EACCES, "Access is denied")
        if self._winerror is not None:
            error.winerror = self._winerror  # type: ignore[attr-defined]  # on Windows alone
        raise error


@pytest.mark.parametrize("winerror", [5, 32])
async def test_a_file_that_is_open_for_a_moment_is_replaced_afterwards(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, winerror: int
) -> None:
    monkeypatch.setattr(placing, "_LOOK_AGAIN_S", 0.01)
    there = _Open(monkeypatch, 3, winerror)
    assert (await fetch(build, tmp_path / "app.exe")).path.read_bytes() == DATA
    assert there.asked == 4


async def test_a_file_that_stays_open_is_named_and_costs_no_second_download(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placing, "IN_USE_S", 0.0)
    with monkeypatch.context() as patched:
        _Open(patched, 1 << 30, 32)
        with pytest.raises(
            PermissionError, match=r"close it and fetch again, app\.exe\.part has the bytes: '.*app\.exe'"
        ):
            await fetch(build, tmp_path / "app.exe")
    fetched = await fetch(build, tmp_path / "app.exe")
    assert (fetched.received_bytes, fetched.resumed_bytes) == (0, len(DATA))


async def test_a_refusal_that_is_not_of_windows_is_one_at_once(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = _Open(monkeypatch, 1, None)
    with pytest.raises(PermissionError, match="Access is denied"):
        await fetch(build, tmp_path / "app.exe")
    assert there.asked == 1


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EIO])
async def test_a_folder_that_cannot_be_made_durable_is_no_failure_but_a_broken_disk_is(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A share of another machine knows no such thing; a folder may be open to write into and closed to read."""
    sync, opened = os.fsync, os.open

    def refuse_sync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) and number != errno.EACCES:
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    def refuse_open(path: Any, *more: Any, **named: Any) -> int:
        if number == errno.EACCES and Path(path) == tmp_path:
            raise PermissionError(number, os.strerror(number), str(path))
        return opened(path, *more, **named)

    monkeypatch.setattr(os, "fsync", refuse_sync)
    monkeypatch.setattr(os, "open", refuse_open)
    if number == errno.EIO:
        with pytest.raises(OSError, match="Input/output"):
            await fetch(build, tmp_path / "app")
    else:
        assert (await fetch(build, tmp_path / "app")).path.read_bytes() == DATA


@pytest.mark.parametrize("name", ["con", "NUL.txt", "Com1 .exe", "CONIN$", "conout$.log", "lpt\u00b9"])
def test_names_of_devices_are_no_names_of_files(name: str) -> None:
    assert is_device(name)
    assert not is_kept(name)
    assert not is_device(f"x{name}")


@pytest.mark.parametrize(
    ("path", "long"),
    [
        ("C:\\short", "C:\\short"),
        (f"C:\\{'a' * 250}", f"\\\\?\\C:\\{'a' * 250}"),
        (f"\\\\host\\share\\{'a' * 250}", f"\\\\?\\UNC\\host\\share\\{'a' * 250}"),
        (f"\\\\?\\C:\\{'a' * 250}", f"\\\\?\\C:\\{'a' * 250}"),
    ],
)
def test_a_long_path_gets_the_form_that_may_be_long(path: str, long: str) -> None:
    assert as_long_path(path) == long
    assert PureWindowsPath(long).name == PureWindowsPath(path).name


def test_a_junction_is_a_link() -> None:
    assert is_junction(SimpleNamespace(st_reparse_tag=0xA0000003))  # type: ignore[arg-type]
    assert not is_junction(SimpleNamespace(st_reparse_tag=0x9000601A))  # type: ignore[arg-type]  # a file of a cloud
    assert not is_junction(Path().stat())


@pytest.mark.long
@pytest.mark.parametrize("platform", ["win32", "darwin"])
def test_types_hold_on_other_systems(platform: str, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "mypy",
        "-p",
        "updater_client",
        "--platform",
        platform,
        "--cache-dir",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(placing.__file__).parent.parent)
    assert done.returncode == 0, done.stdout
