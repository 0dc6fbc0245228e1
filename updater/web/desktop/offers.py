"""The latest version and compatibility: answered from memory, without any await on the way.

Answers are rendered once per snapshot of the catalog. They depend on the question, on the origin of links and,
for the latest version, on the version a client states in its User-Agent; never on who asks. What is kept with an
answer for the figures also depends on the platform a client states.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import orjson
from aiohttp import hdrs, web
from multidict import CIMultiDict

import updater.web.desktop.schemas as schemas
from updater.access.principals import Permission
from updater.catalog.decision import ClientStanding, Compatibility
from updater.catalog.index import ApplicationIndex
from updater.catalog.platforms import DESKTOP_TARGETS, Target
from updater.catalog.service import CatalogService
from updater.catalog.versions import Version
from updater.telemetry.checks import CheckCounter
from updater.telemetry.model import UNKNOWN, ClientFacts
from updater.web.desktop.agents import agent_of
from updater.web.desktop.rendering import Names, in_word_order
from updater.web.gate.context import CONTEXT
from updater.web.gate.country_hints import CountryHints
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.parsing import load_values

MAX_CACHED_ANSWERS = 4_096
MAX_CACHED_QUERY_CHARACTERS = 300
# A cache may keep the answer, but asks each time: a deactivation counts at once.
CACHE_CONTROL = "private, no-cache"
_PLATFORM_QUERY = schemas.PlatformQuery()
_CURRENT = schemas.CurrentVersionPath()
_OUTCOMES = {ClientStanding.BEHIND: "offered", ClientStanding.CURRENT: "current", ClientStanding.AHEAD: "ahead"}


class Rendered(NamedTuple):
    """An answer as it leaves, its word for the access log, and what the client said of itself."""

    body: bytes
    headers: CIMultiDict[str]
    outcome: str
    asked: ClientFacts


class Offers:
    """The two endpoints that installed clients ask most."""

    def __init__(self, catalog: CatalogService, names: Names, counter: CheckCounter, places: CountryHints) -> None:
        self._catalog = catalog
        self._names = names
        self._counter = counter
        self._places = places
        self._snapshot: ApplicationIndex | None = None
        self._rendered: dict[tuple[str, ...], Rendered] = {}

    @endpoint(
        Contract(
            "Latest version",
            Permission.READ,
            query=_PLATFORM_QUERY,
            parses_itself=True,
            answers={200: schemas.LatestAnswer(), 304: None},
            failures=(400, 404),
        )
    )
    async def get_latest(self, request: web.Request) -> web.Response:
        """Return the highest active version; to a client that states its version, the highest it may move to."""
        agent = agent_of(request)
        key = (
            self._names.links.origin_key(request),
            request.rel_url.raw_query_string,
            agent.version or "",
            agent.platform or "",
        )
        found = self._find(key)
        if found is None:
            found = self._keep(key, self._render_latest(request, agent.version))
        return self._answer(request, found)

    @endpoint(
        Contract(
            "Compatibility of a version",
            Permission.READ,
            path=_CURRENT,
            query=_PLATFORM_QUERY,
            parses_itself=True,
            answers={200: schemas.CompatibilityAnswer(), 304: None},
            failures=(400, 404),
        )
    )
    async def get_compatibility(self, request: web.Request) -> web.Response:
        """Tell which version a client on the one in the path belongs on."""
        platform = agent_of(request).platform or ""
        key = (request.match_info["current_version"], request.rel_url.raw_query_string, platform)
        found = self._find(key)
        if found is None:
            found = self._keep(key, self._render_compatibility(request))
        return self._answer(request, found)

    def _find(self, key: tuple[str, ...]) -> Rendered | None:
        """Return the answer rendered for a question; whatever was rendered for an older snapshot is forgotten."""
        snapshot = self._catalog.index_of(self._names.application)
        if snapshot is not self._snapshot:
            self._snapshot, self._rendered = snapshot, {}
        return self._rendered.get(key)

    def _keep(self, key: tuple[str, ...], rendered: Rendered) -> Rendered:
        if len(self._rendered) < MAX_CACHED_ANSWERS and sum(map(len, key)) <= MAX_CACHED_QUERY_CHARACTERS:
            self._rendered[key] = rendered
        return rendered

    def _answer(self, request: web.Request, found: Rendered) -> web.Response:
        self._counter.count(found.asked, self._places.of(request))
        context = request[CONTEXT]
        known = request.headers.get(hdrs.IF_NONE_MATCH)
        if known is not None and _names(known, found.headers["ETag"]):
            context.outcome = "not_modified"
            headers = found.headers.copy()
            del headers["Content-Type"]
            return web.Response(status=304, headers=headers)
        context.outcome = found.outcome
        return web.Response(body=found.body, headers=found.headers)

    def _render_latest(self, request: web.Request, current: str | None) -> Rendered:
        origin = self._names.links.download_origin(request)
        target = _target(request)
        release = self._catalog.get_newest_release(
            self._names.application, target, current=self._parse(current) if current else None
        )
        builds = [build for build in in_word_order(release) if target in (None, build.target)]
        asked = self._asked(request, current, target)
        return _rendered(self._names.latest(release, builds, origin), "offered", asked, vary="User-Agent")

    def _render_compatibility(self, request: web.Request) -> Rendered:
        given: str = load_values(_CURRENT, dict(request.match_info))["current_version"]
        target = _target(request)
        found = self._catalog.assess(self._names.application, self._parse(given), target)
        asked = self._asked(request, given, target)
        return _rendered(_compatibility(given, found), _OUTCOMES.get(found.standing, "none"), asked)

    def _asked(self, request: web.Request, current: str | None, target: Target | None) -> ClientFacts:
        """Say for the figures who asks; the platform may be told by the query or by the User-Agent."""
        word = agent_of(request).platform
        if target is None and word is not None:
            target = DESKTOP_TARGETS[word]
        return ClientFacts(self._names.application, current or UNKNOWN, "/".join(target) if target else UNKNOWN)

    def _parse(self, text: str) -> Version:
        return self._catalog.parse(self._names.application, text, "current_version")


def _compatibility(current: str, found: Compatibility) -> dict[str, Any]:
    return {
        "compatible": found.release is not None or found.standing is ClientStanding.AHEAD,
        "latest_compatible_version": found.release.version.text if found.release else None,
        "requires_update": found.standing is ClientStanding.BEHIND,
        "reason": _reason(current, found),
    }


def _reason(current: str, found: Compatibility) -> str:
    newest = found.newest.version.text if found.newest else ""
    belongs_on = found.release.version.text if found.release else ""
    return {
        ClientStanding.BEHIND: f"Version {current} can update to {belongs_on}",
        ClientStanding.CURRENT: f"Version {current} needs no update",
        ClientStanding.AHEAD: f"Version {current} is newer than the latest version {newest}",
        ClientStanding.STRANDED: f"Version {current} is below the minimum version of every newer one, up to {newest}",
        ClientStanding.NO_RELEASES: "There is no active version",
    }[found.standing]


def _target(request: web.Request) -> Target | None:
    """Return the target the query names. Raises Invalid."""
    if not request.query_string:
        return None
    word = load_values(_PLATFORM_QUERY, dict(request.query)).get("platform")
    return None if word is None else DESKTOP_TARGETS[word]


def _rendered(answer: dict[str, Any], outcome: str, asked: ClientFacts, vary: str | None = None) -> Rendered:
    body = orjson.dumps(answer)
    headers = CIMultiDict(
        {
            "Content-Type": "application/json; charset=utf-8",
            "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"',
            "Cache-Control": CACHE_CONTROL,
        }
    )
    if vary is not None:
        headers["Vary"] = vary
    return Rendered(body, headers, outcome, asked)


def _names(condition: str, etag: str) -> bool:
    """Tell whether If-None-Match holds the tag, by weak comparison. Source: RFC 9110 section 13.1.2."""
    tags = (each.strip().removeprefix("W/") for each in condition.split(","))
    return condition.strip() == "*" or etag in tags
