"""Update checks and the latest version: answered from memory, without any await on the way."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import orjson
from aiohttp import web
from multidict import CIMultiDict

import updater.web.api.answer_schemas as answers
import updater.web.api.schemas as schemas
from updater.access.limits import Traffic
from updater.catalog.platforms import Target
from updater.offers.decision import NoUpdate, UpdateQuery
from updater.offers.service import OfferService
from updater.telemetry.checks import CheckCounter
from updater.telemetry.model import ClientFacts
from updater.web.api.questions import CheckQuestion, read_question
from updater.web.api.rendering import offer_keys
from updater.web.gate.country_hints import CountryHints
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import JSON, json_answer
from updater.web.messages.links import Links
from updater.web.messages.parsing import parse_query

_CHECK_QUERY = schemas.CheckQuery()
_JSON_HEADERS = CIMultiDict({"Content-Type": JSON})


def _application_in_query(query: Mapping[str, Any]) -> str:
    application_id: str = query.get("application_id") or query["app_id"]
    return application_id


class Checks:
    """The public endpoints that installed clients ask."""

    def __init__(self, offers: OfferService, links: Links, counter: CheckCounter, places: CountryHints) -> None:
        self._offers = offers
        self._links = links
        self._counter = counter
        self._places = places

    @endpoint(
        Contract(
            "Check for updates",
            traffic=Traffic.CHECK,
            query=_CHECK_QUERY,
            parses_itself=True,
            answers={200: answers.CheckAnswer()},
            failures=(404, 422),
        )
    )
    async def check_for_update(self, request: web.Request) -> web.Response:
        """Answer a check; the same question gets the same bytes until the application changes."""
        application_id = request.match_info["app_id"]
        question = read_question(request.rel_url.raw_query_string)
        if question is None:
            question = CheckQuestion.from_fields(await parse_query(_CHECK_QUERY, request))
        return self._answer(request, application_id, question)

    @endpoint(
        Contract(
            "Check for updates (JSON body)",
            application_of=operator.itemgetter("application_id"),
            traffic=Traffic.CHECK,
            body=schemas.CheckBody(),
            answers={200: answers.CheckAnswer()},
            failures=(400, 404, 413, 415, 422),
        )
    )
    async def check_for_update_by_body(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Answer a check whose question is a JSON object."""
        return self._answer(request, body["application_id"], CheckQuestion.from_fields(body))

    @endpoint(
        Contract(
            "Latest version",
            traffic=Traffic.CHECK,
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
            application_of=_application_in_query,
            traffic=Traffic.CHECK,
            query=schemas.LatestByIdQuery(),
            answers={200: answers.LatestAnswer()},
            failures=(404, 422),
        )
    )
    async def get_latest_by_query(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return the latest version of the application in the query."""
        return self._latest(request, _application_in_query(query), query)

    def _answer(self, request: web.Request, application_id: str, question: CheckQuestion) -> web.Response:
        answers = self._offers.present(application_id).answers
        origin = self._links.download_origin(request)
        key = ("check", origin, question)
        known = answers.get(key)
        if known is None:
            body = self._render(application_id, question, origin)
            facts = ClientFacts(
                application_id, question.current_version, f"{question.platform}/{question.architecture}"
            )
            known = body, facts
            answers.keep(key, known, len(body) + len(origin) + len(question.current_version))
        body, facts = known
        self._counter.count(facts, self._places.of(request))
        return web.Response(body=body, headers=_JSON_HEADERS)

    def _render(self, application_id: str, question: CheckQuestion, origin: str) -> bytes:
        current = self._offers.parse(application_id, question.current_version, "current_version")
        target = Target(question.platform, question.architecture)
        decided = self._offers.check(application_id, UpdateQuery(current, target, question.allow_prerelease))
        if isinstance(decided, NoUpdate):
            none = {"update_available": False, "current_version": question.current_version, "required": False}
            return orjson.dumps(none)
        build = decided.build
        answer = {
            "update_available": True,
            "latest_version": build.version.text,
            "current_version": question.current_version,
            **offer_keys(build, self._links.download_url(build, origin)),
            "required": decided.required,
            "minimum_version": build.minimum.text if build.minimum else "",
        }
        if question.include_metadata:
            answer["metadata"] = build.metadata
        return orjson.dumps(answer)

    def _latest(self, request: web.Request, application_id: str, query: dict[str, Any]) -> web.Response:
        target = Target(query["platform"], query["architecture"])
        build = self._offers.get_latest(application_id, target, allow_prerelease=query["allow_prerelease"])
        answer = {
            "version": build.version.text,
            **offer_keys(build, self._links.download_url(build, self._links.download_origin(request))),
            "required": build.required or self._offers.requires_updates(application_id),
            "metadata": build.metadata if query["include_metadata"] else {},
        }
        return json_answer(answer)
