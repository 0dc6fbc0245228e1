"""Update checks and the latest version: answered from memory, without any await on the way."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web
from multidict import CIMultiDict

import updater.web.api.client_schemas as schemas
from updater.access.limits import Traffic
from updater.catalog.channels import channel_asked
from updater.catalog.platforms import Target
from updater.catalog.versions import parse_field
from updater.offers.cohorts import Chance, chances_of_check, cohort_of
from updater.offers.decision import NO_COHORT, Cohort, UpdateQuery, decide
from updater.offers.service import OfferService
from updater.offers.snapshot import Snapshot
from updater.telemetry.checks import CheckCounter
from updater.telemetry.model import ClientFacts
from updater.web.api.questions import Asked, CheckQuestion, Ids, read_check
from updater.web.api.rendering import check_answer, offer_keys
from updater.web.gate.country_hints import CountryHints
from updater.web.gate.identity import IdentityReader
from updater.web.gate.routing import Contract, always, endpoint
from updater.web.messages.answers import JSON, json_answer
from updater.web.messages.check_schemas import CheckQuery
from updater.web.messages.links import Links
from updater.web.messages.parsing import parse_query

_CHECK_QUERY = CheckQuery()
_JSON_HEADERS = CIMultiDict({"Content-Type": JSON})

# What another client could have got otherwise must not be kept by anybody on the way.
NO_STORE = "private, no-store"
# What each chance of a question takes. Source: measured.
_CHANCE_BYTES = 400
_DICE_HEADERS = CIMultiDict({"Content-Type": JSON, "Cache-Control": NO_STORE})


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is kept of a question: its answer; or, with chances, what the answer of each client depends on.

    It is equal to itself alone, so it is the short half of the keys of its answers.
    """

    body: bytes
    facts: ClientFacts
    chances: tuple[Chance, ...]
    headers: CIMultiDict[str]


def _application_in_query(query: Mapping[str, Any]) -> str:
    application_id: str = query.get("application_id") or query["app_id"]
    return application_id


class Checks:
    """The public endpoints that installed clients ask."""

    def __init__(
        self,
        offers: OfferService,
        links: Links,
        counter: CheckCounter,
        places: CountryHints,
        identities: IdentityReader,
    ) -> None:
        self._offers = offers
        self._links = links
        self._counter = counter
        self._places = places
        self._identities = identities

    @endpoint(
        Contract(
            "Check for updates",
            traffic=Traffic.CHECK,
            query=_CHECK_QUERY,
            parses_itself=True,
            at_once=always,
            answers={200: schemas.CheckAnswer()},
            failures=(404, 422),
        )
    )
    async def check_for_update(self, request: web.Request) -> web.Response:
        """Answer a check; the same question gets the same bytes until the application changes."""
        application_id = request.match_info["app_id"]
        read = read_check(request.rel_url.raw_query_string)
        if read is None:
            fields = await parse_query(_CHECK_QUERY, request)
            read = _asked(fields), Ids(fields["client_id"], fields["staging_id"])
        return self._answer(request, application_id, *read)

    @endpoint(
        Contract(
            "Check for updates (JSON body)",
            application_of=operator.itemgetter("application_id"),
            traffic=Traffic.CHECK,
            body=schemas.CheckBody(),
            answers={200: schemas.CheckAnswer()},
            failures=(400, 404, 413, 415, 422),
        )
    )
    async def check_for_update_by_body(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Answer a check whose question is a JSON object."""
        return self._answer(request, body["application_id"], _asked(body), Ids(body["client_id"]))

    @endpoint(
        Contract(
            "Latest version",
            traffic=Traffic.CHECK,
            query=schemas.LatestQuery(),
            answers={200: schemas.LatestAnswer()},
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
            answers={200: schemas.LatestAnswer()},
            failures=(404, 422),
        )
    )
    async def get_latest_by_query(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return the latest version of the application in the query."""
        return self._latest(request, _application_in_query(query), query)

    def _answer(self, request: web.Request, application_id: str, asked: Asked, ids: Ids) -> web.Response:
        snapshot, answers, _ = self._offers.present(application_id)
        question, channel, manual = asked
        position = 0 if channel is None else channel_asked(snapshot.application.channels, channel)
        origin = self._links.download_origin(request)
        key = ("check", origin, question, position)
        known = answers.get(key)
        if known is None:
            known = self._look_into(snapshot, question, position, origin)
            text_bytes = len(known.body) + len(origin) + len(question.current_version)
            answers.keep(key, known, text_bytes + _CHANCE_BYTES * len(known.chances))
        chances = known.chances
        if chances:
            identity = "" if manual else self._identities.of(request, *ids).value
            own_key = known, cohort_of(chances, identity, manual=manual)
            found = answers.get(own_key)
            if found is None:
                body = self._render(snapshot, question, position, origin, own_key[1])
                found = Known(body, known.facts, (), _DICE_HEADERS)
                answers.keep(own_key, found, len(body))
            known = found
        self._counter.count(known.facts, self._places.of(request))
        return web.Response(body=known.body, headers=known.headers)

    def _look_into(self, snapshot: Snapshot, question: CheckQuestion, position: int, origin: str) -> Known:
        """Return the answer, or the chances that it depends on for each client."""
        query = self._query(snapshot, question, position)
        target = f"{question.platform}/{question.architecture}"
        facts = ClientFacts(snapshot.application.id, question.current_version, target)
        chances = chances_of_check(snapshot, query)
        body = b"" if chances else self._render(snapshot, question, position, origin, NO_COHORT)
        return Known(body, facts, chances, _JSON_HEADERS)

    def _query(self, snapshot: Snapshot, question: CheckQuestion, position: int) -> UpdateQuery:
        current = parse_field(question.current_version, snapshot.application.scheme, "current_version")
        target = Target(question.platform, question.architecture)
        return UpdateQuery(current, target, question.allow_prerelease, position)

    def _render(self, snapshot: Snapshot, question: CheckQuestion, position: int, origin: str, cohort: Cohort) -> bytes:
        decided = decide(snapshot, self._query(snapshot, question, position), cohort)
        return orjson.dumps(check_answer(decided, question, self._links, origin))

    def _latest(self, request: web.Request, application_id: str, query: dict[str, Any]) -> web.Response:
        snapshot = self._offers.snapshot_of(application_id)
        target = Target(query["platform"], query["architecture"])
        position = channel_asked(snapshot.application.channels, query["channel"])
        stated = self._identities.stated(request, query["client_id"], query["staging_id"])
        build, has_chances = self._offers.get_latest(
            application_id,
            target,
            allow_prerelease=query["allow_prerelease"],
            channel=position,
            identity=stated.value if stated else None,
        )
        answer = {
            "version": build.version.text,
            **offer_keys(build, self._links.download_url(build, self._links.download_origin(request))),
            "required": build.required or bool(snapshot.application.config["required_update"]),
            "metadata": build.metadata if query["include_metadata"] else {},
        }
        response = json_answer(answer)
        if has_chances:
            response.headers["Cache-Control"] = NO_STORE
        return response


def _asked(fields: dict[str, Any]) -> Asked:
    return Asked(CheckQuestion.from_fields(fields), fields["channel"], fields["manual"])
