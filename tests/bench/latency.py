"""How long single answers take, one after the other, while something else goes on."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.bench.processes import LOAD_CORE, Process

_EVERY_S = 0.002
_MOST = 1_000_000


def ask_in_turn(servers: Sequence[Process], questions: Sequence[str], goes_on: Callable[[], bool]) -> list[list[float]]:
    """Ask each server a question every two milliseconds, from the load's core.

    Returns, for each server, the milliseconds that each answer took. Raises: `RuntimeError` for a refusal.
    """
    took_ms: list[list[float]] = [[] for _ in servers]
    connections = [http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60) for server in servers]
    with _on_load_core():
        try:
            while goes_on() and len(took_ms[0]) < _MOST:
                for question in questions:
                    for connection, found in zip(connections, took_ms, strict=True):
                        found.append(1000 * _ask_s(connection, question))
        finally:
            for connection in connections:
                connection.close()
    return took_ms


def lasting(seconds: float) -> Callable[[], bool]:
    """Return what is true from now on for so long."""
    end_s = time.monotonic() + seconds
    return lambda: time.monotonic() < end_s


def p99(values: Sequence[float]) -> float:
    """Return what one of a hundred is above."""
    return sorted(values)[int(len(values) * 0.99)]


def _ask_s(connection: http.client.HTTPConnection, question: str) -> float:
    began_s = time.monotonic()
    connection.request("GET", question)
    answer = connection.getresponse()
    answer.read()
    took_s = time.monotonic() - began_s
    if answer.status != 200:
        raise RuntimeError(f"{question} was refused: {answer.status}")
    time.sleep(max(0.0, _EVERY_S - took_s))
    return took_s


@contextmanager
def _on_load_core() -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
