"""Applications with channels."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import StartService


@pytest.fixture
async def staged(start_service: StartService) -> Any:
    """Return a service with `my-app` on channels stable, beta and nightly, that believes a proxy's addresses."""
    started = await start_service(server={"trusted_proxies": ["127.0.0.0/8"]})
    await started.application(channels=["stable", "beta", "nightly"])
    return started
