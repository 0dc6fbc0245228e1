"""Why does this client get that? A client is typed in, and each release that was looked at is shown with its reason."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from updater.access.principals import Permission
from updater.catalog.platforms import ARCHITECTURES, PLATFORMS, Target
from updater.errors import Failure, NotFound
from updater.offers.decision import Offer
from updater.offers.explaining import ClientQuestion, ExplainedCheck
from updater.services import Services
from updater.web.dashboard.page import HTML, PageKit, Problem
from updater.web.gate.identity import Identity, IdentityReader
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.check_schemas import ExplainQuery
from updater.web.messages.parsing import load_values

_TEXTS: Final = ("current_version", "platform", "architecture", "channel", "client_id", "address")
_TICKS: Final = ("manual", "allow_prerelease")


class Explain:
    """What a browser shows of explanations."""

    def __init__(self, kit: PageKit, services: Services, identities: IdentityReader) -> None:
        self._kit = kit
        self._explainer = services.explainer
        self._offers = services.offers
        self._identities = identities

    @endpoint(Contract("Explain a check", Permission.WRITE, answers={200: None}, failures=(404, 422), media_types=HTML))
    async def explain(self, request: web.Request) -> web.Response:
        """Show the form, and for a client that it names the trace; what does not fit is shown at its field."""
        values = {name: request.query.get(name, "").strip() for name in _TEXTS}
        values |= {name: "true" for name in _TICKS if name in request.query}
        found: tuple[ExplainedCheck, Identity] | None = None
        problem = None
        if "current_version" in request.query:
            try:
                found = await self._explain(request, values)
            except NotFound:
                raise
            except Failure as failure:
                problem = Problem.of(failure)
        application = self._offers.get_application(request.match_info["app_id"])
        context = {
            "values": values,
            "problem": problem,
            "found": None if found is None else found[0],
            "identity": None if found is None else found[1],
            "offer": _offer_of(None if found is None else found[0]),
            "channels": [("", f"{application.channels[0]}, as without one"), *((c, c) for c in application.channels)],
            "platforms": [(each, each) for each in PLATFORMS],
            "architectures": [(each, each) for each in ARCHITECTURES],
        }
        return self._kit.render(request, "explain.html", context, status=200 if problem is None else problem.status)

    async def _explain(self, request: web.Request, values: dict[str, str]) -> tuple[ExplainedCheck, Identity]:
        asked: dict[str, Any] = load_values(ExplainQuery(), {name: each for name, each in values.items() if each})
        identity = self._identities.named(request, asked["client_id"], None, asked["address"])
        question = ClientQuestion(
            asked["current_version"],
            Target(asked["platform"], asked["architecture"]),
            identity.value,
            asked["channel"],
            asked["allow_prerelease"],
            asked["manual"],
        )
        return await self._explainer.explain(request.match_info["app_id"], question), identity


def _offer_of(found: ExplainedCheck | None) -> Offer | None:
    decided = None if found is None else found.explanation.decided
    return decided if isinstance(decided, Offer) else None
