"""The figures of an application: charts, their tables, and CSV files of both."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import web

from updater.access.principals import Permission
from updater.errors import Failure, NotFound
from updater.offers.service import OfferService
from updater.telemetry.figure_tables import TABLES, Table, table_of
from updater.telemetry.figures import Figures as Values
from updater.telemetry.recent import PAGE_S, RecentFigures
from updater.telemetry.spans import BUCKETS, RANGE_BUCKETS, RANGE_DAYS
from updater.web.dashboard.charts import CHARTS, HALF, NARROW, WIDE, describe, draw, is_empty
from updater.web.dashboard.drawing import STYLE_SOURCE
from updater.web.dashboard.page import HTML, PageKit, Problem
from updater.web.dashboard.policy import page_headers
from updater.web.gate.routing import Contract, endpoint

SVG: Final = "image/svg+xml"
# An image may have our one style, by its hash; in a frame or a tab of its own it may do nothing.
_IMAGE_POLICY: Final = f"default-src 'none'; style-src {STYLE_SOURCE}; frame-ancestors 'none'; sandbox"
# Of a table over time the page has the newest rows; all of them have a page of their own.
_ROWS_SHOWN: Final = 31
_DEFAULT_RANGE: Final = "month"
_SIZES: Final = {"narrow": NARROW, "half": HALF}


class Figures:
    """What a browser shows of figures."""

    def __init__(self, kit: PageKit, offers: OfferService, recent: RecentFigures) -> None:
        self._kit = kit
        self._offers = offers
        self._recent = recent

    @endpoint(Contract("Figures", Permission.WRITE, answers={200: None}, failures=(404, 422), media_types=HTML))
    async def show_figures(self, request: web.Request) -> web.Response:
        """Show all charts of a range, each with its table. Raises NotFound."""
        application = self._offers.get_application(request.match_info["app_id"])
        span, bucket = _asked(request)
        context: dict[str, Any] = {"application": application, "span": span, "bucket": bucket, **_CHOICES}
        try:
            window, figures = await self._recent.get(application.id, span, bucket, max_age_s=PAGE_S)
        except Failure as failure:
            problem = Problem.of(failure)
            return self._kit.render(
                request, "figures.html", {**context, "figures": None, "problem": problem}, status=problem.status
            )
        views = await asyncio.to_thread(_views, figures, application.id, span, bucket)
        return self._kit.render(
            request, "figures.html", {**context, "figures": figures, "window": window, "views": views}
        )

    @endpoint(
        Contract("A table of figures", Permission.WRITE, answers={200: None}, failures=(404, 422), media_types=HTML)
    )
    async def show_table(self, request: web.Request) -> web.Response:
        """Show all rows of one table. Raises NotFound, Invalid, Unavailable."""
        application = self._offers.get_application(request.match_info["app_id"])
        name = _known(request.match_info["name"], TABLES)
        span, bucket = _asked(request)
        _, figures = await self._recent.get(application.id, span, bucket, max_age_s=PAGE_S)
        table = table_of(figures, name)
        context = {"view": _view(table, application.id, span, bucket, rows=None), "span": span, "bucket": bucket}
        return self._kit.render(request, "figures_table.html", context)

    @endpoint(Contract("A chart", Permission.WRITE, answers={200: None}, failures=(404, 422), media_types=(SVG,)))
    async def get_chart(self, request: web.Request) -> web.Response:
        """Return one chart as an image. Raises NotFound, Invalid, Unavailable."""
        application = self._offers.get_application(request.match_info["app_id"])
        name = _known(request.match_info["name"], CHARTS)
        _, figures = await self._recent.get(application.id, *_asked(request))
        size = _SIZES.get(request.query.get("width", ""), WIDE)
        # A year of days takes some ten milliseconds.
        drawn = await asyncio.to_thread(lambda: draw(table_of(figures, name), size))
        headers = {**page_headers(), "Content-Security-Policy": _IMAGE_POLICY}
        return web.Response(body=drawn, content_type=SVG, headers=headers)


_CHOICES: Final = {
    "ranges": tuple((each, f"1 {each}") for each in RANGE_DAYS),
    "buckets": tuple((each, f"by the {each}") for each in BUCKETS),
}


def _asked(request: web.Request) -> tuple[str, str]:
    """Return the range and the bucket that a query asks for; what is no such word counts as left out."""
    span = request.query.get("range", "")
    span = span if span in RANGE_DAYS else _DEFAULT_RANGE
    bucket = request.query.get("bucket", "")
    return span, bucket if bucket in BUCKETS else RANGE_BUCKETS[span].value


def _known(name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        raise NotFound("figures", "There is no such table of figures")
    return name


def _views(figures: Values, application_id: str, span: str, bucket: str) -> dict[str, dict[str, Any]]:
    return {name: _view(table_of(figures, name), application_id, span, bucket, rows=_ROWS_SHOWN) for name in TABLES}


def _view(table: Table, application_id: str, span: str, bucket: str, *, rows: int | None) -> dict[str, Any]:
    """Return what a template shows of a table; over time, the newest rows come first."""
    asked = urlencode({"range": span, "bucket": bucket})
    ordered = table.rows[::-1] if table.columns[0] == "at" else table.rows
    pages = f"/admin/applications/{application_id}"
    return {
        "name": table.name,
        "title": table.title,
        "columns": table.columns,
        "rows": ordered[:rows],
        "total": len(table.rows),
        "empty": is_empty(table),
        "alt": describe(table),
        "picture": f"{pages}/charts/{table.name}.svg?{asked}",
        "all": f"{pages}/figures/{table.name}/?{asked}",
        "csv": f"/api/v1/applications/{application_id}/figures?{asked}&format=csv&table={table.name}",
    }
