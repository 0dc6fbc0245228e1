"""Every route while PostgreSQL is away: an answer in words and in time, never an internal error."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers.postgres import Postgres
from tests.web.test_access_matrix import SETTINGS, ask, create, credentials, routes_of
from updater.app import build_app

ANSWERS_WITHIN_S = 5
# One for each kind of credential.
KINDS = ("none", "admin", "x-admin", "jwt-1", "s-admin")


@pytest.fixture
def database_url(postgres: Postgres) -> str:
    return postgres.create_migrated()


async def test_no_route_fails_without_its_database(start_service: Callable[..., Any], postgres: Postgres) -> None:
    service = await start_service(**SETTINGS)
    if "my-app" not in service.services.offers.application_ids():
        await create(service)
    presented = await credentials(service)
    # Made once, which takes seconds where all is busy.
    await ask(service, "GET", "/api/v1/openapi.json", presented["none"])
    statuses = {}
    postgres.stop()
    try:
        for path, methods in routes_of(build_app(service.services)).items():
            for method in methods:
                for kind in KINDS:
                    async with asyncio.timeout(ANSWERS_WITHIN_S):
                        answer = await ask(service, method, path, presented[kind])
                    statuses[method, path, kind] = answer.status
    finally:
        postgres.start()
    assert {each for each in statuses.values() if each >= 500} == {503}
