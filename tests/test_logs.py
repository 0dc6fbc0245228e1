"""Log lines: all of them arrive, in order, and a broken log stops nobody."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
from pathlib import Path

import orjson

from updater.logs import GATHER_LINES, GATHER_S, Line, Lines, render


def line(event: str) -> Line:
    return {"event": event, "timestamp": 1_767_225_600.25}


def events(file: io.BytesIO) -> list[str]:
    return [orjson.loads(each)["event"] for each in file.getvalue().splitlines()]


async def test_lines_are_gathered_and_written_soon() -> None:
    file = io.BytesIO()
    lines = Lines(file)
    lines.info(line("first"))
    lines.info(line("second"))
    assert events(file) == []
    await asyncio.sleep(GATHER_S * 2)
    assert events(file) == ["first", "second"]


async def test_a_warning_takes_what_was_gathered_along() -> None:
    file = io.BytesIO()
    lines = Lines(file)
    lines.info(line("first"))
    lines.warning(line("second"))
    assert events(file) == ["first", "second"]


async def test_many_lines_do_not_wait() -> None:
    file = io.BytesIO()
    lines = Lines(file)
    for _ in range(GATHER_LINES):
        lines.info(line("request"))
    assert len(events(file)) == GATHER_LINES


def test_without_a_loop_lines_do_not_wait() -> None:
    file = io.BytesIO()
    Lines(file).info(line("first"))
    assert events(file) == ["first"]


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        Lines(full).warning(line("lost"))


def test_text_that_is_no_unicode_is_rendered() -> None:
    assert json.loads(render({**line("\udc80"), "agent": object})) == {
        "event": "\udc80",
        "agent": repr(object),
        "timestamp": "2026-01-01T00:00:00.250000+00:00",
    }


def test_a_process_that_ends_writes_its_last_lines() -> None:
    program = (
        "import asyncio, logging, structlog\n"
        "from updater.logs import configure_logs\n"
        "configure_logs('info')\n"
        "async def main():\n"
        "    structlog.get_logger('x').info('last', key=None)\n"
        "    structlog.get_logger('x').debug('never')\n"
        "    try: 1 / 0\n"
        "    except ZeroDivisionError: logging.getLogger('y').exception('failed')\n"
        "    structlog.get_logger('x').info('very last')\n"
        "asyncio.run(main())\n"
    )
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout
    first, second, third = (orjson.loads(each) for each in said.splitlines())
    assert (first["event"], first["level"], first["key"]) == ("last", "info", None)
    assert (second["level"], second["text"]) == ("error", "failed")
    assert "ZeroDivisionError" in second["exception"]
    assert third["event"] == "very last"
    assert first["timestamp"].endswith("Z")
