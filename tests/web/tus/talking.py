"""Requests of tus 1.0.0, as a client of the protocol sends them."""

from __future__ import annotations

import base64
from typing import Any

from aiohttp import ClientResponse

from tests.conftest import Service

UPLOADS = "/api/v1/uploads"
PIECE = "application/offset+octet-stream"
TUS = {"Tus-Resumable": "1.0.0"}
BUILD = {"application_id": "my-app", "version": "1.0.0", "platform": "linux", "architecture": "amd64"}


def metadata(**said: str) -> str:
    """Write Upload-Metadata."""
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in said.items())


async def begin(service: Service, length: int, *, status: int = 201, key: str = "write", **said: str) -> Any:
    """Begin an upload of a build; return its address, or the body of a refusal."""
    headers = {**TUS, "Upload-Length": str(length), "Upload-Metadata": metadata(**{**BUILD, **said})}
    response, _ = await service.exchange("POST", UPLOADS, key=key, headers=headers, status=status)
    return response.headers["Location"] if status == 201 else await response.json()


async def send(
    service: Service, url: str, offset: int, data: Any, *, status: int = 204, key: str = "write", **headers: str
) -> ClientResponse:
    """Send a piece."""
    given = {**TUS, "Content-Type": PIECE, "Upload-Offset": str(offset), **headers}
    response, _ = await service.exchange("PATCH", url, key=key, headers=given, data=data, status=status)
    return response


async def offset_of(service: Service, url: str, *, key: str = "write", status: int = 200) -> int:
    """Ask how far an upload is; -1 where there is no answer to that."""
    response, _ = await service.exchange("HEAD", url, key=key, headers=TUS, status=status)
    return int(response.headers.get("Upload-Offset", "-1"))
