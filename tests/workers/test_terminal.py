"""What `updater serve` says on a terminal alone: where the pages are, and what the first key is for."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
from pathlib import Path

from tests.ports import free_port
from tests.processes.serving import COMMAND, START_S, environment, serving

PAGES = ("dashboard: ", "documentation: ", "make the first account ")


def said_on_terminal(folder: Path, last: str, **more: str) -> tuple[list[str], bytes]:
    """Start a service on a pseudo-terminal; return its lines up to one that begins with `last`, and its log."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, "serve"], env=environment(folder, **more), stdout=subprocess.PIPE, stderr=theirs, stdin=theirs
    )
    os.close(theirs)
    said = b""
    try:
        with contextlib.suppress(OSError):  # EIO: nobody has the terminal any more
            while not re.search(rf"^{last}.*\n".encode(), said, re.MULTILINE):
                read = os.read(ours, 4096)
                if not read:
                    break
                said += read
    finally:
        process.terminate()
        log = process.communicate(timeout=START_S)[0]
        os.close(ours)
    return [line.strip() for line in said.decode().splitlines() if line.strip()], log


def test_a_person_learns_where_to_go(tmp_path: Path) -> None:
    """Control: red without the lines of `announce_addresses`, and of `_first_key`."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    more = {"UPDATER_SERVER__PORT": str(port)}
    lines, log = said_on_terminal(tmp_path, "documentation: ", **more)
    assert lines[0].startswith("admin key (shown only now): upd_")
    assert lines[1:] == [
        f"make the first account with it at {address}/admin/setup/",
        f"listening on {address}",
        f"dashboard: {address}/admin/",
        f"documentation: {address}/api/v1/docs",
    ]
    assert not any(each.encode() in log for each in PAGES)
    for line in log.splitlines():
        json.loads(line)
    lines, _ = said_on_terminal(tmp_path, "documentation: ", **more)
    assert [line.partition(":")[0] for line in lines] == ["listening on http", "dashboard", "documentation"]


def test_the_address_is_one_that_a_browser_reaches(tmp_path: Path) -> None:
    """Where the settings name an address it is the one, and nobody can browse to 0.0.0.0."""
    port = free_port()
    more = {"UPDATER_SERVER__PORT": str(port), "UPDATER_SERVER__HOST": "0.0.0.0"}
    lines, _ = said_on_terminal(tmp_path, "documentation: ", **more)
    assert f"dashboard: http://localhost:{port}/admin/" in lines
    more["UPDATER_SERVER__PUBLIC_URL"] = "https://updates.example.com"
    lines, _ = said_on_terminal(tmp_path, "documentation: ", **more)
    assert "dashboard: https://updates.example.com/admin/" in lines


def test_a_pipe_reads_what_it_always_read(tmp_path: Path) -> None:
    with serving(tmp_path) as (url, key):
        assert url.startswith("http://127.0.0.1:")
        assert key is not None
    done = subprocess.run(
        ["timeout", "-s", "TERM", "6", *COMMAND, "serve"],
        env=environment(tmp_path / "again"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=START_S,
        check=False,
    )
    assert "listening on" in done.stdout
    assert not any(each in done.stdout for each in PAGES)
