"""What clients get: the present snapshot of every application, and the questions that it answers.

No SQL and no await on the way of a question. Snapshots follow announced changes by themselves (`database.mirror`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import updater.offers.decision as decision
from updater.catalog.model import Application, Build, Release
from updater.catalog.platforms import Target
from updater.catalog.store import CatalogStore
from updater.catalog.versions import Version, parse_field
from updater.database.engine import Connection, Database
from updater.database.mirror import EVERYTHING, LARGE_S, Mirror
from updater.errors import Conflict, NotFound
from updater.offers.answers import AnswerCache, AnswerShelf
from updater.offers.cohorts import chances_of_check, chances_of_latest, cohort_of
from updater.offers.decision import (
    NO_COHORT,
    Cohort,
    Compatibility,
    NoUpdate,
    Offer,
    RequiredBecause,
    UpdateQuery,
)
from updater.offers.explain import MAX_CANDIDATES, Candidate, trace
from updater.offers.snapshot import Snapshot
from updater.offers.store import OfferStore
from updater.rollouts.model import Rollout


class FeedSlot:
    """Where what feeds need of an application is kept, from the first feed on: `held`, of about `size_bytes`.

    It is equal to itself alone. `number` counts on with each reading.
    """

    __slots__ = ("__weakref__", "held", "number", "size_bytes")

    def __init__(self) -> None:
        self.held: Any = None
        self.number = 0
        self.size_bytes = 0


class Present(NamedTuple):
    """An application as it is answered for now: its snapshot, what was rendered from it, and room for its feeds."""

    snapshot: Snapshot
    answers: AnswerShelf
    feeds: FeedSlot


class Explanation(NamedTuple):
    """What was looked at, what was decided, and why an offer is required."""

    candidates: list[Candidate]
    decided: Offer | NoUpdate
    required_because: RequiredBecause | None


class OfferService:
    """Answers clients from memory. Call `load` once before use, `close` at the end."""

    def __init__(self, store: OfferStore, catalog: CatalogStore, database: Database) -> None:
        self.answers = AnswerCache()
        self._store = store
        self._catalog = catalog
        self._present: Mapping[str, Present] = {}
        self._mirror = Mirror("snapshots", self._reread, slow_s=LARGE_S)
        database.subscribe(self._follow)

    async def load(self) -> None:
        """Read the snapshots of all applications. Raises Unavailable."""
        await self._reread({EVERYTHING})

    async def close(self) -> None:
        """Stop following changes."""
        await self._mirror.close()

    # -- snapshots

    def present(self, application_id: str) -> Present:
        """Return the present snapshot of an application, and the answers rendered from it.

        Raises:
            NotFound: no such application. Unavailable: it was changed, and the change cannot be read.
        """
        if self._mirror.old:
            self._mirror.require_current(application_id)
        found = self._present.get(application_id)
        if found is None:
            raise NotFound("application", "Application not found")
        return found

    def snapshot_of(self, application_id: str) -> Snapshot:
        """Return the present snapshot of an application. Raises NotFound, Unavailable as `present`."""
        return self.present(application_id).snapshot

    def open_rollouts(self) -> list[Rollout]:
        """Return the rollouts of active releases that are not complete, of all applications."""
        return [each for present in self._present.values() for each in present.snapshot.rollouts.values()]

    def application_ids(self) -> list[str]:
        """Return the ids of all applications in their order."""
        return sorted(self._present)

    def public_ids(self) -> set[str]:
        """Return the ids of the applications whose installed clients need no key."""
        return {key for key, each in self._present.items() if not each.snapshot.application.private}

    def get_application(self, application_id: str) -> Application:
        """Return one application. Raises NotFound, Unavailable as `present`."""
        return self.present(application_id).snapshot.application

    def parse(self, application_id: str, text: str, field: str) -> Version:
        """Parse a version by the application's scheme.

        Raises:
            NotFound: no such application. Invalid: not a version; names `field`.
        """
        return parse_field(text, self.get_application(application_id).scheme, field)

    # -- questions

    def check(self, application_id: str, query: UpdateQuery, cohort: Cohort = NO_COHORT) -> Offer | NoUpdate:
        """Decide which build a client gets. Raises NotFound for an unknown application."""
        return decision.decide(self.snapshot_of(application_id), query, cohort)

    def get_latest(
        self,
        application_id: str,
        target: Target,
        *,
        allow_prerelease: bool = False,
        channel: int = 0,
        identity: str | None = None,
    ) -> tuple[Build, bool]:
        """Return the highest active build for a target, and whether somebody else could have got another one.

        Args:
            application_id: the application.
            target: the platform and architecture.
            allow_prerelease: whether pre-releases count; on any channel but the first they do.
            channel: the position of the client's channel.
            identity: the id that a client gave; without one it sees complete releases only.

        Raises:
            NotFound: no such application, or no build.
        """
        snapshot = self.snapshot_of(application_id)
        chances = chances_of_latest(snapshot, target, allow_prerelease=allow_prerelease, channel=channel)
        cohort = NO_COHORT if identity is None else cohort_of(chances, identity)
        found = decision.latest(snapshot, target, allow_prerelease=allow_prerelease, channel=channel, cohort=cohort)
        if found is None:
            raise NotFound("release", f"No release for {target.platform}/{target.architecture}")
        return found, bool(chances)

    def assess(
        self, application_id: str, current: Version, target: Target | None = None, cohort: Cohort = NO_COHORT
    ) -> Compatibility:
        """Tell which release a client of a family belongs on. Raises NotFound for an unknown application."""
        return decision.assess(self.snapshot_of(application_id), current, target, cohort)

    def get_newest_release(
        self,
        application_id: str,
        target: Target | None = None,
        *,
        current: Version | None = None,
        cohort: Cohort = NO_COHORT,
    ) -> Release:
        """Return the highest active release, or the highest that a client on `current` may move to or stay on.

        Raises:
            NotFound: there is none.
        """
        snapshot = self.snapshot_of(application_id)
        if current is None:
            found = decision.newest_release(snapshot, target, cohort)
        else:
            found = decision.assess(snapshot, current, target, cohort).release
        if found is None:
            raise NotFound("release", f"No release{f' for a client on {current.text}' if current else ''}")
        return found

    def require_upgrade_path(self, build: Build, current: Version) -> None:
        """Hold a download to what its client may install. Raises Conflict."""
        block = decision.find_upgrade_block(build, current)
        if block is None:
            return
        raise Conflict(
            f"Version {build.version.text} is not for a client on {current.text}: {block}",
            details={
                "version": build.version.text,
                "current_version": current.text,
                "minimum_version": build.minimum.text if build.minimum else None,
            },
        )

    async def explain(self, application_id: str, query: UpdateQuery, identity: str, *, manual: bool) -> Explanation:
        """Decide as `check` does, and say why.

        Raises:
            NotFound: no such application. Unavailable.
        """
        snapshot = self.snapshot_of(application_id)
        builds = await self._catalog.list_newest_builds(application_id, query.target, MAX_CANDIDATES)
        candidates = trace(snapshot, query, builds, identity, manual=manual)
        cohort = cohort_of(chances_of_check(snapshot, query), identity, manual=manual)
        decided = decision.decide(snapshot, query, cohort)
        because = decision.why_required(snapshot, query, decided, cohort) if isinstance(decided, Offer) else None
        return Explanation(candidates, decided, because)

    async def still_offered(self, connection: Connection, application_id: str) -> set[int]:
        """Return the releases, by id, that some client is offered, as the caller's transaction sees them."""
        return await self._store.list_offered_releases(connection, application_id)

    # -- following changes

    async def _follow(self, topics: set[str]) -> None:
        # Topics that begin with a # are not about applications.
        await self._mirror.follow({each for each in topics if not each.startswith("#")})

    async def _reread(self, topics: Collection[str]) -> None:
        """Read snapshots again, and swap them all at once."""
        everything = EVERYTHING in topics
        fresh = await self._store.load(None if everything else topics)
        before = self._present
        present = {} if everything else {key: value for key, value in before.items() if key not in topics}
        present |= {key: Present(snapshot, self.answers.open_shelf(), FeedSlot()) for key, snapshot in fresh.items()}
        self._present = present
        for key, old in before.items():
            if present.get(key) is not old:
                old.answers.close()
