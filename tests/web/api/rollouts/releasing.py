"""What the tests of rollouts do again and again, over HTTP."""

from __future__ import annotations

from typing import Any

LINUX = {"platform": "linux", "architecture": "amd64"}
UPDATES = "/api/v1/updates/my-app"
WATCHED = {"per_address": 1_000, "min_addresses": 1}
"""Halt rules under which the reports of one address count."""


async def release(service: Any, version: str, *, status: int = 201, **more: Any) -> Any:
    """Register an external release for linux/amd64, or as given."""
    body = {
        "application_id": "my-app",
        "version": version,
        **LINUX,
        "download_url": f"https://releases.example.com/{version}",
        "checksum": "ab" * 32,
        "checksum_type": "sha256",
        **more,
    }
    return await service.call("POST", f"{UPDATES}/register", key="write", json=body, status=status)


async def check(service: Any, current: str = "0.1.0", *, status: int = 200, **query: Any) -> Any:
    """Ask for an update."""
    asked = {"current_version": current, **LINUX, **query}
    return await service.call("GET", f"{UPDATES}/check", params=asked, status=status)


async def offered(service: Any, current: str = "0.1.0", **query: Any) -> str | None:
    """Return the version that a client is offered."""
    version: str | None = (await check(service, current, **query)).get("latest_version")
    return version


async def move(
    service: Any, version: str, verb: str, body: Any = None, *, status: int = 200, key: str = "write"
) -> Any:
    """Promote, withdraw or restore; pause, resume or complete as `rollout/pause` and so on."""
    more = {} if body is None else {"json": body}
    return await service.call("POST", f"{UPDATES}/releases/{version}/{verb}", key=key, status=status, **more)


async def put(service: Any, version: str, plan: dict[str, Any], *, status: int = 200) -> Any:
    """Set the plan of a release."""
    return await service.call("PUT", f"{UPDATES}/releases/{version}/rollout", key="write", json=plan, status=status)


async def shown(service: Any, version: str, *, status: int = 200) -> Any:
    """Return the rollout of a release."""
    return await service.call("GET", f"{UPDATES}/releases/{version}/rollout", key="read", status=status)


async def report(service: Any, version: str, outcome: str = "completed", *, status: int = 200, **more: Any) -> Any:
    """Report an install."""
    headers = more.pop("headers", {})
    body = {"current_version": "0.1.0", "target_version": version, **LINUX, "status": outcome, **more}
    return await service.call("POST", f"{UPDATES}/status", json=body, headers=headers, status=status)


async def history(service: Any, **query: Any) -> list[Any]:
    """Return the entries of the history, oldest first."""
    page = await service.call("GET", f"{UPDATES}/history", key="read", params=query, status=200)
    return list(reversed(page["entries"]))


async def actions(service: Any, **query: Any) -> list[str]:
    """Return the actions of the history, oldest first."""
    return [each["action"] for each in await history(service, **query)]
