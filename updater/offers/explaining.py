"""The use case behind "why does this client get that?": the question as a client asks it, and all that explains it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from updater.audit.service import AuditService
from updater.catalog.channels import channel_asked
from updater.catalog.platforms import Target
from updater.clock import Clock, utc_now
from updater.offers.decision import UpdateQuery
from updater.offers.service import Explanation, OfferService


@dataclass(frozen=True, slots=True)
class ClientQuestion:
    """A check, and for whom it is explained. `channel` None: none was given. `identity` decides rollouts."""

    current_version: str
    target: Target
    identity: str
    channel: str | None = None
    allow_prerelease: bool = False
    manual: bool = False


@dataclass(frozen=True, slots=True)
class UsedChannel:
    """The channel that was asked for, the one that counts, and why: `asked`, `default` or `unknown`."""

    asked: str | None
    used: str
    why: str


@dataclass(frozen=True, slots=True)
class ExplainedCheck:
    """What a check answers, and why. `revision` is the id of the newest history entry in it, 0 for none."""

    application_id: str
    channel: UsedChannel
    prereleases: bool
    revision: int
    evaluated_at: datetime
    explanation: Explanation


class Explainer:
    """Explains checks; they are not counted."""

    def __init__(self, offers: OfferService, audit: AuditService, *, clock: Clock = utc_now) -> None:
        self._offers = offers
        self._audit = audit
        self._clock = clock

    async def explain(self, application_id: str, asked: ClientQuestion) -> ExplainedCheck:
        """Decide as a check does, and say why.

        Raises:
            NotFound: no such application. Invalid: `current_version` is no version. Unavailable.
        """
        channels = self._offers.get_application(application_id).channels
        current = self._offers.parse(application_id, asked.current_version, "current_version")
        position = channel_asked(channels, asked.channel)
        query = UpdateQuery(current, asked.target, asked.allow_prerelease, position)
        # Read first: what comes between this and the decision may be in it, but nothing that is named is missing.
        history, _ = await self._audit.list_history(application_id, limit=1)
        found = await self._offers.explain(application_id, query, asked.identity, manual=asked.manual)
        return ExplainedCheck(
            application_id=application_id,
            channel=_used(channels, asked.channel, channels[position]),
            prereleases=asked.allow_prerelease or position > 0,
            revision=history[0].id if history else 0,
            evaluated_at=self._clock(),
            explanation=found,
        )


def _used(channels: tuple[str, ...], asked: str | None, used: str) -> UsedChannel:
    if asked is None:
        return UsedChannel(None, channels[0], "default")
    return UsedChannel(asked, used, "asked" if used == asked else "unknown")
