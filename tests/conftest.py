"""What all tests share: a real service on a free port, with its database and store in a temporary folder."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from aiohttp import ClientResponse, ClientSession, web
from aiohttp.test_utils import BaseTestServer
from hypothesis import HealthCheck
from hypothesis import settings as examples
from multidict import CIMultiDict

from tests.databases import place_database
from tests.quick import be_quick, pytest_collection_finish  # noqa: F401 - a hook
from tests.scheduling import pytest_runtest_protocol, pytest_xdist_make_scheduler, rank_of  # noqa: F401 - hooks
from tests.servers.azurite import azurite  # noqa: F401 - a fixture
from tests.servers.buckets import buckets  # noqa: F401 - a fixture
from tests.servers.ceph import ceph  # noqa: F401 - a fixture
from tests.servers.postgres import Postgres, run_postgres
from updater.access.limits import open_limits
from updater.app import build_app, make_runner
from updater.composition import open_services
from updater.config import load
from updater.processes.folder import claim_folder
from updater.services import Services
from updater.settings import Settings
from updater_client import NewApplication, NewBuild, RetryPolicy, Target, UpdateClient

be_quick()
# A script that starts the tests in its background ignores Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# Time tells nothing about an example: machines are busy. Where CI is set, hypothesis draws the same ones each time.
examples.register_profile(
    "any machine",
    examples.get_profile(examples.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
examples.load_profile("any machine")
# Which database the services of tests have: SQLite, or PostgreSQL where TEST_DATABASE says so.
DATABASE = os.environ.get("TEST_DATABASE", "sqlite")
LONG_TIMEOUT_S = 7200
LINUX = Target("linux", "amd64")
QUICK = RetryPolicy(attempts=4, first_delay_s=0.01, longest_delay_s=0.02)
KEYS = {"read": "reader-key-0123456789", "write": "writer-key-0123456789", "admin": "admin-key-0123456789"}


class OwnServer(BaseTestServer):
    """The test server of aiohttp around our own runner, with the limits it has in production."""

    def __init__(self, runner: web.AppRunner, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._own_runner = runner

    async def _make_runner(self, **kwargs: Any) -> web.AppRunner:
        return self._own_runner


@dataclass
class Service:
    """A running service and a client for it."""

    services: Services
    session: ClientSession
    url: str

    async def call(
        self, method: str, path: str, *, key: str | None = None, status: int | None = None, **kwargs: Any
    ) -> Any:
        """Send one request; return the JSON body (None when empty). `key` is a level or a key's text."""
        response, body = await self.exchange(method, path, key=key, status=status, **kwargs)
        return await response.json() if body else None

    async def exchange(
        self, method: str, path: str, *, key: str | None = None, status: int | None = None, **kwargs: Any
    ) -> tuple[ClientResponse, bytes]:
        """Send one request; return the answer and its body."""
        headers = CIMultiDict(kwargs.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {KEYS.get(key, key)}"
        async with self.session.request(
            method, self.url + path, headers=headers, allow_redirects=False, **kwargs
        ) as response:
            body = await response.read()
            if status is not None:
                assert response.status == status, f"{method} {path}: {response.status} {body[:500]!r}"
            return response, body

    async def application(self, application_id: str = "my-app", **more: Any) -> None:
        """Create an application."""
        given = {"id": application_id, "name": "My App", "platforms": ["windows", "linux", "darwin"], **more}
        await self.call("POST", "/api/v1/applications", key="write", json=given, status=201)

    async def publish(self, content: bytes | IO[bytes] = b"bytes", version: str = "1.0.0", **query: Any) -> Any:
        """Publish a hosted build of `my-app` for linux/amd64 (or as given); return the answer."""
        platform, arch = query.pop("platform", "linux"), query.pop("arch", "amd64")
        path = f"/api/v1/updates/my-app/builds/{version}/{platform}/{arch}"
        return await self.call("PUT", path, key="write", data=content, params=query, status=201)


StartService = Callable[..., Awaitable[Service]]


def settings_tree(root: Path, **sections: Any) -> dict[str, str]:
    """Return an environment that sets these sections, with three keys and no rate limit unless given.

    A section is a mapping that is laid over the defaults of tests, or a list.
    """
    import json

    keys = [{"name": f"{level} key", "key": text, "permissions": [level]} for level, text in KEYS.items()]
    tree: dict[str, Any] = {
        "storage": {"root": str(root)},
        "access": {"api_keys": keys},
        "rate_limit": {"enabled": False},
        "logging": {"access": False},
    }
    for section, values in sections.items():
        tree[section] = values if isinstance(values, list) else {**tree.get(section, {}), **values}
    environment = {}
    for name, values in tree.items():
        if isinstance(values, list):
            environment[f"UPDATER_{name.upper()}"] = json.dumps(values)
        else:  # key by key: UPDATER_SERVER alone is an address for the command line
            environment |= {f"UPDATER_{name}__{key}".upper(): json.dumps(value) for key, value in values.items()}
    return environment


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is marked `long`, unless LONG_TESTS=1, and what is marked `sqlite` when TEST_DATABASE=postgres.

    The rest is put in the order in which `tests.scheduling` hands it out.
    What asks for the database that TEST_DATABASE chooses gets the mark `database`, what is long a timeout to match.
    """
    if DATABASE not in ("sqlite", "postgres"):
        raise pytest.UsageError(f"TEST_DATABASE: expected sqlite or postgres, not {DATABASE}")
    for item in items:
        if "new_database" in getattr(item, "fixturenames", ()):
            item.add_marker("database")
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONG_TIMEOUT_S))
        if any(not mark.args or not isinstance(mark.args[0], str) for mark in item.iter_markers("sqlite")):
            raise pytest.UsageError(f"{item.nodeid}: the mark sqlite needs its reason")
    names = {"long"} if os.environ.get("LONG_TESTS") != "1" else set()
    names |= {"sqlite"} if DATABASE == "postgres" else set()
    left_out = {item for item in items if names & {mark.name for mark in item.iter_markers()}}
    items[:] = sorted((item for item in items if item not in left_out), key=lambda item: rank_of(item.nodeid))
    config.hook.pytest_deselected(items=list(left_out))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip is a failure: CI installs every server and tool that a test needs."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, and in CI that is a failure: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL server."""
    with run_postgres() as server:
        server.stop_syncing()
        yield server


NewDatabase = Callable[[], str | None]


@pytest.fixture
def new_database(request: pytest.FixtureRequest) -> Iterator[NewDatabase]:
    """Return a function that makes an empty database: None for SQLite, its address when TEST_DATABASE=postgres."""
    if DATABASE == "sqlite":
        yield lambda: None
        return
    server: Postgres = request.getfixturevalue("postgres")
    made: list[str] = []

    def make() -> str:
        made.append(server.create_database())
        return made[-1]

    yield make
    for url in made:
        server.take_back(url)


@pytest.fixture
def database_url(new_database: NewDatabase) -> str | None:
    """Return the database of this test's services."""
    return new_database()


@pytest.fixture
def make_settings(tmp_path: Path, database_url: str | None) -> Callable[..., Settings]:
    """Return a function that makes settings for a service in this test's folder."""

    def make(**sections: Any) -> Settings:
        sections["storage"] = {"database_url": database_url, **sections.get("storage", {})}
        return load(None, settings_tree(tmp_path / "storage", **sections))

    return make


@pytest.fixture
async def start_service(make_settings: Callable[..., Settings], aiohttp_client: Any) -> AsyncIterator[StartService]:
    """Return a function that starts a service; all of them end with the test."""
    async with AsyncExitStack() as stack:

        async def start(**sections: Any) -> Service:
            settings = make_settings(**sections)
            stack.enter_context(claim_folder(settings.storage))
            if settings.storage.database_url is None:
                place_database(Path(settings.storage.root))
            services = await stack.enter_async_context(open_services(settings))
            limits = await stack.enter_async_context(open_limits(settings.rate_limit))
            runner = make_runner(build_app(services, limits), settings)
            client = await aiohttp_client(OwnServer(runner))
            # As in production: requests whose client left still end before what they use is closed.
            stack.push_async_callback(client.close)
            return Service(services, client.session, str(client.make_url("")).rstrip("/"))

        yield start


@pytest.fixture
async def service(start_service: StartService) -> Service:
    """Return a service with an application `my-app`."""
    started = await start_service()
    await started.application()
    return started


@dataclass(frozen=True)
class Running:
    """Where a service listens, and an admin key for it."""

    url: str
    port: int
    key: str


@pytest.fixture
async def server(start_service: StartService) -> Running:
    """Return a service without applications, as a client sees it."""
    started = await start_service()
    return Running(started.url, int(started.url.rpartition(":")[2]), KEYS["admin"])


@pytest.fixture
async def client(server: Running) -> AsyncIterator[UpdateClient]:
    """Give a client of a service that has `my-app`."""
    async with UpdateClient(server.url, server.key, retry=QUICK) as client:
        await client.create_application(NewApplication("my-app", "My App"))
        yield client


@pytest.fixture
def build(tmp_path: Path) -> NewBuild:
    """Five MB without a period, so that bytes put in the wrong place are noticed."""
    path = tmp_path / "my-app.bin"
    path.write_bytes(b"".join(n.to_bytes(4) for n in range(1_250_000)))
    return NewBuild(path, "1.1.0", LINUX, release_notes="Schneller.\n" * 3000, metadata={"commit": "ab12"})
