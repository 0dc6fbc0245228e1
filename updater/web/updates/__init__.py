"""The updates interface of document 003 at `/api`: all routes on one screen. See README.md beside this file."""

from __future__ import annotations

from aiohttp import hdrs, web

from updater.access.principals import Permission, Principal
from updater.errors import Forbidden, Unauthenticated
from updater.services import Services
from updater.web.gate.credentials import bearer
from updater.web.gate.routing import Authenticator, Surface
from updater.web.messages.errors import write_api_as_400
from updater.web.messages.numbers import number_in_path
from updater.web.updates.tasks import Tasks
from updater.web.updates.updates import Updates

PREFIX = "/api/"
# A user's tasks lie beside the other interfaces below /api, whose names are no user's id.
_USER = "{user_id:(?!(?:v1|updates|system)/)[^/]+}"


def build(services: Services) -> Surface:
    """Assemble the surface."""
    updates, tasks = Updates(services.deployments), Tasks(services.tasks)
    routes = (
        web.get("/api/updates", updates.list_updates),
        web.get("/api/updates/{id}", updates.get_update),
        web.post("/api/updates/{id}/apply", updates.apply_update),
        web.post("/api/updates/{id}/rollback", updates.roll_back_update),
        web.get("/api/updates/{update_id}/logs", updates.list_logs),
        web.get(f"/api/{_USER}/tasks", tasks.list_tasks),
        web.post(f"/api/{_USER}/tasks", tasks.create_task),
        web.get(f"/api/{_USER}/tasks/{{id}}", tasks.get_task),
        web.put(f"/api/{_USER}/tasks/{{id}}", tasks.change_task),
        web.delete(f"/api/{_USER}/tasks/{{id}}", tasks.delete_task),
        web.patch(f"/api/{_USER}/tasks/{{id}}/complete", tasks.toggle_task),
    )

    def identify(presented: str | None) -> Principal | None:
        return None if presented is None else services.tokens.identify(presented)

    tokens = Authenticator("token", bearer, _authorize, identify=identify, header=hdrs.AUTHORIZATION)
    return Surface("updates", PREFIX, routes, (tokens,), write_api_as_400)


def _authorize(request: web.Request, principal: Principal | None, level: Permission, _: str | None) -> None:
    if principal is None:
        raise Unauthenticated("A valid token is required")
    if principal.level < level:
        raise Forbidden("This needs a token whose claims allow deployments")
    if "user_id" in request.match_info and number_in_path(request, "user_id") != principal.user_id:
        raise Forbidden("The token is for another user")
