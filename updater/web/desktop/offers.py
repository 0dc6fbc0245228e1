"""The latest version and compatibility: answered from memory, without any await on the way.

Answers are rendered once per snapshot. They depend on the question, on the origin of links, on the releases under
rollout that the client sees and, for the latest version, on the version that a client states in its User-Agent; never
on an identity. What is kept with an answer
for the figures also depends on the platform that a client states.
"""

from __future__ import annotations

import functools
import hashlib
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson
from aiohttp import hdrs, web
from multidict import CIMultiDict

import updater.web.desktop.schemas as schemas
from updater.access.limits import Traffic
from updater.access.principals import Permission
from updater.artifacts.ranges import names_etag
from updater.catalog.versions import Version
from updater.offers.cohorts import chances_of_family, cohort_of
from updater.offers.decision import NO_COHORT, ClientStanding, Cohort, Compatibility
from updater.offers.service import OfferService
from updater.offers.snapshot import Snapshot
from updater.telemetry.checks import CheckCounter
from updater.telemetry.model import UNKNOWN, ClientFacts
from updater.web.desktop.agents import agent_of
from updater.web.desktop.rendering import Names, in_word_order
from updater.web.desktop.words import TARGETS, is_version
from updater.web.gate.context import CONTEXT
from updater.web.gate.country_hints import CountryHints
from updater.web.gate.identity import IdentityReader
from updater.web.gate.routing import Contract, always, endpoint
from updater.web.messages.parsing import load_values
from updater.web.messages.user_agents import Agent

# A cache may keep the answer, but asks each time: a deactivation counts at once.
CACHE_CONTROL = "private, no-cache"
_PLATFORM_QUERY = schemas.PlatformQuery()
_CURRENT = schemas.CurrentVersionPath()
_PLATFORMS = tuple(sorted({target.platform for target in TARGETS.values()}))
_OUTCOMES = {ClientStanding.BEHIND: "offered", ClientStanding.CURRENT: "current", ClientStanding.AHEAD: "ahead"}


class Rendered(NamedTuple):
    """An answer as it leaves, its word for the access log, and what the client said of itself."""

    body: bytes
    headers: CIMultiDict[str]
    outcome: str
    asked: ClientFacts


class Offers:
    """The two endpoints that installed clients ask most."""

    def __init__(
        self,
        offers: OfferService,
        names: Names,
        counter: CheckCounter,
        places: CountryHints,
        identities: IdentityReader,
    ) -> None:
        self._offers = offers
        self._names = names
        self._counter = counter
        self._places = places
        self._identities = identities

    @endpoint(
        Contract(
            "Latest version",
            Permission.FEED,
            traffic=Traffic.CHECK,
            query=_PLATFORM_QUERY,
            parses_itself=True,
            at_once=always,
            answers={200: schemas.LatestAnswer(), 304: None},
            failures=(400, 404),
        )
    )
    async def get_latest(self, request: web.Request) -> web.Response:
        """Return the highest active version; to a client that states its version, the highest it may move to."""
        agent = agent_of(request)
        origin = self._names.links.download_origin(request)
        word = _read_platform(request.rel_url.raw_query_string)
        snapshot, answers, _ = self._offers.present(self._names.application)
        cohort = self._cohort(request, snapshot, word or agent.platform, agent.version)
        key = ("desktop.latest", origin, self._names.prefix, word, agent.version, agent.platform, cohort)
        found = answers.get(key)
        if found is None:
            found = self._render_latest(origin, word, agent, cohort)
            answers.keep(key, found, len(found.body) + len(origin) + len(self._names.prefix))
        return self._answer(request, found)

    @endpoint(
        Contract(
            "Compatibility of a version",
            Permission.FEED,
            traffic=Traffic.CHECK,
            path=_CURRENT,
            query=_PLATFORM_QUERY,
            parses_itself=True,
            at_once=always,
            answers={200: schemas.CompatibilityAnswer(), 304: None},
            failures=(400, 404),
        )
    )
    async def get_compatibility(self, request: web.Request) -> web.Response:
        """Tell which version a client on the one in the path belongs on."""
        agent = agent_of(request)
        given = request.match_info["current_version"]
        if not is_version(given):
            given = load_values(_CURRENT, {"current_version": given})["current_version"]  # or says what is wrong
        word = _read_platform(request.rel_url.raw_query_string)
        snapshot, answers, _ = self._offers.present(self._names.application)
        cohort = self._cohort(request, snapshot, word or agent.platform, given)
        key = ("desktop.compatibility", given, word, agent.platform, cohort)
        found = answers.get(key)
        if found is None:
            found = self._render_compatibility(given, word, agent, cohort)
            answers.keep(key, found, len(found.body) + len(given))
        return self._answer(request, found)

    def _cohort(self, request: web.Request, snapshot: Snapshot, word: str | None, current: str | None) -> Cohort:
        """Return the releases under rollout that this client sees."""
        if not snapshot.rollouts:
            return NO_COHORT
        target = TARGETS.get(word) if word else None
        version = self._parse(current) if current else None
        chances, own = chances_of_family(snapshot, target, _PLATFORMS, version)
        return own | cohort_of(chances, self._identities.of(request).value) if chances else own

    def _answer(self, request: web.Request, found: Rendered) -> web.Response:
        self._counter.count(found.asked, self._places.of(request))
        context = request[CONTEXT]
        if hdrs.IF_NONE_MATCH in request.headers and names_etag(
            request.headers, hdrs.IF_NONE_MATCH, found.headers["ETag"], weakly=True
        ):
            context.outcome = "not_modified"
            headers = found.headers.copy()
            del headers["Content-Type"]
            return web.Response(status=304, headers=headers)
        context.outcome = found.outcome
        return web.Response(body=found.body, headers=found.headers)

    def _render_latest(self, origin: str, word: str | None, agent: Agent, cohort: Cohort) -> Rendered:
        target = TARGETS[word] if word else None
        current = self._parse(agent.version) if agent.version else None
        release = self._offers.get_newest_release(self._names.application, target, current=current, cohort=cohort)
        builds = [build for build in in_word_order(release) if target in (None, build.target)]
        facts = self._facts(agent.version, word or agent.platform)
        return _rendered(self._names.latest(release, builds, origin), "offered", facts, vary="User-Agent")

    def _render_compatibility(self, given: str, word: str | None, agent: Agent, cohort: Cohort) -> Rendered:
        target = TARGETS[word] if word else None
        found = self._offers.assess(self._names.application, self._parse(given), target, cohort)
        facts = self._facts(given, word or agent.platform)
        return _rendered(_compatibility(given, found), _OUTCOMES.get(found.standing, "none"), facts)

    def _facts(self, current: str | None, word: str | None) -> ClientFacts:
        """Note the client for the figures; the query or the User-Agent may tell its platform."""
        target = "/".join(TARGETS[word]) if word else UNKNOWN
        return ClientFacts(self._names.application, current or UNKNOWN, target)

    def _parse(self, text: str) -> Version:
        return self._offers.parse(self._names.application, text, "current_version")


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


def _read_platform(raw_query: str) -> str | None:
    """Return the platform word that a query names, percent-encoded as it came. Raises Invalid."""
    given = _given_platform(raw_query)
    if given is None or given in TARGETS:
        return given
    word: str | None = load_values(_PLATFORM_QUERY, {"platform": given})["platform"]
    return word


@functools.lru_cache(maxsize=256)
def _given_platform(raw_query: str) -> str | None:
    # Of a name given twice, the first counts.
    return dict(reversed(parse_qsl(raw_query, keep_blank_values=True))).get("platform")


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
