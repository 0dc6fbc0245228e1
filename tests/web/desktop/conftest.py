"""A service with one mounted desktop API, and calls on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientResponse, FormData

from tests.conftest import KEYS, Service, StartService

PREFIX = "/wp-json/bkgt/v1/updates"
SUFFIXES = {"win32-x64": ".exe", "darwin-x64": ".dmg", "darwin-arm64": ".dmg", "linux-x64": ".AppImage"}
PLATFORMS = tuple(SUFFIXES)


def form(content: bytes | None = b"bytes", file_name: str = "setup.exe", **fields: str) -> FormData:
    """Return an upload form of text fields and, unless None, the file behind them."""
    made = FormData(default_to_multipart=True)
    for name, value in fields.items():
        made.add_field(name, value)
    if content is not None:
        made.add_field("file", content, filename=file_name, content_type="application/octet-stream")
    return made


@dataclass
class Desktop:
    """A mounted desktop API. `key` is a level or a key's text, by default the level a call needs."""

    service: Service
    prefix: str = PREFIX

    async def exchange(
        self, method: str, path: str, *, key: str | None = "read", status: int | None = None, **kwargs: Any
    ) -> tuple[ClientResponse, bytes]:
        headers = dict(kwargs.pop("headers", {}))
        if key is not None:
            headers["X-API-Key"] = KEYS.get(key, key)
        return await self.service.exchange(method, self.prefix + path, status=status, headers=headers, **kwargs)

    async def call(self, method: str, path: str, **kwargs: Any) -> Any:
        response, body = await self.exchange(method, path, **kwargs)
        return await response.json() if body else None

    async def upload(
        self, version: str, platform: str = "win32-x64", content: bytes | None = None, *, status: int = 201, **more: str
    ) -> Any:
        sent = f"{version} {platform}".encode() if content is None else content
        name = f"My Setup{SUFFIXES.get(platform, '.bin')}"
        data = form(sent, name, version=version, platform=platform, **more)
        return await self.call("POST", "/upload", key="admin", data=data, status=status)

    async def latest(self, agent: str | None = None, *, status: int = 200, **query: str) -> Any:
        headers = {"User-Agent": f"BKGT-Manager/{agent} (win32-x64)"} if agent else {}
        return await self.call("GET", "/latest", params=query, headers=headers, status=status)

    async def compatibility(self, version: str, *, status: int = 200, **query: str) -> Any:
        return await self.call("GET", f"/compatibility/{version}", params=query, status=status)

    async def download(self, version: str, platform: str = "win32-x64", **kwargs: Any) -> tuple[ClientResponse, bytes]:
        return await self.exchange("GET", f"/download/{version}/{platform}", **kwargs)

    async def deactivate(self, version: str) -> Any:
        return await self.call("DELETE", f"/{version}", key="admin", status=200)

    async def listed(self, **query: str) -> Any:
        return await self.call("GET", "/admin/list", key="admin", params=query, status=200)

    async def blobs(self) -> set[str]:
        return {info.digest async for info in self.service.services.artifacts.blobs.scan()}


@pytest.fixture
async def desktop(start_service: StartService) -> Desktop:
    """Return the desktop API of a service with nothing but its settings."""
    return Desktop(await start_service(desktop=[{}]))
