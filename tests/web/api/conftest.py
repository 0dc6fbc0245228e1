"""What was logged meanwhile."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from tests.conftest import StartService
from updater.logs import PROCESSORS


@pytest.fixture
def log_lines() -> Iterator[io.BytesIO]:
    """Give what is logged meanwhile, rendered as in production."""
    lines = io.BytesIO()
    structlog.configure(processors=list(PROCESSORS), logger_factory=structlog.BytesLoggerFactory(file=lines))
    yield lines
    structlog.reset_defaults()


@pytest.fixture
async def logged_service(start_service: StartService, log_lines: io.BytesIO) -> Any:
    """Return a service with `my-app` and its access log switched on."""
    started = await start_service(logging={"access": True})
    await started.application()
    return started
