"""What a client says of itself in `User-Agent`: a product, its version, and in brackets the platform."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from typing import NamedTuple

from aiohttp import hdrs, web

from updater.logs.texts import shown

MAX_AGENT_CHARACTERS = 200
_AGENT_BYTES = 300
_KNOWN_AGENTS = 1_024


class Agent(NamedTuple):
    """The header as it is logged, and the version and platform word it names: both, or neither."""

    text: str
    version: str | None = None
    platform: str | None = None


class AgentReader:
    """Reads `product/version (platform)` at the beginning of the header; other headers name neither.

    `version` is a regular expression without groups, `platforms` the words that count. Any product name is taken.
    Keeps the last 1,024 texts, each of at most 200 characters.
    """

    def __init__(self, version: str, platforms: Iterable[str]) -> None:
        words = "|".join(map(re.escape, platforms))
        self._pattern = re.compile(rf"[!#$%&'*+.^_`|~0-9A-Za-z-]+/({version}) \(({words})\)(?![^ ])")
        self.read = functools.lru_cache(maxsize=_KNOWN_AGENTS)(self._read)

    def of(self, request: web.Request) -> Agent:
        """Return what the client of a request says of itself.

        Of the header, at most `MAX_AGENT_CHARACTERS` are read. Source: RFC 9110 section 10.1.5.
        """
        return self.read(request.headers.get(hdrs.USER_AGENT, "")[:MAX_AGENT_CHARACTERS])

    def _read(self, text: str) -> Agent:
        found = self._pattern.match(text)
        logged = shown(text, _AGENT_BYTES)
        return Agent(logged) if found is None else Agent(logged, found[1], found[2])
