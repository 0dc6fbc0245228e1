"""Signed-in users, for tests of endpoints that ask for a session; and a service that manages a site."""

from __future__ import annotations

from typing import Any

from tests.actors import TESTER
from tests.conftest import Service
from tests.deployments.site import Site

PASSWORD = "correct horse battery"


async def session_of(service: Service, role: str, name: str = "") -> str:
    """Add a user and return the id of a session."""
    made = await service.services.people.create_user(name or f"{role}-person", role, PASSWORD, actor=TESTER)
    return (await service.services.people.open_script_session(made.name, 60, actor=TESTER))[0]


async def cookie_of(service: Service, role: str, name: str = "") -> dict[str, str]:
    """Add a user and return the header that a script with a session sends."""
    return {"Cookie": f"sessionid={await session_of(service, role, name)}"}


async def start_with(start_service: Any, site: Site, record: dict[str, Any] | None = None, **sections: Any) -> Service:
    """Start a service whose one deployment is this site."""
    service: Service = await start_service(deployments=[site.record(**(record or {}))], **sections)
    return service
