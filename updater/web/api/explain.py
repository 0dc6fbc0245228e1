"""Why does this client get that? The question of a check, answered with the reasons."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import Any

from aiohttp import web

import updater.web.api.rollout_answers as answers
import updater.web.api.schemas as schemas
from updater.access.limits import client_of
from updater.access.principals import Permission
from updater.catalog.channels import channel_asked
from updater.catalog.platforms import Target
from updater.clock import utc_now
from updater.errors import Invalid
from updater.offers.decision import UpdateQuery
from updater.services import Services
from updater.times import rfc3339
from updater.web.api.questions import CheckQuestion
from updater.web.api.rendering import check_answer
from updater.web.gate.identity import Identity, IdentityReader
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer
from updater.web.messages.links import Links


class Explain:
    """Explains checks; they are not counted."""

    def __init__(self, services: Services, links: Links, identities: IdentityReader) -> None:
        self._offers = services.offers
        self._audit = services.audit
        self._links = links
        self._identities = identities

    @endpoint(
        Contract(
            "Explain a check",
            Permission.READ,
            query=schemas.ExplainQuery(),
            answers={200: answers.ExplainAnswer()},
            failures=(404, 422),
        )
    )
    async def explain(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Return what a check answers to this client, and why.

        Raises:
            Invalid: `at` is given, or there is neither an id nor an address.
        """
        application_id = request.match_info["app_id"]
        if query["at"] is not None:
            raise Invalid({"at": "is reserved"})
        application = self._offers.get_application(application_id)
        question = CheckQuestion.from_fields(query)
        identity = self._identity(request, query)
        position = channel_asked(application.channels, query["channel"])
        current = self._offers.parse(application_id, question.current_version, "current_version")
        target = Target(question.platform, question.architecture)
        asked = UpdateQuery(current, target, question.allow_prerelease, position)
        # Read first: what comes between this and the decision may be in it, but nothing that is named is missing.
        history, _ = await self._audit.list_history(application_id, limit=1)
        found = await self._offers.explain(application_id, asked, identity.value, manual=query["manual"])
        answer = {
            "application_id": application_id,
            "current_version": question.current_version,
            "platform": question.platform,
            "architecture": question.architecture,
            "revision": history[0].id if history else 0,
            "evaluated_at": rfc3339(utc_now()),
            "channel": _channel(application.channels, query["channel"]),
            "prereleases": question.allow_prerelease or position > 0,
            "manual": query["manual"],
            "identity": {"kind": identity.kind, "value": identity.value},
            "candidates": [dataclasses.asdict(each) for each in found.candidates],
            "required_because": found.required_because,
            "answer": check_answer(found.decided, question, self._links, self._links.download_origin(request)),
        }
        return json_answer(answer)

    def _identity(self, request: web.Request, query: dict[str, Any]) -> Identity:
        """Return for whom to explain. Raises Invalid for an address that is none, or when nobody is named."""
        address = _client_at(query["address"]) if query["address"] else self._identities.address(request)
        stated = self._identities.stated(request, query["client_id"], query["staging_id"])
        if stated is not None:
            return stated
        if not address:
            raise Invalid({"address": "is needed: neither an id nor an address is known"})
        return Identity("address", address)


def _client_at(address: str) -> str:
    """Return what counts as one client at an address. Raises Invalid for what is no address."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise Invalid({"address": "expected an IP address"}) from None
    return client_of(address)


def _channel(channels: tuple[str, ...], asked: str | None) -> dict[str, str | None]:
    if asked is None:
        return {"asked": None, "used": channels[0], "why": "default"}
    used = channels[channel_asked(channels, asked)]
    return {"asked": asked, "used": used, "why": "asked" if used == asked else "unknown"}
