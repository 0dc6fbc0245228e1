"""What may be done with a release on its pages: the words of each step, what its form asks, the use case it calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import updater.web.messages.rollout_schemas as schemas
from updater.audit.model import Actor
from updater.errors import Invalid
from updater.rollouts.impact import Action
from updater.services import Services
from updater.web.dashboard.page import Form
from updater.web.dashboard.plan_form import for_form, read_plan
from updater.web.messages.parsing import load_values


@dataclass(frozen=True, slots=True)
class Doing:
    """A form that was sent: for which release, by whom, and whether they may do what administrators may."""

    services: Services
    application_id: str
    version: str
    form: Form
    actor: Actor
    is_admin: bool

    @property
    def reason(self) -> dict[str, str | None]:
        """Return why, as bodies of the REST interface have it."""
        return {"reason": self.form.optional("reason")}

    def plan(self, *, scheduled: bool = True) -> dict[str, Any] | None:
        """Return the plan in the form; None without one. Raises Invalid."""
        return read_plan(self.form.values, scheduled=scheduled)


@dataclass(frozen=True, slots=True)
class Step:
    """A step: its title and button, what it does, the fields of its form, and how it is done.

    `takes` holds `reason`, `plan` (at will), `new_plan` (needed), `channel`, `halts`, `accept`, `stage`.
    """

    action: Action
    title: str
    button: str
    text: str
    takes: frozenset[str]
    perform: Callable[[Doing], Awaitable[object]]
    danger: bool = False
    leads_away: bool = False


async def _publish(doing: Doing) -> object:
    body = load_values(schemas.RestoreBody(), {"rollout": doing.plan(), **doing.reason})
    plan = doing.services.rollouts.read_plan(body["rollout"], "rollout")
    return await doing.services.drafts.publish(
        doing.application_id, doing.version, plan=plan, actor=doing.actor, reason=body["reason"]
    )


async def _delete(doing: Doing) -> object:
    return await doing.services.drafts.delete_release(
        doing.application_id, doing.version, doing.actor, published_too=doing.is_admin
    )


async def _promote(doing: Doing) -> object:
    given = {"channel": doing.form.text("channel"), "rollout": doing.plan(), **doing.reason}
    body = load_values(schemas.PromoteBody(), given)
    return await doing.services.releases.promote(
        doing.application_id,
        doing.version,
        body["channel"],
        plan=body["rollout"],
        actor=doing.actor,
        reason=body["reason"],
    )


async def _withdraw(doing: Doing) -> object:
    body = load_values(schemas.ReasonBody(), doing.reason)
    return await doing.services.releases.withdraw(doing.application_id, doing.version, actor=doing.actor, **body)


async def _restore(doing: Doing) -> object:
    body = load_values(schemas.RestoreBody(), {"rollout": doing.plan(), **doing.reason})
    return await doing.services.releases.restore(
        doing.application_id, doing.version, plan=body["rollout"], actor=doing.actor, reason=body["reason"]
    )


async def _set(doing: Doing) -> object:
    plan = doing.plan()
    if plan is None:
        raise Invalid({"stages": "write at least one stage"})
    body = load_values(schemas.SetPlanBody(), {**plan, **doing.reason})
    reason = body.pop("reason")
    return await doing.services.rollouts.set_plan(
        doing.application_id, doing.version, body, actor=doing.actor, reason=reason
    )


async def _pause(doing: Doing) -> object:
    body = load_values(schemas.ReasonBody(), doing.reason)
    return await doing.services.rollouts.pause(doing.application_id, doing.version, actor=doing.actor, **body)


async def _resume(doing: Doing) -> object:
    platforms = [name.removeprefix("accept-") for name in doing.form.values if name.startswith("accept-")]
    given = {"accept": bool(platforms), "platforms": platforms or None, **doing.reason}
    body = load_values(schemas.ResumeBody(), {key: value for key, value in given.items() if value is not None})
    return await doing.services.rollouts.resume(doing.application_id, doing.version, actor=doing.actor, **body)


async def _advance(doing: Doing) -> object:
    stage = doing.form.text("stage")
    given = {"stage": int(stage) if stage.isascii() and stage.isdigit() and len(stage) < 4 else None, **doing.reason}
    body = load_values(schemas.AdvanceBody(), given)
    return await doing.services.rollouts.begin_next_stage(
        doing.application_id, doing.version, actor=doing.actor, **body
    )


async def _complete(doing: Doing) -> object:
    body = load_values(schemas.AcceptBody(), {"accept": doing.form.flag("accept"), **doing.reason})
    return await doing.services.rollouts.complete(doing.application_id, doing.version, actor=doing.actor, **body)


def _takes(*names: str) -> frozenset[str]:
    return frozenset(names)


STEPS: Final[Mapping[str, Step]] = {
    step.action.value: step
    for step in (
        Step(
            Action.PUBLISH,
            "Publish the draft",
            "Publish",
            "All its builds go live as one step. From then on its addresses are bound to their bytes.",
            _takes("reason", "plan"),
            _publish,
        ),
        Step(
            Action.DELETE,
            "Delete the release",
            "Delete",
            "Its builds and files go. Addresses that were live stay bound to their bytes.",
            _takes(),
            _delete,
            danger=True,
            leads_away=True,
        ),
        Step(
            Action.PROMOTE,
            "Promote to a more stable channel",
            "Promote",
            "The same bytes and builds, for the clients of a more stable channel as well.",
            _takes("channel", "plan", "reason"),
            _promote,
        ),
        Step(
            Action.WITHDRAW,
            "Withdraw the release",
            "Withdraw",
            "From now on nobody is offered it, and its downloads answer 404, at once. Installs keep what they have.",
            _takes("reason"),
            _withdraw,
            danger=True,
        ),
        Step(
            Action.RESTORE,
            "Restore the release",
            "Restore",
            "It is offered again, with the rollout that it had, its present stage anew, or with another plan.",
            _takes("plan", "reason"),
            _restore,
        ),
        Step(
            Action.SET,
            "Set the plan of the rollout",
            "Set the plan",
            "The plan is replaced as a whole. Who is offered the release at 10 % still is at 20 %.",
            _takes("new_plan", "reason"),
            _set,
        ),
        Step(
            Action.PAUSE,
            "Pause the rollout",
            "Pause",
            "Nobody else is offered it, and no stage begins, until somebody resumes it. Downloads go on.",
            _takes("reason"),
            _pause,
        ),
        Step(
            Action.RESUME,
            "Resume the rollout",
            "Resume",
            "Ends a pause: the rest of the stage goes on. A halt ends where it is accepted; its numbers begin anew.",
            _takes("halts", "reason"),
            _resume,
        ),
        Step(
            Action.ADVANCE,
            "Begin the next stage now",
            "Begin the next stage",
            "The next stage begins before its time, whatever was reported.",
            _takes("stage", "reason"),
            _advance,
        ),
        Step(
            Action.COMPLETE,
            "Complete the rollout",
            "Complete",
            "Everybody on its channel is offered the release. Nothing halts it from then on.",
            _takes("accept", "reason"),
            _complete,
        ),
    )
}


def fields_of_problem(fields: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong by the names of the form's fields."""
    return for_form(fields, "rollout.")
