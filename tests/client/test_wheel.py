"""The client's wheel, installed where nothing of the server is: it updates and publishes there."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from email import message_from_string
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import updater_client
from tests.conftest import Running
from tests.threaded import running_service, threaded

SOURCE = Path(updater_client.__file__).parent
STRANGER = Path(__file__).with_name("stranger.py")
LOWEST = ("aiohttp==3.12.0", "PyYAML==6.0.1", "yarl==1.17.0")
# A locale that is not UTF-8, so that a text file opened without its encoding is noticed even without the warning.
STRICT = ("-X", "warn_default_encoding", "-W", "error")
FOREIGN = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


TYPED_USE = """
from typing import assert_type
from updater_client import CheckResult, ListedBuild, SyncUpdateClient

def good(client: SyncUpdateClient) -> None:
    assert_type(client.check("my-app", "1.0.0", manual=True), CheckResult)
    assert_type(client.releases.list_builds("my-app", "1.0.0"), tuple[ListedBuild, ...])
    with client as bad:
        bad.check("my-app")
        bad.check("my-app", "1.0.0", manuall=True)
        bad.latest(3)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, since building writes beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    run(
        sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, folder / "source"
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with threaded(lambda: running_service(tmp_path_factory.mktemp("wheel") / "storage")) as running:
        yield running


def run(*words: object, **more: Any) -> str:
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "UPDATER"))}
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, env={**environment, **more}, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def needed(name: str) -> set[str]:
    """Return what a distribution needs on this machine, and what that needs."""
    found: set[str] = set()
    todo = [name]
    while todo:
        for each in map(Requirement, importlib.metadata.requires(todo.pop()) or ()):
            other = canonicalize_name(each.name)
            if other not in found and (each.marker is None or each.marker.evaluate({"extra": ""})):
                found.add(other)
                todo.append(other)
    return found


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Make an environment with the wheel, and with what it says that it needs as it is installed here."""
    folder = tmp_path_factory.mktemp("alone") / "venv"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    for name in needed("updater-client"):
        distribution = importlib.metadata.distribution(name)
        tops = {each.parts[0] for each in distribution.files or ()} - {"..", "__pycache__"}
        for top in tops:
            (packages / top).symlink_to(Path(str(distribution.locate_file(top))))
    return python


def used(python: Path, server: Running, folder: Path, *more: str) -> dict[str, Any]:
    folder.mkdir()
    told = run(python, *STRICT, STRANGER, server.url, server.key, folder, folder.name, *more, **FOREIGN)
    found: dict[str, Any] = json.loads(told)
    return found


def test_it_is_pure_and_complete(wheel: Path) -> None:
    assert wheel.name == f"updater_client-{updater_client.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (archive.read(each).decode() for each in names if each.endswith(".dist-info/METADATA"))
    inside = {str(each.relative_to(SOURCE.parent)) for each in SOURCE.rglob("*.py")}
    told = {each for each in names if ".dist-info/" in each}
    assert names - told == inside | {"updater_client/py.typed"}
    assert any(each.endswith("/licenses/LICENSE") for each in told)
    about = message_from_string(metadata)
    assert (about["License-Expression"], about["Requires-Python"]) == ("Apache-2.0", ">=3.11")
    assert about.get_payload().strip() == (SOURCE / "README.md").read_text(encoding="utf-8").strip()
    assert not about.get_all("Project-URL"), "no address is known to be ours"
    lowest = {Requirement(each).name: Requirement(each) for each in LOWEST}
    for each in map(Requirement, about.get_all("Requires-Dist") or ()):
        assert str(lowest[each.name].specifier).replace("==", ">=") in str(each.specifier).split(","), each


@pytest.mark.parametrize("system", ["here", "windows"])
def test_it_works_alone(python: Path, server: Running, tmp_path: Path, system: str) -> None:
    told = used(python, server, tmp_path / f"on-{system}", *([system] if system == "windows" else []))
    assert Path(told["file"]).is_relative_to(python.parent.parent)
    assert "updater-client" in told["installed"]
    assert not {"updater-server", "sqlalchemy", "click", "marshmallow"} & set(told["installed"])
    assert "updater" not in told["loaded"]


@pytest.mark.long
def test_it_installs_from_the_registry_with_the_lowest_versions(wheel: Path, server: Running, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    run(python, "-m", "pip", "install", "-q", wheel, *LOWEST)
    told = used(python, server, tmp_path / "lowest")
    use = tmp_path / "use.py"
    use.write_text(TYPED_USE)
    checked = (sys.executable, "-m", "mypy", "--strict", "--python-executable", python, use)
    found = subprocess.run([*map(str, checked)], capture_output=True, text=True, cwd=tmp_path).stdout
    assert re.findall(r"use\.py:(\d+): error", found) == ["9", "10", "11"], found
    assert [f"aiohttp=={told['versions'][0]}", f"PyYAML=={told['versions'][1]}"] == list(LOWEST[:2])
