"""System update (document 000) and admin update management (document 001): all routes on one screen. See README.md."""

from __future__ import annotations

from aiohttp import web

import updater.web.system.schemas as schemas
from updater.access.principals import Permission
from updater.deployments.service import DeploymentService
from updater.web.gate.routing import Surface
from updater.web.gate.sessions import ADMIN_REFUSAL, STAFF_REFUSAL, SessionAuthenticator
from updater.web.messages.errors import write_admin, write_system
from updater.web.system.admin import AdminUpdates
from updater.web.system.updates import SystemUpdates


def build(deployments: DeploymentService, sessions: SessionAuthenticator) -> tuple[Surface, Surface]:
    """Return both surfaces, in the order: document 000, document 001. One engine serves both."""
    system, admin = SystemUpdates(deployments), AdminUpdates(deployments)
    system_routes = (
        web.get("/api/system/update/check", system.check_updates),
        web.post("/api/system/update/execute", system.execute_update),
    )
    admin_routes = (
        web.post("/admin/update/", admin.update_server),
        web.get("/admin/status/", admin.get_status),
    )
    return (
        Surface(
            "system",
            "/api/system/update",
            system_routes,
            (sessions.alone(ADMIN_REFUSAL),),
            write_system,
            level=Permission.ADMIN,
            error=schemas.SystemErrorAnswer(),
        ),
        Surface(
            "admin",
            ("/admin/update", "/admin/status"),
            admin_routes,
            (sessions.alone(STAFF_REFUSAL),),
            write_admin,
            level=Permission.ADMIN,
            error=schemas.AdminErrorAnswer(),
        ),
    )
