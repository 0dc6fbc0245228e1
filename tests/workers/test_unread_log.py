"""A log that nobody reads: the service answers, ends when told to, and says what it dropped.

Control: `LogWriter.write` that writes at once.
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import settings_tree
from tests.databases import place_database
from tests.ports import free_port
from updater.logs.writer import QUEUE_BYTES

START_S = 60
LONG_AGENT = "a" * 200


@contextmanager
def piped(tmp_path: Path, *, workers: int = 1, **more: str) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run a service whose standard output is a pipe that nobody reads; yield it and its address."""
    port, root = free_port(), tmp_path / "data"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UPDATER_")}
    environment |= settings_tree(root, server={"port": port, "workers": workers}, logging={"access": True}) | more
    root.mkdir()
    if "UPDATER_STORAGE__DATABASE_URL" not in more:
        place_database(root)
    command = [sys.executable, "-m", "updater", "serve"]
    with (tmp_path / "stderr").open("wb") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors)
    try:
        deadline_s = time.monotonic() + START_S
        while "listening on" not in (tmp_path / "stderr").read_text():
            assert time.monotonic() < deadline_s
            assert process.poll() is None
            time.sleep(0.02)
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.communicate()


def ask(url: str, times: int = 1) -> None:
    for _ in range(times):
        request = urllib.request.Request(f"{url}/api/v1/docs", headers={"User-Agent": LONG_AGENT})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200


def dropped(url: str) -> float:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        found = re.findall(rb"^updater_log_lines_dropped(?:{[^}]*})? (\S+)$", answer.read(), re.MULTILINE)
    return sum(float(each) for each in found)


def read_until(process: subprocess.Popen[bytes], enough: Callable[[bytes], bool], within_s: float = 30) -> bytes:
    """Read whole lines until there is enough of them."""
    assert process.stdout is not None
    data, until_s = b"", time.monotonic() + within_s
    while not (data.endswith(b"\n") and enough(data)):
        assert select.select([process.stdout], [], [], max(0.0, until_s - time.monotonic()))[0], data[-2_000:]
        data += os.read(process.stdout.fileno(), 1 << 20)
    return data


def lines_of(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def said_lost(data: bytes) -> int:
    return sum(each["lines"] for each in lines_of(data) if each["event"] == "log.dropped")


def served(data: bytes) -> int:
    return sum(each.get("path") == "/api/v1/docs" for each in lines_of(data))


def test_a_service_whose_log_nobody_reads_answers_and_ends(tmp_path: Path) -> None:
    with piped(tmp_path) as (process, url):
        ask(url, 600)  # some 200 KB of lines; a pipe takes 64
        process.terminate()
        assert process.wait(15) == 0


def test_what_was_dropped_is_counted_and_said(tmp_path: Path) -> None:
    # The test of the size is in test_log_writer; here the queue is as small as its users' patience. As in earnest, it
    # has room for what is handed over at once, however many requests a machine answers meanwhile.
    small = tmp_path / "sitecustomize.py"
    small.write_text(
        "import updater.logs.writer as w, updater.web.gate.access_log as a\n"
        "w.LogWriter.__init__.__kwdefaults__['queue_bytes'], a.GATHER_LINES = 50_000, 32\n"
    )
    with piped(tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{Path.cwd()}") as (process, url):
        ask(url, 800)
        lost = dropped(url)
        assert lost > 0
        data = read_until(process, lambda data: served(data) + said_lost(data) >= 800)
        assert said_lost(data) >= lost
        ask(url)
        read_until(process, lambda data: served(data) == 1)
        assert QUEUE_BYTES > 1 << 20


def test_a_closed_log_does_not_end_the_service(tmp_path: Path) -> None:
    with piped(tmp_path) as (process, url):
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        ask(url, 300)
        time.sleep(0.3)
        ask(url)
        assert dropped(url) > 0
        process.terminate()
        assert process.wait(15) == 0


def test_what_is_queued_at_the_end_is_written(tmp_path: Path) -> None:
    with piped(tmp_path) as (process, url):
        ask(url, 600)
        process.terminate()
        # The reader comes late, but within the time that the end waits.
        time.sleep(0.5)
        said, _ = process.communicate(timeout=15)
        assert served(said) == 600
        assert lines_of(said)[-1]["event"] != "log.dropped"


@pytest.mark.parametrize("closed", ["1>&-", "1>&- 2>&-"])
def test_closed_descriptors_are_written_by_nobody(tmp_path: Path, closed: str) -> None:
    """The number 1 may be a file of ours by then."""
    port, root = free_port(), tmp_path / "data"
    environment = {**os.environ, **settings_tree(root, server={"port": port}, logging={"access": True})}
    root.mkdir()
    place_database(root)
    process = subprocess.Popen(["sh", "-c", f'exec "$0" -m updater serve {closed}', sys.executable], env=environment)
    try:
        deadline_s = time.monotonic() + START_S
        while True:
            try:
                ask(f"http://127.0.0.1:{port}")
                break
            except OSError:
                assert time.monotonic() < deadline_s
                assert process.poll() is None
                time.sleep(0.05)
        ask(f"http://127.0.0.1:{port}", 300)
        process.terminate()
        assert process.wait(15) == 0
        written = b"".join(each.read_bytes() for each in root.rglob("*") if each.is_file())
        assert LONG_AGENT.encode() not in written
    finally:
        process.kill()
        process.wait()
