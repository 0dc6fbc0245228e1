"""The first page of those who run the service: what needs attention, each application, and the service itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web

from updater.access.principals import EVERYBODY, Permission
from updater.overview.model import ApplicationState
from updater.overview.service import OverviewService
from updater.web.dashboard.page import HTML, OVERVIEW, PageKit
from updater.web.dashboard.templates import percent
from updater.web.gate.context import CONTEXT
from updater.web.gate.routing import Contract, endpoint
from updater.web.messages.pages import page_of

# Few applications have a card each, many a row of a table.
_FEW: Final = 12
_ON_A_PAGE: Final = 50
# A page that is asked for again tells what was known a few seconds ago, rather than wait.
_WAIT_S: Final = 0.015
_WIDTH, _HEIGHT = 120.0, 28.0
_BADGES: Final = {"problem": "bad", "warning": "warn", "note": "info"}


class Overview:
    """What a browser shows first."""

    def __init__(self, kit: PageKit, overview: OverviewService) -> None:
        self._kit = kit
        self._overview = overview

    @endpoint(Contract("The overview", Permission.WRITE, answers={200: None}, failures=(503,), media_types=HTML))
    async def show_overview(self, request: web.Request) -> web.Response:
        """Show what needs attention, and how applications and the service do. Raises Unavailable."""
        principal = request[CONTEXT].principal or EVERYBODY
        number = _page_of(request)
        applications, total = await self._overview.list_applications(limit=_ON_A_PAGE, offset=(number - 1) * _ON_A_PAGE)
        attention = await self._overview.attention.list_items(
            is_admin=principal.level >= Permission.ADMIN, wait_s=_WAIT_S
        )
        context = {
            "items": [
                {"item": each, "badge": _BADGES[each.severity.word], "page": page_of(each)} for each in attention.items
            ],
            "waiting": attention.waiting,
            "applications": [{"state": each, **_spark(each)} for each in applications],
            "total": total,
            "few": total < _FEW,
            "service": await self._overview.get_service(),
            "newer": f"{OVERVIEW}?page={number - 1}" if number > 1 else "",
            "older": f"{OVERVIEW}?page={number + 1}" if number * _ON_A_PAGE < total else "",
        }
        return self._kit.render(request, "overview.html", context)


def _page_of(request: web.Request) -> int:
    text = request.query.get("page", "")
    return max(1, int(text)) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def _spark(state: ApplicationState) -> dict[str, Any]:
    """Return the lines of a small chart, as points, and what it says: who has the newest release."""
    shares = state.adoption
    known = [share for share in shares if share is not None]
    newest = state.channels[0].version if state.channels else None
    if not known or newest is None:
        return {"lines": (), "dots": (), "says": "", "share": None}
    says = f"{percent(known[-1])} of update checks come from {newest}; {percent(known[0])} did {len(shares)} days ago"
    runs = _runs(shares)
    return {
        "lines": [" ".join(f"{x:.1f},{y:.1f}" for x, y in run) for run in runs if len(run) > 1],
        "dots": [run[0] for run in runs if len(run) == 1],
        "says": says,
        "share": known[-1],
    }


def _runs(shares: Sequence[float | None]) -> list[list[tuple[float, float]]]:
    """Return the points of days with checks, in runs without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for day, share in enumerate(shares):
        if share is None:
            runs.append([])
        else:
            runs[-1].append((2 + day * (_WIDTH - 4) / max(len(shares) - 1, 1), _HEIGHT - 2 - share * (_HEIGHT - 4)))
    return [run for run in runs if run]
