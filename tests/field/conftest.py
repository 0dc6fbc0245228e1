"""One service for the field tests of a process, a relay for each test, and the programs that are driven."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.field.minisigning import Minisign
from tests.field.relay import Relay, running_relay
from tests.field.running import HERE, told
from tests.field.shop import Shop
from tests.field.squirrel import ID, Install, Installed, compile_missing, install_in
from tests.processes.serving import serving
from tests.servers import node as nodejs
from tests.threaded import threaded


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
    node = nodejs.find_node()
    return Npm(node.program, nodejs.install(HERE / "node", node, pytestconfig.cache.mkdir("updaters")) / "node_modules")


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Return a function that finds a program; its test is skipped when it is not installed."""

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not installed")
        return found

    return find


@pytest.fixture(scope="session")
def minisign(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Minisign:
    """Make a pair of keys."""
    return Minisign(program("minisign"), tmp_path_factory.mktemp("minisign") / "ours")


@pytest.fixture(scope="session")
def display(program: Callable[[str], str]) -> Iterator[str]:
    """Run an X server on a number that is free."""
    reads, writes = os.pipe()
    command = [program("Xvfb"), "-displayfd", str(writes), "-screen", "0", "320x240x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writes], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writes)
    try:
        with os.fdopen(reads) as said:
            number = said.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="session")
def without_windows(program: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile what Squirrel.Windows' Update.exe misses under Mono."""
    return compile_missing(program("mcs"), tmp_path_factory.mktemp("missing"))


@pytest.fixture
def install(npm: Npm, without_windows: Path, program: Callable[[str], str], tmp_path: Path) -> Install:
    """Return a function that installs a version as Squirrel.Windows does."""
    update_exe = npm.modules / "electron-winstaller" / "vendor" / "Squirrel.exe"

    def make(version: str) -> Installed:
        return install_in(tmp_path / version / ID, version, update_exe, without_windows, program("mono"))

    return make
