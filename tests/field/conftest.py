"""One service for the field tests of a process, a relay for each test, and the programs that are driven."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.field.relay import Relay, running_relay
from tests.field.shop import Shop
from tests.processes.serving import serving
from tests.servers.node import find_node, install
from tests.threaded import threaded

HERE = Path(__file__).parent
DRIVEN_S = 60


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker("field")


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Run the service, and give what publishes to it."""
    quiet = {"UPDATER_LOGGING__ACCESS": "false", "UPDATER_LOGGING__LEVEL": "error"}
    with serving(tmp_path_factory.mktemp("field") / "storage", UPDATER_RATE_LIMIT__ENABLED="false", **quiet) as (
        url,
        key,
    ):
        assert key is not None
        yield Shop(url, key)


@pytest.fixture
def relay(shop: Shop, record_property: Callable[[str, object], None]) -> Iterator[Relay]:
    """Return a relay to the service. A report (`--junitxml`) tells what went through it."""
    with threaded(lambda: running_relay(shop.url)) as relay:
        yield relay
    for each in relay.asked:
        ranges = each.headers.get("range", "").count("-")
        record_property("asked", f"{each.method} {each.target} ranges={ranges} {each.status} {each.sent_bytes}")


@dataclass(frozen=True)
class Npm:
    """Node.js, and the folder with the packages of `node/`."""

    program: str
    modules: Path

    def drive(self, driver: str, **asked: Any) -> dict[str, Any]:
        """Run a driver; return what it told."""
        given = json.dumps({"modules": str(self.modules), **asked})
        return told([self.program, str(HERE / "drivers" / driver), given])


@pytest.fixture(scope="session")
def npm(pytestconfig: pytest.Config) -> Npm:
    """Install what `node/` pins."""
    node = find_node()
    return Npm(node.program, install(HERE / "node", node, pytestconfig.cache.mkdir("updaters")) / "node_modules")


def told(command: list[str], **environment: str) -> dict[str, Any]:
    """Run a driver to its end; return the JSON of its last line."""
    ran = run(command, None, **environment)
    assert ran.stdout.strip(), f"{command[:2]} said nothing: {ran.stderr[-3000:]}"
    answer: dict[str, Any] = json.loads(ran.stdout.strip().splitlines()[-1])
    return answer


def run(command: list[str], cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, with more of an environment."""
    full = {**os.environ, **environment}
    return subprocess.run(command, cwd=cwd, env=full, capture_output=True, text=True, timeout=DRIVEN_S)


def drive_python(driver: str, asked: dict[str, Any], **environment: str) -> dict[str, Any]:
    """Run a driver in Python; return what it told."""
    return told([sys.executable, str(HERE / "drivers" / driver), json.dumps(asked)], **environment)


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Return a function that finds a program; its test is skipped when it is not installed."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed")
        return found

    return find
