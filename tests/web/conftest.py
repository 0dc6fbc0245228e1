"""Services whose every answer is held to their OpenAPI document, and a site for those that deploy."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse, web
from sqlalchemy import text

from tests.conftest import Service, StartService
from tests.deployments.site import Site
from tests.web.description import Description
from updater.app import build_app
from updater.services import Services
from updater.settings import Settings
from updater.web.messages.path_keys import split_path
from updater.web.server.at_once import AtOnce

TABLES = ("application", "release", "build", "blob", "report", "pinned_digest")


class DescribedService(Service):
    """A service whose answers are held to the document it serves."""

    description: Description | None = None

    async def exchange(
        self, method: str, path: str, *, key: str | None = None, status: int | None = None, **kwargs: Any
    ) -> tuple[ClientResponse, bytes]:
        response, body = await super().exchange(method, path, key=key, status=status, **kwargs)
        if self.description is not None:
            asked = response.request_info.url.raw_path
            keyed = split_path(asked)  # the document describes what follows a key
            asked = asked if keyed is None or response.status == 404 else keyed[1]
            self.description.hold(method, asked, response.status, response.content_type, body)
        return response, body

    async def stored(self) -> dict[str, int]:
        """Count what is kept: rows, and files of the store."""
        root = Path(self.services.settings.storage.root)
        async with self.services.catalog._database.read() as connection:
            counts = {name: await connection.scalar(text(f"select count(*) from {name}")) or 0 for name in TABLES}
        counts["files"] = sum(
            each.is_file() for folder in ("blobs", "incoming") for each in (root / folder).rglob("*") if each.exists()
        )
        return counts


_described: list[tuple[Settings, Description]] = []


async def describe(services: Services) -> Description:
    """Return the document without a request, which would count against a limit.

    The settings decide all of it but for where the data lies, and writing it takes longer than to start the service:
    services with the same settings share one.
    """
    storage = dataclasses.replace(services.settings.storage, root="", database_url=None)
    settings = dataclasses.replace(services.settings, storage=storage)
    known = next((description for given, description in _described if given == settings), None)
    if known is None:
        routes = build_app(services).router.routes()
        handler: Any = next(each.handler for each in routes if "openapi.json" in str(each.resource))
        known = Description(orjson.loads((await handler(None)).body))
        _described.append((settings, known))
    return known


@pytest.fixture
async def start_service(start_service: StartService) -> AsyncIterator[StartService]:
    async def start(**sections: Any) -> Service:
        plain = await start_service(**sections)
        described = DescribedService(plain.services, plain.session, plain.url)
        described.description = await describe(plain.services)
        return described

    yield start


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[AtOnce]:
    """Return what answers at once, of each service that is started from now on."""
    found: list[AtOnce] = []
    begin = AtOnce.__init__

    def note(self: AtOnce, application: web.Application) -> None:
        found.append(self)
        begin(self, application)

    monkeypatch.setattr(AtOnce, "__init__", note)
    return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a site whose service runs version `one`."""
    site = Site(tmp_path / "site")
    site.start()
    yield site
    site.stop()
