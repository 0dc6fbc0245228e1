"""Log lines: every request has one, and nothing that a client sends breaks it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import orjson
import pytest
import structlog

from tests.web.test_gate import until
from updater.logs import Bound, _render
from updater.web.gate.access_log import GATHER_LINES, GATHER_S, AccessLog

PROGRAM = """
import asyncio, logging, structlog
from updater.logs import _render, configure_logs
from updater.web.gate.access_log import AccessLog
configure_logs('info')
async def main():
    access = AccessLog()
    for number in range(3):
        access.add({'id': number, 'agent': '\\udc80' if number == 1 else 'curl'})
    structlog.get_logger('x').debug('never')
    try: 1 / 0
    except ZeroDivisionError: logging.getLogger('y').exception('failed')
    await access.close(None)
asyncio.run(main())
"""


def test_each_request_of_a_batch_is_a_line_of_its_own() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True).stdout
    # The odd one is plain JSON too, with an escape that orjson does not take back.
    failed, first, odd, last = said.splitlines()
    assert orjson.loads(failed)["text"] == "failed"
    assert "ZeroDivisionError" in orjson.loads(failed)["exception"]
    line = orjson.loads(first)
    assert (line["event"], line["level"], line["id"], line["agent"]) == ("request", "info", 0, "curl")
    assert line["timestamp"].endswith("Z")
    assert b'"agent": "\\udc80"' in odd
    assert orjson.loads(last)["id"] == 2


class Spy:
    def __init__(self) -> None:
        self.batches: list[int] = []

    def info(self, event: str, *, lines: list[dict[str, Any]]) -> None:
        self.batches.append(len(lines))


async def test_lines_wait_for_others_but_not_for_long() -> None:
    access, spy = AccessLog(), Spy()
    access._log = spy
    access.add({"id": 1})
    access.add({"id": 2})
    assert spy.batches == []
    await until(lambda: bool(spy.batches))
    assert spy.batches == [2]
    assert GATHER_S <= 0.1


async def test_many_lines_do_not_wait() -> None:
    access, spy = AccessLog(), Spy()
    access._log = spy
    for _ in range(2 * GATHER_LINES + 1):
        access.add({})
    assert spy.batches == [GATHER_LINES, GATHER_LINES]
    access.flush()
    access.flush()
    assert spy.batches == [GATHER_LINES, GATHER_LINES, 1]


def test_no_text_of_a_client_breaks_a_batch_into_other_lines() -> None:
    hostile = ['},{"id":', '},{\\"id\\":"x', '"},{"id":"', "},{", "\n", "}\n{", "\udcff", "\\", '\\"},{"id":1']
    lines = [{"id": str(number), "agent": text} for number, text in enumerate(hostile)]
    for batch in (lines, [line for line in lines if line["agent"] != "\udcff"]):
        rendered = _render(None, "info", {"event": "request", "lines": [dict(line) for line in batch]})
        read = [json.loads(line) for line in rendered.split(b"\n")]
        assert [(line["id"], line["event"]) for line in read] == [(line["id"], "request") for line in batch]
        assert [line["agent"] for line in read if "\udcff" not in line["agent"]] == [
            line["agent"] for line in batch if "\udcff" not in line["agent"]
        ]


def test_an_outage_does_not_flood_the_log() -> None:
    now_s = 0.0
    bound = Bound(clock=lambda: now_s)

    def written(number: int, **event: Any) -> list[dict[str, Any]]:
        found = []
        for _ in range(number):
            try:
                found.append(dict(bound(None, "warning", dict(event))))
            except structlog.DropEvent:
                continue
        return found

    refused = {"event": "request.unavailable", "cause": "ConnectionRefusedError(111)"}
    assert written(1000, **refused) == [refused] * Bound.AT_ONCE
    # Neither what else happens meanwhile, nor the access log.
    assert written(1, event="request.unavailable", cause="TimeoutError()") != []
    assert written(1, event="other") != []
    assert all(bound(None, "info", {"event": "request"}) for _ in range(1000))
    now_s = Bound.WITHIN_S
    assert written(2, **refused) == [{**refused, "left_out": 1000 - Bound.AT_ONCE}, refused]


def test_kinds_of_lines_cannot_fill_the_memory() -> None:
    bound = Bound(clock=lambda: 0.0)
    for number in range(10_000):
        bound(None, "error", {"event": "failed", "cause": str(number)})
    assert len(bound._kinds) <= Bound._KINDS


FLOOD = """
import structlog
from updater.logs import configure_logs
configure_logs('info')
for _ in range(500):
    structlog.get_logger('x').warning('request.unavailable', cause='ConnectionRefusedError()')
"""


@pytest.mark.parametrize("worker", ["", ", worker=1"])
def test_the_bound_is_in_the_log_of_a_service(worker: str) -> None:
    program = FLOOD.replace("'info'", f"'info'{worker}")
    said = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout
    assert len(said.splitlines()) == Bound.AT_ONCE
