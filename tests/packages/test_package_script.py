"""`scripts/package` and what it packs, without making anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packages.building import ROOT
from updater import __version__
from updater.config import load

DEBIAN = ROOT / "scripts" / "packaging" / "debian"
CONTAINERFILE = (ROOT / "Containerfile").read_text()
GIVEN = {"POSTGRES_PASSWORD": "secret", "BLOB_URL": "s3://my-bucket/updates?region=eu-central-1"}


def run_with(folder: Path, commands: tuple[str, ...], *words: str) -> tuple[int, str]:
    """Run the script where only these commands are there; return its status and what it said."""
    for each in ("bash", "dirname", *commands):
        (folder / each).symlink_to(str(shutil.which(each)))
    script = [str(folder / "bash"), str(ROOT / "scripts" / "package"), *words]
    done = subprocess.run(script, env={"PATH": str(folder)}, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    ("commands", "words", "said"),
    [
        ((), ("wheels",), "every package needs git (Debian: git)"),
        (("git",), ("deb",), "deb needs dpkg-deb (Debian: dpkg)"),
        (("git", "dpkg-deb"), ("image",), "image needs buildah (Debian: buildah)"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, commands: tuple[str, ...], words: tuple[str, ...], said: str) -> None:
    if (lacks := {each for each in commands if shutil.which(each) is None}) != set():
        pytest.skip(f"not installed: {lacks}")
    status, error = run_with(tmp_path, commands, *words)
    assert status == 1
    assert said in error.splitlines()[-1]


def test_an_unknown_word_makes_nothing(tmp_path: Path) -> None:
    assert run_with(tmp_path, (), "rpm") == (2, "usage: ./scripts/package [wheels] [pyz] [deb] [image]\n")


def test_the_tools_are_those_of_the_tests() -> None:
    pins = [
        dict(re.findall(r"^(\S+)==(\S+)", (ROOT / "scripts" / f"requirements-{name}.txt").read_text(), re.MULTILINE))
        for name in ("package", "test")
    ]
    assert {"shiv", "uv", "setuptools"} <= set(pins[0])
    assert pins[0].items() <= pins[1].items()


@pytest.mark.parametrize("name", ["postinst", "prerm", "postrm", "command"])
def test_scripts_of_the_debian_package_are_shell(name: str) -> None:
    subprocess.run(["sh", "-n", DEBIAN / name], check=True)


def test_the_settings_of_the_debian_package_fit() -> None:
    settings = load(DEBIAN / "config.yaml", {})
    assert (settings.storage.root, settings.server.host) == ("/var/lib/updater", "127.0.0.1")


def composed(*names: str) -> dict[str, Any]:
    """Return the services of compose files, their variables filled in as Compose does."""
    services: dict[str, Any] = {}

    def filled(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        assert kind == "-" or name in GIVEN
        return GIVEN.get(name) or str(default)

    def fill(value: str) -> str:
        return re.sub(r"\$\{(\w+):([-?])([^}]*)\}", filled, value)

    for name in names:
        for service, given in yaml.safe_load((ROOT / name).read_text())["services"].items():
            old = services.setdefault(service, {})
            more = {key: fill(value) for key, value in given.get("environment", {}).items()}
            image = {"image": fill(given["image"])} if "image" in given else {}
            services[service] = {**old, **given, **image, "environment": {**old.get("environment", {}), **more}}
    return services


def test_compose_starts_this_version_read_only_on_one_volume() -> None:
    service = composed("compose.yaml")["updater"]
    (volume,) = re.findall(r"^VOLUME (\S+)$", CONTAINERFILE, re.MULTILINE)
    (port,) = re.findall(r"^EXPOSE (\d+)$", CONTAINERFILE, re.MULTILINE)
    assert service["image"] == f"updater-server:{__version__}"
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["volumes"] == [f"data:{volume}"]
    assert service["ports"] == [f"127.0.0.1:{port}:{port}"]
    settings = load(None, service["environment"])
    assert (settings.server.public_url, settings.server.port) == (None, int(port))


def test_compose_with_postgres_names_settings_that_fit() -> None:
    services = composed("compose.yaml", "compose.postgres.yaml")
    settings = load(None, services["updater"]["environment"])
    assert settings.server.workers == 2
    assert settings.storage.database_url == "postgresql://updater:secret@postgres/updater"
    assert settings.rate_limit.storage_url == "redis://redis:6379/0"
    assert settings.storage.blob_url == GIVEN["BLOB_URL"]
    assert set(services["updater"]["depends_on"]) == {"postgres", "redis"} == set(services) - {"updater"}


def test_the_image_runs_as_a_number_and_looks_after_itself() -> None:
    assert re.search(r"^USER (\d+):\1$", CONTAINERFILE, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK ", CONTAINERFILE, re.MULTILINE)
    assert CONTAINERFILE.index("ARG BASE=") < CONTAINERFILE.index("FROM ${BASE}")
