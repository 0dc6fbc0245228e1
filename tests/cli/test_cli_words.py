"""What a person at a terminal is told: which key, which wait, which place; in whatever characters it has.

Controls: waits that say nothing, text that ends a command where a terminal lacks its characters, results among bytes.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import LINUX, Running
from updater_client import NewApplication, NewBuild, UpdateClient

HERE = ("--platform", "linux", "--arch", "amd64")
NAME = "Größe ✓"


@pytest.fixture(scope="module")
def filled(shared: Running, tmp_path_factory: pytest.TempPathFactory) -> Running:
    path = tmp_path_factory.mktemp("files") / "My App.tar.gz"
    path.write_bytes(b"the bytes")

    async def fill() -> None:
        async with UpdateClient(shared.url, shared.key) as client:
            await client.create_application(NewApplication("words", NAME))
            await client.publish("words", NewBuild(path, "1.0.0", LINUX))

    asyncio.run(fill())
    return shared


def test_a_command_without_a_key_names_the_variable(remote: Any, shared: Running) -> None:
    for key in ("", "\n"):
        ran = remote("app", "list", key=key)
        assert ran.status == 4
        assert "set UPDATER_KEY, or give --key" in ran.err
    assert "UPDATER_KEY" not in remote("app", "list", key="wrong").err
    assert remote("app", "list", key=f"{shared.key}\n").status == 0


def test_a_retry_says_what_it_waits_for(remote: Any, unused_tcp_port: int) -> None:
    ran = remote("app", "list", "--retries", 1, url=f"http://127.0.0.1:{unused_tcp_port}")
    first, last = ran.err.splitlines()
    assert ran.status == 8
    assert first.startswith(f"no answer from http://127.0.0.1:{unused_tcp_port}")
    assert "; attempt 2 of 2 in " in first
    assert last.startswith("Error: no answer from")


def test_figures_take_the_application_as_the_others_do(remote: Any, filled: Running) -> None:
    assert remote("figures", "--app", "words").status == 0
    assert remote("figures", "words").status == 0


@pytest.mark.parametrize("server", ["updates.example.com", "https://me:secret@updates.example.com"])
def test_a_server_that_is_none_is_one_line(remote: Any, server: str) -> None:
    ran = remote("app", "list", url=server)
    assert (ran.status, len(ran.err.splitlines())) == (7, 1)
    assert "secret" not in ran.err


def test_a_value_that_is_not_utf8_is_one_line(remote: Any, filled: Running) -> None:
    ran = remote("app", "create", "x", "--name", "a\udcff")
    assert ran.status in (2, 7)
    ran = remote("check", "--app", "a\udcff", "--current-version", "1.0.0")
    assert (ran.status, ran.err) == (2, "Error: a value is not valid UTF-8\n")


async def run(filled: Running, *words: str, encoding: str, shell: str = '"$@"', cwd: Path | None = None) -> Any:
    process = await asyncio.create_subprocess_exec(
        *("/bin/bash", "-o", "pipefail", "-c", shell, "-", sys.executable, "-m", "updater", *words),
        env={
            "UPDATER_SERVER": filled.url,
            "UPDATER_KEY": filled.key,
            "PYTHONPATH": ":".join(sys.path),
            "PYTHONIOENCODING": encoding,
            "PATH": os.environ["PATH"],
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=cwd,
    )
    out, err = await process.communicate()
    return process.returncode, out, err


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
async def test_a_terminal_without_the_characters(filled: Running, encoding: str) -> None:
    for words, shown in (
        (("app", "list"), "\\u2713"),
        (("app", "show", "words", "--json"), "\\u2713"),
        (("release", "list", "--app", "words"), "1.0.0"),
    ):
        status, out, err = await run(filled, *words, encoding=encoding)
        assert (status, err) == (0, b"")
        assert shown in out.decode(encoding)


async def test_a_reader_that_leaves_is_no_traceback(filled: Running) -> None:
    _, _, err = await run(filled, "app", "show", "words", encoding="utf-8", shell='"$@" | true')
    assert err == b""


@pytest.mark.parametrize("output", ["-", "/dev/stdout"])
@pytest.mark.parametrize("shell", ['"$@" | cat', '"$@" > file; cat file', 'echo -n > file; "$@" >> file; cat file'])
async def test_stdout_gets_the_file_and_nothing_else(filled: Running, output: str, shell: str, tmp_path: Path) -> None:
    words = ("fetch", "--app", "words", *HERE, "--output", output)
    status, out, err = await run(filled, *words, encoding="utf-8", shell=shell, cwd=tmp_path)
    assert (status, out) == (0, b"the bytes")
    assert b"fetched" in err


async def test_a_fetched_file_has_its_own_name(filled: Running, tmp_path: Path) -> None:
    status, _, _ = await run(filled, "fetch", "--app", "words", *HERE, encoding="utf-8", cwd=tmp_path)
    assert (status, [each.name for each in tmp_path.iterdir()]) == (0, ["My App.tar.gz"])
    missing = f"{tmp_path}/missing/"
    status, _, err = await run(filled, "fetch", "--app", "words", *HERE, "--output", missing, encoding="utf-8")
    assert status == 10
    assert b"no such folder" in err
