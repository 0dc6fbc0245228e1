"""Rollouts of releases, and the moves of a release: every handler parses, makes one call, and renders."""

from __future__ import annotations

from typing import Any

from aiohttp import web

import updater.web.api.rollout_answers as answers
import updater.web.messages.rollout_schemas as schemas
from updater.access.principals import Permission
from updater.audit.model import Actor
from updater.rollouts.releases import ReleaseDetails
from updater.services import Services
from updater.web.api.rendering import release_details
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.answers import json_answer

_STATE_FAILURES = (400, 404, 409, 413, 415, 422)


class Rollouts:
    """What publishers do with rollouts."""

    def __init__(self, services: Services) -> None:
        self._rollouts = services.rollouts

    @endpoint(Contract("List rollouts", Permission.READ, answers={200: answers.RolloutsAnswer()}, failures=(404,)))
    async def list_rollouts(self, request: web.Request) -> web.Response:
        """Return the rollouts of active releases that are not complete, highest version first."""
        return json_answer({"rollouts": await self._rollouts.list_rollouts(request.match_info["app_id"])})

    @endpoint(Contract("Show a rollout", Permission.READ, answers={200: answers.RolloutAnswer()}, failures=(404, 422)))
    async def get_rollout(self, request: web.Request) -> web.Response:
        """Return the rollout of a release."""
        return json_answer(await self._rollouts.get_rollout(*_release(request)))

    @endpoint(
        Contract(
            "Set the plan of a rollout",
            Permission.WRITE,
            body=schemas.SetPlanBody(),
            answers={200: answers.RolloutAnswer()},
            failures=_STATE_FAILURES,
        )
    )
    async def set_plan(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Set the plan, whole: what is left out gets its default."""
        reason = body.pop("reason")
        return json_answer(
            await self._rollouts.set_plan(*_release(request), body, actor=_actor(request), reason=reason)
        )

    @endpoint(
        Contract(
            "Pause a rollout",
            Permission.WRITE,
            body=schemas.ReasonBody(),
            body_optional=True,
            answers={200: answers.RolloutAnswer()},
            failures=_STATE_FAILURES,
        )
    )
    async def pause(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Stop offers and stages."""
        return json_answer(await self._rollouts.pause(*_release(request), actor=_actor(request), **body))

    @endpoint(
        Contract(
            "Resume a rollout",
            Permission.WRITE,
            body=schemas.ResumeBody(),
            body_optional=True,
            answers={200: answers.RolloutAnswer()},
            failures=_STATE_FAILURES,
        )
    )
    async def resume(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """End a pause; with `accept` also lift halts."""
        return json_answer(await self._rollouts.resume(*_release(request), actor=_actor(request), **body))

    @endpoint(
        Contract(
            "Begin the next stage of a rollout",
            Permission.WRITE,
            body=schemas.AdvanceBody(),
            body_optional=True,
            answers={200: answers.RolloutAnswer()},
            failures=_STATE_FAILURES,
        )
    )
    async def advance(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Begin the next stage before its time."""
        return json_answer(await self._rollouts.begin_next_stage(*_release(request), actor=_actor(request), **body))

    @endpoint(
        Contract(
            "Complete a rollout",
            Permission.WRITE,
            body=schemas.AcceptBody(),
            body_optional=True,
            answers={200: answers.RolloutAnswer()},
            failures=_STATE_FAILURES,
        )
    )
    async def complete(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Give the release to everybody."""
        return json_answer(await self._rollouts.complete(*_release(request), actor=_actor(request), **body))


class ReleaseMoving:
    """What publishers do with a release as a whole."""

    def __init__(self, services: Services) -> None:
        self._releases = services.releases

    @endpoint(Contract("Show a release", Permission.READ, answers={200: answers.ReleaseAnswer()}, failures=(404, 422)))
    async def get_release(self, request: web.Request) -> web.Response:
        """Return a release with its builds and its rollout."""
        return _answer(await self._releases.get_details(*_release(request)))

    @endpoint(
        Contract(
            "Promote a release",
            Permission.WRITE,
            body=schemas.PromoteBody(),
            body_optional=True,
            answers={200: answers.ReleaseAnswer()},
            failures=_STATE_FAILURES,
        )
    )
    async def promote(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Move a release to a more stable channel."""
        done = await self._releases.promote(
            *_release(request), body["channel"], plan=body["rollout"], actor=_actor(request), reason=body["reason"]
        )
        return _answer(done)

    @endpoint(
        Contract(
            "Withdraw a release",
            Permission.WRITE,
            body=schemas.ReasonBody(),
            body_optional=True,
            answers={200: answers.ReleaseAnswer()},
            failures=_STATE_FAILURES,
        )
    )
    async def withdraw(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Take a release back, at once and for every client."""
        return _answer(await self._releases.withdraw(*_release(request), actor=_actor(request), **body))

    @endpoint(
        Contract(
            "Restore a release",
            Permission.ADMIN,
            body=schemas.RestoreBody(),
            body_optional=True,
            answers={200: answers.ReleaseAnswer()},
            failures=_STATE_FAILURES,
        )
    )
    async def restore(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Offer a withdrawn release again."""
        done = await self._releases.restore(
            *_release(request), plan=body["rollout"], actor=_actor(request), reason=body["reason"]
        )
        return _answer(done)


def _release(request: web.Request) -> tuple[str, str]:
    return request.match_info["app_id"], request.match_info["version"]


def _actor(request: web.Request) -> Actor:
    return request[CONTEXT].actor


def _answer(details: ReleaseDetails) -> web.Response:
    return json_answer(release_details(details))
