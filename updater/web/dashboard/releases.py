"""The releases of an application in one grid, and the page of one release."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from aiohttp import web
from marshmallow import Schema, fields

import updater.web.messages.fields as own
from updater.access.principals import Permission
from updater.catalog.model import Build, BuildFile, Page, ReleaseQuery, ReleaseStatus
from updater.catalog.platforms import PLATFORMS
from updater.catalog.release_store import KnownRelease
from updater.feeds.notes import preview
from updater.feeds.registry import feed_statuses
from updater.offers.feed_choice import FeedBuild
from updater.rollouts.model import Rollout, RolloutState
from updater.services import Services
from updater.web.dashboard.history import changes_of
from updater.web.dashboard.page import HTML, PageKit
from updater.web.dashboard.paging import older_and_newer
from updater.web.dashboard.rollout_view import ArmRow, StageRow, arms_of, may_do, stages_of, words_of
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.links import Links

PAGE_ROWS: Final = 50
# Of more builds, the grid names how many there are; the page of the release has all.
_MOST_BUILDS: Final = 4
_HISTORY_ROWS: Final = 20
_DIGEST_CHARACTERS: Final = 10


class GridQuery(Schema):
    """Which releases the grid shows; an empty filter is none."""

    channel = fields.String(load_default="")
    platform = own.OneOf("platform", ("", *PLATFORMS), load_default="")
    state = own.OneOf("state", ("", *(each.value for each in ReleaseStatus)), load_default="")
    offset = own.QueryInteger(0, 10**9, load_default=0)


class Sign(NamedTuple):
    """A badge: its word and its kind."""

    word: str
    kind: str = "plain"


@dataclass(frozen=True, slots=True)
class Cell:
    """A build in the grid."""

    target: str
    digest: str
    shown: str
    size_bytes: int | None
    files: str
    quarantined: bool


@dataclass(frozen=True, slots=True)
class Row:
    """A release in the grid: its state as badges, and the percent of clients it is for, None when nobody or all."""

    version: str
    channel: str
    at: datetime
    signs: tuple[Sign, ...]
    percent: float | None
    cells: tuple[Cell, ...]
    more: int


@dataclass(frozen=True, slots=True)
class ShownBuild:
    """A build on the page of its release, with its files, their addresses, and what feeds do with it."""

    build: Build
    files: tuple[tuple[BuildFile, str], ...]
    feeds: dict[str, str]
    url: str


class Releases:
    """What a browser shows of releases."""

    def __init__(self, kit: PageKit, services: Services, links: Links) -> None:
        self._kit = kit
        self._services = services
        self._links = links

    @endpoint(
        Contract(
            "The releases of an application",
            Permission.WRITE,
            query=GridQuery(),
            answers={200: None},
            failures=(404, 422),
            media_types=HTML,
        )
    )
    async def show_releases(self, request: web.Request, query: dict[str, Any]) -> web.Response:
        """Show a page of releases with their channels, builds, states and rollouts, the newest first."""
        services = self._services
        application = services.offers.get_application(request.match_info["app_id"])
        asked = ReleaseQuery(
            channel=query["channel"] or None,
            platform=query["platform"] or None,
            status=ReleaseStatus(query["state"]) if query["state"] else None,
            page=Page(PAGE_ROWS, query["offset"]),
        )
        found, total = await services.catalog.list_known_releases(application.id, asked)
        rollouts = await services.rollouts.list_by_release(
            {each.id for each, _ in found if not each.complete and each.status is not ReleaseStatus.DRAFT}
        )
        shown = [build for _, builds in found for build in builds[:_MOST_BUILDS]]
        files = await services.catalog.list_files(shown)
        context = {
            "application": application,
            "rows": [_row(each, builds, rollouts.get(each.id), files) for each, builds in found],
            "total": total,
            "query": query,
            "channels": [("", "All"), *((each, each) for each in application.channels)],
            "platforms": [("", "All"), *((each, each) for each in PLATFORMS)],
            "states": [("", "All"), *((each.value, each.value) for each in ReleaseStatus)],
            "filtered": bool(query["channel"] or query["platform"] or query["state"]),
            "way": older_and_newer(request, query["offset"], PAGE_ROWS, total),
        }
        return self._kit.render(request, "releases.html", context)

    @endpoint(Contract("A release", Permission.WRITE, answers={200: None}, failures=(404, 422), media_types=HTML))
    async def show_release(self, request: web.Request) -> web.Response:
        """Show a release: its rollout, what is reported of it, its builds, files, notes and history."""
        services = self._services
        application_id = request.match_info["app_id"]
        application = services.offers.get_application(application_id)
        details = await services.releases.get_details(application_id, request.match_info["version"])
        files = await services.catalog.list_files(details.builds)
        history, _ = await services.catalog.list_history(application_id, details.release.version, Page(_HISTORY_ROWS))
        origin = self._links.download_origin(request)
        stages: list[StageRow] = stages_of(details.rollout)
        arms: list[ArmRow] = arms_of(details.rollout)
        builds = [
            ShownBuild(
                each,
                tuple((file, self._links.file_url(each, file.name, origin)) for file in files.get(each.id, ())),
                feed_statuses(application, FeedBuild(each, tuple(files.get(each.id, ())))),
                self._links.download_url(each, origin),
            )
            for each in details.builds
        ]
        context = {
            "application": application,
            "release": details.release,
            "rollout": details.rollout,
            "follows": words_of(details.rollout),
            "stages": stages,
            "arms": arms,
            "builds": builds,
            "notes": await asyncio.to_thread(_notes, details.builds),
            "history": changes_of(history),
            "steps": may_do(details, is_first=details.release.channel_position == 0),
            "sign": _sign_of(details.release.status),
        }
        return self._kit.render(request, "release.html", context)


def _row(release: KnownRelease, builds: list[Build], rollout: Rollout | None, files: dict[int, list[BuildFile]]) -> Row:
    return Row(
        version=release.version,
        channel=release.channel,
        at=release.published_at or release.created_at,
        signs=_signs(release, rollout),
        percent=None if rollout is None or release.status is not ReleaseStatus.ACTIVE else rollout.hundredths / 100,
        cells=tuple(_cell(each, files.get(each.id, [])) for each in builds[:_MOST_BUILDS]),
        more=max(0, len(builds) - _MOST_BUILDS),
    )


def _signs(release: KnownRelease, rollout: Rollout | None) -> tuple[Sign, ...]:
    if release.status is not ReleaseStatus.ACTIVE:
        return (_sign_of(release.status),)
    if rollout is None or rollout.state is RolloutState.COMPLETE:
        return (Sign("everybody", "good"),)
    signs = [Sign(f"halted on {each}", "bad") for each in rollout.halted]
    if rollout.state is not RolloutState.ACTIVE:
        signs.append(Sign(rollout.state.value, "warn" if rollout.state is RolloutState.PAUSED else "info"))
    elif not signs:
        signs.append(Sign("rolling out", "info"))
    number = rollout.progress.number
    return (*signs, Sign(f"stage {number} of {len(rollout.plan.stages)}")) if number else tuple(signs)


def _sign_of(status: ReleaseStatus) -> Sign:
    kind = {ReleaseStatus.ACTIVE: "good", ReleaseStatus.DRAFT: "info", ReleaseStatus.WITHDRAWN: "bad"}[status]
    return Sign(status.value, kind)


def _cell(build: Build, files: list[BuildFile]) -> Cell:
    digest = build.checksum.value
    signed = sum(bool(each.signatures) for each in files)
    kinds = [] if build.url is None else ["elsewhere"]
    if len(files) > 1:
        kinds.append(f"{len(files)} files")
    if signed:
        kinds.append("signed" if len(files) == 1 else f"{signed} signed")
    return Cell(
        target="/".join(build.target),
        digest=digest,
        shown=digest if len(digest) <= _DIGEST_CHARACTERS else f"{digest[:_DIGEST_CHARACTERS]}…",
        size_bytes=build.size_bytes,
        files=", ".join(kinds),
        quarantined=build.quarantined,
    )


def _notes(builds: tuple[Build, ...]) -> list[tuple[str, str]]:
    """Return the different notes of a release as HTML, each with the targets that have them."""
    found: dict[str, list[str]] = {}
    for each in builds:
        if each.notes.strip():
            found.setdefault(each.notes, []).append("/".join(each.target))
    return [(", ".join(targets), preview(notes)) for notes, targets in found.items()]
