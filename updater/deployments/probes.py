"""Probes of a deployed service: is it busy, and is it healthy?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp

from updater.deployments.asking import capture
from updater.deployments.standing import ProbeAnswer
from updater.deployments.steps import Command, readable
from updater.errors import Unavailable
from updater.settings import BusySettings, HealthSettings

MAX_BODY_BYTES = 1 << 20
_PAUSE_S = 0.25
_SAID_CHARACTERS = 300
_ONE_ANSWER_S = 5.0
_NOTHING = object()


async def ask_probe(probe: BusySettings, path: str, environment: Mapping[str, str]) -> ProbeAnswer:
    """Ask one busy probe. A refused connection means that nothing is running there, so it is not busy.

    Raises:
        Unavailable: the probe gives no answer, so the state is not known.
    """
    if probe.url is None:
        answer = await capture(Command(probe.command, path, environment, probe.timeout_s))
        if answer.ended.status is None or answer.ended.timed_out:
            raise Unavailable(f"It is not known whether work is in progress: {answer.ended.reason}")
        said = readable(answer.out.strip())[:_SAID_CHARACTERS] or f"ended with {answer.ended.status}"
        return ProbeAnswer(probe.name, answer.ended.good, said)
    try:
        document = await _get_json(probe.url, probe.timeout_s)
    except aiohttp.ClientConnectorError:
        return ProbeAnswer(probe.name, False, "nothing listens there")
    except (aiohttp.ClientError, TimeoutError, ValueError):
        raise Unavailable("It is not known whether work is in progress: the address asked gives no answer") from None
    found = value_at(document, probe.path)
    said = "nothing there" if found is _NOTHING else json.dumps(found, ensure_ascii=False)
    # `True == 1` in Python, but not in JSON.
    busy = isinstance(found, bool) == isinstance(probe.equals, bool) and found == probe.equals
    return ProbeAnswer(
        probe.name, bool(busy), readable(f"{probe.path}: {said}" if probe.path else said)[:_SAID_CHARACTERS]
    )


def value_at(document: Any, path: str) -> Any:
    """Return the value at a dotted path through objects and lists; an empty path is the whole document.

    Returns: an object that equals nothing, when the path leads nowhere.
    """
    for name in path.split(".") if path else ():
        if isinstance(document, dict) and name in document:
            document = document[name]
        elif isinstance(document, list) and name.isdecimal() and int(name) < len(document):
            document = document[int(name)]
        else:
            return _NOTHING
    return document


async def wait_until_well(health: HealthSettings, on_line: Callable[[str], None]) -> str | None:
    """Probe the address until it has answered 2xx without a break for `steady_s` seconds, beginning within `within_s`.

    The steady time detects an old process that still answers while it stops, and a new one that answers once and ends.
    `on_line` gets a line whenever the answer changes.

    Returns: None, or the reason why the service is not healthy.
    """
    began = time.monotonic()
    well_since: float | None = None
    last = ""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session:
        while True:
            said = await _ask_health(session, health.url)
            now = time.monotonic()
            if said != last:
                on_line(f"{health.url}: {said}")
                last = said
            if not said.startswith("answers 2"):
                well_since = None
                if now - began > health.within_s:
                    return f"timed out after {health.within_s} s: {health.url} is not well, it {said}"
            else:
                well_since = now if well_since is None else well_since
                if now - well_since >= health.steady_s:
                    return None
            await asyncio.sleep(_PAUSE_S)


async def _ask_health(session: aiohttp.ClientSession, url: str) -> str:
    timeout = aiohttp.ClientTimeout(total=_ONE_ANSWER_S)
    try:
        async with session.get(url, timeout=timeout, allow_redirects=False) as response:
            return f"answers {response.status}"
    except TimeoutError:
        return "does not answer in time"
    except aiohttp.ClientConnectorError:
        return "cannot be reached"
    except (aiohttp.ClientError, ValueError):
        return "breaks off"


async def _get_json(url: str, timeout_s: float) -> Any:
    timeout = aiohttp.ClientTimeout(total=timeout_s)
    async with (
        aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
        session.get(url, allow_redirects=False) as response,
    ):
        body = await response.content.read(MAX_BODY_BYTES + 1)
        while len(body) <= MAX_BODY_BYTES and (more := await response.content.read(MAX_BODY_BYTES)):
            body += more
        if len(body) > MAX_BODY_BYTES:
            raise ValueError("too large")
        return json.loads(body)
