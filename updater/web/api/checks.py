"""Update checks and the latest version: answered from memory, without any await on the way."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web
from multidict import CIMultiDict

import updater.web.api.answer_schemas as answers
import updater.web.api.schemas as schemas
from updater.catalog.decision import NoUpdate, UpdateQuery
from updater.catalog.platforms import Target
from updater.catalog.service import CatalogService
from updater.telemetry.checks import CheckCounter
from updater.telemetry.model import ClientFacts
from updater.web.api.rendering import offer_keys
from updater.web.gate.country_hints import CountryHints
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import JSON, json_answer
from updater.web.messages.links import Links
from updater.web.messages.parsing import parse_query

# Clients of one version ask the very same question, so few answers serve nearly all checks.
MAX_CACHED_ANSWERS = 4_096
MAX_CACHED_QUERY_CHARACTERS = 300
_CHECK_QUERY = schemas.CheckQuery()
_JSON_HEADERS = CIMultiDict({"Content-Type": JSON})


class Checks:
    """The public endpoints that installed clients ask."""

    def __init__(self, catalog: CatalogService, links: Links, counter: CheckCounter, places: CountryHints) -> None:
        self._catalog = catalog
        self._links = links
        self._counter = counter
        self._places = places

    @endpoint(
        Contract(
            "Check for updates",
            query=_CHECK_QUERY,
            parses_itself=True,
            answers={200: answers.CheckAnswer()},
            failures=(404, 422),
        )
    )
    async def check_for_update(self, request: web.Request) -> web.Response:
        """Answer a check; the same query gets the same bytes until the application changes."""
        application_id = request.match_info["app_id"]
        answers = self._catalog.index_of(application_id).answers
        key = f"{self._links.origin_key(request)}?{request.rel_url.raw_query_string}"
        known = answers.get(key)
        if known is None:
            query = await parse_query(_CHECK_QUERY, request)
            body = self._answer(application_id, query, self._links.origin(request))
            known = (body, _asked(application_id, query))
            _remember(answers, key, known)
        body, asked = known
        self._counter.count(asked, self._places.of(request))
        return web.Response(body=body, headers=_JSON_HEADERS)

    @endpoint(
        Contract(
            "Check for updates (JSON body)",
            body=schemas.CheckBody(),
            answers={200: answers.CheckAnswer()},
            failures=(400, 404, 413, 415, 422),
        )
    )
    async def check_for_update_by_body(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Answer a check whose question is a JSON object."""
        answer = self._answer(body["application_id"], body, self._links.origin(request))
        self._counter.count(_asked(body["application_id"], body), self._places.of(request))
        return web.Response(body=answer, content_type=JSON)

    @endpoint(
        Contract(
            "Latest version",
            query=schemas.LatestQuery(),
            answers={200: answers.LatestAnswer()},
            failures=(404, 422),
        )
    )
    async def get_latest(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return the latest version of the application in the path."""
        return self._latest(request, request.match_info["app_id"], query)

    @endpoint(
        Contract(
            "Latest version (application in the query)",
            query=schemas.LatestByIdQuery(),
            answers={200: answers.LatestAnswer()},
            failures=(404, 422),
        )
    )
    async def get_latest_by_query(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return the latest version of the application in the query."""
        return self._latest(request, query.get("application_id") or query["app_id"], query)

    def _answer(self, application_id: str, asked: dict[str, Any], origin: str) -> bytes:
        current = self._catalog.parse(application_id, asked["current_version"], "current_version")
        target = Target(asked["platform"], asked["architecture"])
        decided = self._catalog.check(application_id, UpdateQuery(current, target, asked["allow_prerelease"]))
        if isinstance(decided, NoUpdate):
            none = {"update_available": False, "current_version": asked["current_version"], "required": False}
            return orjson.dumps(none)
        build = decided.build
        answer = {
            "update_available": True,
            "latest_version": build.version.text,
            "current_version": asked["current_version"],
            **offer_keys(build, self._links.download_url(build, origin)),
            "required": decided.required,
            "minimum_version": build.minimum.text if build.minimum else "",
        }
        if asked["include_metadata"]:
            answer["metadata"] = build.metadata
        return orjson.dumps(answer)

    def _latest(self, request: web.Request, application_id: str, query: dict[str, Any]) -> web.Response:
        target = Target(query["platform"], query["architecture"])
        build = self._catalog.get_latest(application_id, target, allow_prerelease=query["allow_prerelease"])
        answer = {
            "version": build.version.text,
            **offer_keys(build, self._links.download_url(build, self._links.origin(request))),
            "required": build.required or self._catalog.requires_updates(application_id),
            "metadata": build.metadata if query["include_metadata"] else {},
        }
        return json_answer(answer)


def _remember(answers: dict[str, Any], key: str, known: tuple[bytes, ClientFacts]) -> None:
    """Keep an answer for the same query. Invented queries cannot fill the place for good: it is emptied when full."""
    if len(key) <= MAX_CACHED_QUERY_CHARACTERS:
        if len(answers) >= MAX_CACHED_ANSWERS:
            answers.clear()
        answers[key] = known


def _asked(application_id: str, asked: dict[str, Any]) -> ClientFacts:
    return ClientFacts(application_id, asked["current_version"], f"{asked['platform']}/{asked['architecture']}")
