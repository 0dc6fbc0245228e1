"""All routes of the surface on one screen."""

from __future__ import annotations

from aiohttp import web

from updater.services import Services
from updater.web.gate.late import Routes
from updater.web.gate.metrics import Metrics
from updater.web.messages.links import Links
from updater.web.transfer.uploads import delay_continue
from updater.web.tus.protocol import PREFIX
from updater.web.tus.uploads import Uploads


def make_routes(services: Services, links: Links, metrics: Metrics) -> Routes:
    """Return the routes."""
    uploads = Uploads(services, links, metrics)
    one = f"{PREFIX}/{{upload_id}}"
    return (
        web.options(PREFIX, uploads.get_options),
        web.options(one, uploads.get_options),
        web.get(PREFIX, uploads.list_uploads, allow_head=False),
        web.post(PREFIX, uploads.create_upload, expect_handler=delay_continue),
        web.patch(one, uploads.append_piece, expect_handler=delay_continue),
        web.head(one, uploads.get_offset),
        web.get(one, uploads.get_upload, allow_head=False),
        web.delete(one, uploads.delete_upload),
    )
