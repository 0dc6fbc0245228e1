"""Uploads that resume, by tus 1.0.0, at `/api/v1/uploads`: all routes on one screen. See README.md beside this file."""

from __future__ import annotations

from aiohttp import web

from updater.services import Services
from updater.web.gate.credentials import bearer_keys
from updater.web.gate.metrics import Metrics
from updater.web.gate.routing import Surface
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.links import Links
from updater.web.transfer.uploads import delay_continue
from updater.web.tus.protocol import write_tus
from updater.web.tus.uploads import PREFIX, Uploads


def build(services: Services, links: Links, metrics: Metrics, sessions: SessionAuthenticator) -> Surface:
    """Assemble the surface."""
    uploads = Uploads(services, links, metrics)
    one = f"{PREFIX}/{{upload_id}}"
    routes = (
        web.options(PREFIX, uploads.get_options),
        web.options(one, uploads.get_options),
        web.get(PREFIX, uploads.list_uploads, allow_head=False),
        web.post(PREFIX, uploads.create_upload, expect_handler=delay_continue),
        web.patch(one, uploads.append_piece, expect_handler=delay_continue),
        web.head(one, uploads.get_offset),
        web.get(one, uploads.get_upload, allow_head=False),
        web.delete(one, uploads.delete_upload),
    )
    authenticators = (bearer_keys(services.access), sessions.beside_keys())
    return Surface("tus", PREFIX, routes, authenticators, write_tus)
