"""A service with an application that has channels, and another one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.actors import TESTER
from tests.conftest import Service, StartService


@pytest.fixture
async def feeds(start_service: StartService) -> Service:
    """Return a service with `my-app` on channels stable, beta and nightly, and `other`."""
    started = await start_service()
    extra: dict[str, Any] = {"channels": ("stable", "beta", "nightly")}
    await started.services.catalog.create_application(
        "my-app", name="My App", platforms=("linux", "windows", "darwin"), extra=extra, actor=TESTER
    )
    await started.services.catalog.create_application(
        "other", name="Other", platforms=("linux",), extra={}, actor=TESTER
    )
    return started
