"""The log as a person reads it: on a terminal, and where the settings ask for it."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from updater.logs.lines import as_text

AT = datetime(2026, 3, 1, 12, 30, 5, tzinfo=UTC)
PROGRAM = """
import sys, structlog
from updater.logs import configure_logs
configure_logs('info', sys.argv[1])
structlog.get_logger().warning('disk.full', folder='/data', left_bytes=12)
"""


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ({"timestamp": AT, "level": "info", "event": "started", "port": 80}, "12:30:05 started port=80"),
        ({"timestamp": "2026-03-01T12:30:05Z", "level": "error", "event": "x"}, "12:30:05 \x1b[31merror\x1b[0m x"),
        ({"timestamp": AT, "event": "x", "cause": "a b", "none": None, "empty": ""}, '12:30:05 x cause="a b" empty=""'),
        ({"timestamp": AT, "event": "x", "said": "\x1b]0;evil\x07\n"}, '12:30:05 x said="\\u001b]0;evil\\u0007\\n"'),
        ({"timestamp": AT, "event": "x", "exception": "a\nb\x1b"}, "12:30:05 x\n    a\n    b "),
        (
            {"id": 1, "method": "GET", "path": "/a", "status": 200, "ms": 1.25, "bytes": 5, "timestamp": AT,
             "event": "request", "level": "info", "key": None},
            "12:30:05 GET /a 200 1.2 ms 5 bytes id=1",
        ),
    ],
)  # fmt: skip
def test_a_line(line: dict[str, object], text: str) -> None:
    assert as_text(line).decode() == text


def test_what_is_no_unicode_is_still_a_line() -> None:
    assert as_text({"event": "x", "agent": "\udc80"})


def run(form: str) -> tuple[bytes, bytes]:
    """Return what a program writes to a pipe, and what it writes to a terminal."""
    command = [sys.executable, "-c", PROGRAM, form]
    piped = subprocess.run(command, check=True, capture_output=True).stdout
    ours, theirs = pty.openpty()
    try:
        subprocess.run(command, check=True, stdout=theirs)
    finally:
        os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # EIO: nobody has the terminal any more
        while read := os.read(ours, 4096):
            said += read
    os.close(ours)
    return piped, said


@pytest.mark.parametrize(("form", "forms"), [("auto", "jt"), ("json", "jj"), ("text", "tt")])
def test_who_reads_decides(form: str, forms: str) -> None:
    """Control: red when `auto` does not ask for a terminal."""
    for said, expected in zip(run(form), forms, strict=True):
        if expected == "j":
            assert json.loads(said)["event"] == "disk.full"
        else:
            assert said.strip().endswith(b"disk.full folder=/data left_bytes=12")
