"""System update (document 000) and admin update management (document 001). See README.md."""

from __future__ import annotations

import updater.web.system.schemas as schemas
from updater.access.principals import Permission
from updater.deployments.service import DeploymentService
from updater.web.gate.late import Late, Routes
from updater.web.gate.routing import Surface
from updater.web.gate.sessions import ADMIN_REFUSAL, STAFF_REFUSAL, SessionAuthenticator
from updater.web.messages.errors import write_admin, write_system


def build(deployments: DeploymentService, sessions: SessionAuthenticator) -> tuple[Surface, Surface]:
    """Return both surfaces, in the order: document 000, document 001. One engine serves both."""

    def system_routes() -> Routes:
        from updater.web.system.routes import make_system_routes

        return make_system_routes(deployments)

    def admin_routes() -> Routes:
        from updater.web.system.routes import make_admin_routes

        return make_admin_routes(deployments)

    return (
        Surface(
            "system",
            "/api/system/update",
            (),
            (sessions.alone(ADMIN_REFUSAL),),
            write_system,
            level=Permission.ADMIN,
            error=schemas.SystemErrorAnswer(),
            late=Late(system_routes),
        ),
        Surface(
            "admin",
            ("/admin/update", "/admin/status"),
            (),
            (sessions.alone(STAFF_REFUSAL),),
            write_admin,
            level=Permission.ADMIN,
            error=schemas.AdminErrorAnswer(),
            late=Late(admin_routes),
        ),
    )
