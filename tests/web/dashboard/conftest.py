"""What tests of pages share: an application with people at their desks, and a browser for a file of tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import ClientSession
from playwright.sync_api import Browser

from tests.web.dashboard.shop import Desk, open_shop
from tests.web.dashboard.shown import running_chromium
from tests.web.people import cookie_of


@pytest.fixture
async def shop(start_service: Any) -> Any:
    """Return a service with `my-app` and its channels."""
    service = await start_service()
    await open_shop(service)
    return service


@pytest.fixture
async def admin(shop: Any) -> AsyncIterator[Desk]:
    """Return the desk of a signed-in person with this role."""
    async with ClientSession(headers=await cookie_of(shop, "admin")) as session:
        yield Desk(shop.url, session)


@pytest.fixture
async def staff(shop: Any) -> AsyncIterator[Desk]:
    """Return the desk of a signed-in person with this role."""
    async with ClientSession(headers=await cookie_of(shop, "staff")) as session:
        yield Desk(shop.url, session)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Return a browser for a file of tests."""
    with running_chromium() as browser:
        yield browser
