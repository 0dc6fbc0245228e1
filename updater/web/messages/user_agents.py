"""What a client says of itself in `User-Agent`: `BKGT-Manager/{current_version} ({platform})`.

Source: the requests of the desktop document. Any product name is taken, since any application can be mounted;
whatever does not look like that says nothing.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from aiohttp import hdrs, web

from updater.web.desktop.words import TARGETS as DESKTOP_TARGETS

MAX_AGENT_CHARACTERS = 200
_NUMBER = "(?:0|[1-9][0-9]{0,8})"
_AGENT = re.compile(
    rf"[!#$%&'*+.^_`|~0-9A-Za-z-]+/({_NUMBER}\.{_NUMBER}\.{_NUMBER}) \(({'|'.join(DESKTOP_TARGETS)})\)(?![^ ])"
)


class Agent(NamedTuple):
    """The header, and the version and platform word it names, both or none."""

    text: str
    version: str | None = None
    platform: str | None = None


@functools.lru_cache(maxsize=1_024)
def read_agent(text: str) -> Agent:
    """Read the text of a `User-Agent` header."""
    found = _AGENT.match(text)
    return Agent(text) if found is None else Agent(text, found[1], found[2])


def agent_of(request: web.Request) -> Agent:
    """Return what the client of a request says of itself."""
    return read_agent(request.headers.get(hdrs.USER_AGENT, "")[:MAX_AGENT_CHARACTERS])
