"""All routes of both surfaces on one screen. One engine serves both."""

from __future__ import annotations

from aiohttp import web

from updater.deployments.service import DeploymentService
from updater.web.gate.late import Routes
from updater.web.system.admin import AdminUpdates
from updater.web.system.updates import SystemUpdates


def make_system_routes(deployments: DeploymentService) -> Routes:
    """Return the routes of document 000."""
    system = SystemUpdates(deployments)
    return (
        web.get("/api/system/update/check", system.check_updates),
        web.post("/api/system/update/execute", system.execute_update),
    )


def make_admin_routes(deployments: DeploymentService) -> Routes:
    """Return the routes of document 001."""
    admin = AdminUpdates(deployments)
    return (
        web.post("/admin/update/", admin.update_server),
        web.get("/admin/status/", admin.get_status),
    )
