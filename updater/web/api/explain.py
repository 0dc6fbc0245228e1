"""Why does this client get that? The question of a check, answered with the reasons."""

from __future__ import annotations

import dataclasses
from typing import Any

from aiohttp import web

import updater.web.api.rollout_answers as answers
from updater.access.principals import Permission
from updater.catalog.platforms import Target
from updater.errors import Invalid
from updater.offers.explaining import ClientQuestion
from updater.services import Services
from updater.times import rfc3339
from updater.web.api.questions import CheckQuestion
from updater.web.api.rendering import check_answer
from updater.web.gate.identity import IdentityReader
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.check_schemas import ExplainQuery
from updater.web.messages.links import Links


class Explain:
    """Explains checks; they are not counted."""

    def __init__(self, services: Services, links: Links, identities: IdentityReader) -> None:
        self._explainer = services.explainer
        self._links = links
        self._identities = identities

    @endpoint(
        Contract(
            "Explain a check",
            Permission.READ,
            query=ExplainQuery(),
            answers={200: answers.ExplainAnswer()},
            failures=(404, 422),
        )
    )
    async def explain(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return what a check answers to this client, and why.

        Raises:
            Invalid: `at` is given, or there is neither an id nor an address.
        """
        if query["at"] is not None:
            raise Invalid({"at": "is reserved"})
        question = CheckQuestion.from_fields(query)
        identity = self._identities.named(request, query["client_id"], query["staging_id"], query["address"])
        asked = ClientQuestion(
            question.current_version,
            Target(question.platform, question.architecture),
            identity.value,
            query["channel"],
            question.allow_prerelease,
            query["manual"],
        )
        found = await self._explainer.explain(request.match_info["app_id"], asked)
        explanation = found.explanation
        answer = {
            "application_id": found.application_id,
            "current_version": question.current_version,
            "platform": question.platform,
            "architecture": question.architecture,
            "revision": found.revision,
            "evaluated_at": rfc3339(found.evaluated_at),
            "channel": dataclasses.asdict(found.channel),
            "prereleases": found.prereleases,
            "manual": query["manual"],
            "identity": {"kind": identity.kind, "value": identity.value},
            "candidates": [dataclasses.asdict(each) for each in explanation.candidates],
            "required_because": explanation.required_because,
            "answer": check_answer(explanation.decided, question, self._links, self._links.download_origin(request)),
        }
        return json_answer(answer)
