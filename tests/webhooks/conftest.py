"""Services that may reach receivers on loopback, and deliver."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.conftest import Service

ALLOWED = {"allow_private": ["127.0.0.0/8"]}


@pytest.fixture
async def delivering(start_service: Any) -> AsyncIterator[Service]:
    service: Service = await start_service(webhooks=ALLOWED)
    await service.application()
    task = asyncio.create_task(service.services.webhooks.delivery.run())
    try:
        yield service
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
