"""The wheels and the one file: made once, installed where nothing else is, used, upgraded, removed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.packages.building import CONTENT, NEXT, Installed, copy_checkout, only, package
from updater import __version__

pytestmark = pytest.mark.timeout(600)  # what it waits for is other processes' work
SYSTEM = Path("/usr/bin/python3")
CLEAN = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


def fits(python: Path) -> bool:
    words = [str(python), "-c", "import sys, venv; sys.exit(sys.version_info < (3, 11))"]
    return python.exists() and subprocess.run(words, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make the wheels of this version, and wheels and file of the next; return both folders."""
    if not fits(SYSTEM) or shutil.which("curl") is None:
        pytest.skip("/usr/bin/python3 with venv, 3.11 or newer, and curl are needed")
    now = package(copy_checkout(tmp_path_factory.mktemp("now")), "wheels")
    return now, package(copy_checkout(tmp_path_factory.mktemp("next"), NEXT), "wheels", "pyz")


def place(folder: Path, dist: Path) -> None:
    """Install the libraries of the lock and the wheels, as docs/install.md says, but quicker than pip."""
    uv = [f"{sys.prefix}/bin/uv", "pip", "install", "-q", "--no-deps", "--python", f"{folder}/bin/python"]
    given = {**os.environ, "UV_SYSTEM_CERTS": "1"}
    subprocess.run([*uv, "--require-hashes", "-r", str(dist / "requirements.txt")], check=True, env=given)
    subprocess.run([*uv, *map(str, dist.glob("*.whl"))], check=True, env=given)


def test_the_wheels_serve_are_upgraded_and_removed(made: tuple[Path, Path], tmp_path: Path) -> None:
    now, later = made
    venv, data, file = tmp_path / "venv", tmp_path / "data", tmp_path / "demo.bin"
    file.write_bytes(CONTENT)
    subprocess.run([SYSTEM, "-m", "venv", "--without-pip", venv], check=True)
    installed = Installed((str(venv / "bin" / "updater"),), {**CLEAN, "UPDATER_STORAGE__ROOT": str(data)})

    place(venv, now)
    assert __version__ in installed.ask("--version")
    with installed.serving():
        installed.publish(str(file), "1.0.0")
        installed.has("1.0.0")

    place(venv, later)
    assert NEXT in installed.ask("--version")
    with installed.serving():
        installed.has("1.0.0")

    shutil.rmtree(venv)
    assert (data / "updater.db").exists()


def test_the_one_file_serves_alone(made: tuple[Path, Path], tmp_path: Path) -> None:
    """It is started by its first line, where Debian's Python is the only one and no package is installed."""
    data, file = tmp_path / "data", tmp_path / "demo.bin"
    file.write_bytes(CONTENT)
    alone = shutil.copy(made[1] / "updater.pyz", tmp_path)
    environment = {**CLEAN, "HOME": str(tmp_path / "home"), "UPDATER_STORAGE__ROOT": str(data)}
    installed = Installed((str(alone),), environment)

    assert NEXT in installed.ask("--version")
    with installed.serving():
        installed.publish(str(file), "1.0.0")
        installed.has("1.0.0")


def test_the_wheels_hold_the_package_alone(made: tuple[Path, Path]) -> None:
    server, client = only(made[0], "updater_server-*.whl"), only(made[0], "updater_client-*.whl")
    with zipfile.ZipFile(server) as wheel:
        names = wheel.namelist()
    assert {name.split("/")[0] for name in names} == {"updater", f"updater_server-{__version__}.dist-info"}
    for needed in ("updater/py.typed", "updater/database/migrations/script.py.mako"):
        assert needed in names
    assert any(name.startswith("updater/web/dashboard/static/") for name in names)
    with zipfile.ZipFile(client) as wheel:
        assert {name.split("/")[0] for name in wheel.namelist() if "dist-info" not in name} == {"updater_client"}
