"""System update (document 000) and admin update management (document 001): all routes on one screen. See README.md."""

from __future__ import annotations

import orjson
from aiohttp import web

import updater.web.system.schemas as schemas
from updater.access.principals import Permission, Principal
from updater.deployments.service import DeploymentService
from updater.web.gate.routing import Contract, Surface
from updater.web.gate.sessions import SessionAuthenticator
from updater.web.messages.errors import Answer
from updater.web.system.admin import AdminUpdates
from updater.web.system.updates import SystemUpdates

ADMIN_REFUSAL, STAFF_REFUSAL = "Admin access required", "Staff access required"


def build(deployments: DeploymentService, sessions: SessionAuthenticator) -> tuple[Surface, Surface]:
    """Assemble both surfaces: two doors to one engine."""
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
        session_surface("system", "/api/system/update", system_routes, sessions, ADMIN_REFUSAL),
        session_surface("admin", ("/admin/update", "/admin/status"), admin_routes, sessions, STAFF_REFUSAL),
    )


def session_surface(
    name: str,
    prefix: str | tuple[str, ...],
    routes: tuple[web.RouteDef, ...],
    sessions: SessionAuthenticator,
    refusal: str,
) -> Surface:
    """Return a surface that signs in by cookie and says no in the words and the shape of its document."""

    def authorize(request: web.Request, principal: Principal | None, contract: Contract) -> None:
        sessions.require(request, principal, contract.level or Permission.ADMIN, refusal)

    is_system = refusal == ADMIN_REFUSAL
    return Surface(
        name,
        prefix,
        routes,
        sessions.credential,
        write_system if is_system else write_admin,
        identify=sessions.identify,
        authorize=authorize,
        scheme="session",
        error=schemas.SystemErrorAnswer() if is_system else schemas.AdminErrorAnswer(),
    )


def write_system(answer: Answer, request_id: str) -> web.Response:
    """Render document 000's flat error."""
    return _json(answer, {"error": answer.message})


def write_admin(answer: Answer, request_id: str) -> web.Response:
    """Render document 001's error; `step` names the one that failed."""
    return _json(answer, {"success": False, "error": answer.message, "step": answer.details.get("step")})


def _json(answer: Answer, body: dict[str, object]) -> web.Response:
    return web.Response(
        status=answer.status, body=orjson.dumps(body), content_type="application/json", headers=answer.headers
    )
