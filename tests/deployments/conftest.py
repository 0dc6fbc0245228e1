from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.actors import audit_of
from tests.databases import place_database
from tests.deployments.site import Site
from updater.config import load
from updater.database.opening import open_database
from updater.deployments.model import RunState
from updater.deployments.service import DeploymentService
from updater.deployments.store import DeploymentStore

OpenService = Callable[..., Awaitable[DeploymentService]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a site whose service runs version `one`."""
    site = Site(tmp_path / "site")
    site.start()
    yield site
    site.stop()


@pytest.fixture
async def open_service(site: Site, tmp_path: Path, database_url: str | None) -> AsyncIterator[OpenService]:
    """Return a function that opens the deployments of one data folder; `stop` one before opening the next."""
    async with AsyncExitStack() as stack:

        async def start(recover: bool = True, **record: Any) -> DeploymentService:
            settings = load(None, {"UPDATER_DEPLOYMENTS": json.dumps([site.record(**record)])})
            root = tmp_path / "data"
            root.mkdir(exist_ok=True)
            if database_url is None:
                place_database(root)
            database = await stack.enter_async_context(open_database(database_url, root))
            service = DeploymentService(settings.deployments, root, DeploymentStore(database, audit_of(database)))
            stack.push_async_callback(service.runs.stop)
            await service.runs.start()
            if recover:
                await service.runs.recover()
            return service

        yield start


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Give a file system of 3 MB."""
    place = tmp_path / "small"
    place.mkdir()
    words = ("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place))
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(("umount", "--lazy", str(place)), check=True)


async def finish(service: DeploymentService, run: str) -> RunState:
    """Wait for a run's end."""
    state = await service.runs.wait(run)
    assert state is not None
    assert state.finished, state
    return state
