"""All routes of the surface on one screen."""

from __future__ import annotations

from aiohttp import web

from updater.services import Services
from updater.web.gate.late import Routes
from updater.web.updates.tasks import Tasks
from updater.web.updates.updates import Updates

# A user's tasks lie beside the other interfaces below /api, whose names are no user's id.
_USER = "{user_id:(?!(?:v1|updates|system)/)[^/]+}"


def make_routes(services: Services) -> Routes:
    """Return the routes."""
    updates, tasks = Updates(services.deployments), Tasks(services.tasks)
    return (
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
