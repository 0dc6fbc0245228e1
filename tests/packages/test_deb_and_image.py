"""The Debian package and the image in clean roots: installed, used, upgraded, removed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.packages.building import CONTENT, NEXT, Installed, copy_checkout, only, package
from tests.packages.roots import as_root, copy_root, inside, lacking, make_root

pytestmark = pytest.mark.long
CLEAN = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
USER = "10001"
# Writes down what the scripts of the package ask of systemd; every answer is yes.
SYSTEMCTL = """#!/bin/sh
echo "$@" >>/asked
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := lacking("debootstrap", "buildah", "curl"):
        pytest.skip(reason)
    return make_root(tmp_path_factory.mktemp("base") / "root")


@pytest.fixture(scope="module")
def made(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Make package and image of this version, and the package of the next; return both folders."""
    folder = tmp_path_factory.mktemp("storage")
    conf = folder / "storage.conf"
    conf.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
    now = package(
        copy_checkout(tmp_path_factory.mktemp("now")),
        "image",
        PACKAGE_PYTHON="3.11",
        BASE=str(base),
        CONTAINERS_STORAGE_CONF=str(conf),
    )
    shutil.copy(conf, now)
    return now, package(copy_checkout(tmp_path_factory.mktemp("next"), NEXT), "deb", PACKAGE_PYTHON="3.11")


def install(root: Path, dist: Path) -> None:
    shutil.copy(only(dist, "*.deb"), root / "package.deb")
    as_root(root, "dpkg", "-i", "/package.deb")


def asked(root: Path) -> list[str]:
    """Return what systemd was asked for since the last time."""
    said = root / "asked"
    lines = said.read_text().splitlines() if said.exists() else []
    said.unlink(missing_ok=True)
    plain = [[word for word in line.split() if not word.startswith("-")] for line in lines]
    return [" ".join(words) for words in plain if words and words[0] in ("start", "stop", "restart")]


def test_the_debian_package(base: Path, made: tuple[Path, Path], tmp_path: Path) -> None:
    root = copy_root(base, tmp_path / "root")
    (root / "demo.bin").write_bytes(CONTENT)
    install(root, made[0])  # without systemd, as in a container
    installed = Installed(inside(root, "updater", "/usr/bin/updater"), CLEAN)
    config = root / "etc" / "updater" / "config.yaml"
    assert (config.stat().st_mode & 0o777, config.parent.stat().st_mode & 0o777) == (0o640, 0o750)
    assert "fits" in installed.ask("config", "check")
    assert (root / "etc/systemd/system/multi-user.target.wants/updater.service").is_symlink()
    with installed.serving():
        installed.publish("/demo.bin", "1.0.0")
        installed.has("1.0.0")
    as_root(root, "dpkg-reconfigure", "updater-server")  # once more changes nothing

    # An upgrade keeps data and changed settings, and restarts the service where there is systemd.
    config.write_text(config.read_text() + "\nlogging:\n  level: warning\n")
    systemctl = root / "usr" / "bin" / "systemctl"
    systemctl.write_text(SYSTEMCTL)
    systemctl.chmod(0o755)
    (root / "run/systemd/system").mkdir(parents=True, exist_ok=True)
    install(root, made[1])
    assert asked(root) == ["restart updater.service"]
    assert NEXT in installed.ask("--version")
    assert "level: warning" in config.read_text()
    assert config.stat().st_mode & 0o777 == 0o640
    with installed.serving():
        installed.has("1.0.0")

    # Removed: nothing of the package is left but settings and data; installed again, it serves as before.
    as_root(root, "dpkg", "--remove", "updater-server")
    assert asked(root) == ["stop updater.service updater.socket"]
    data = root / "var" / "lib" / "updater"
    assert (data / "updater.db").exists() and config.exists()
    assert not (root / "usr/lib/updater").exists()
    install(root, made[1])
    with installed.serving():
        installed.has("1.0.0")

    # Purged: a file named keep keeps the data; without it nothing stays.
    (data / "keep").touch()
    as_root(root, "dpkg", "--purge", "updater-server")
    assert (data / "updater.db").exists() and not config.parent.exists()
    install(root, made[1])
    (data / "keep").unlink()
    as_root(root, "dpkg", "--purge", "updater-server")
    left = as_root(root, "sh", "-c", "find / -xdev -path '*updater*' ! -path '/proc/*'").split()
    assert left == []


def test_the_package_is_as_debian_wants_it(made: tuple[Path, Path], tmp_path: Path) -> None:
    if reason := lacking("lintian", "systemd-analyze"):
        pytest.skip(reason)
    deb = only(made[0], "*.deb")
    done = subprocess.run(["lintian", "--no-cfg", "--allow-root", deb], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
    subprocess.run(["dpkg-deb", "-x", deb, tmp_path / "tree"], check=True)
    for unit in sorted((tmp_path / "tree/usr/lib/systemd/system").iterdir()):
        text = unit.read_text().replace("/usr/bin/updater serve", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    units = [str(tmp_path / f"updater.{kind}") for kind in ("service", "socket")]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_two_builds_are_the_same_bytes(made: tuple[Path, Path], tmp_path: Path) -> None:
    """The second one is made elsewhere, under another umask and time zone."""
    subprocess.run(["git", "clone", "-q", made[0].parent, tmp_path / "elsewhere"], check=True)
    again = package(tmp_path / "elsewhere", "deb", PACKAGE_PYTHON="3.11", TZ="Asia/Tokyo")
    assert only(again, "*.deb").read_bytes() == only(made[0], "*.deb").read_bytes()


def test_the_image(made: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read-only, as its own user, without capabilities, with one volume: as compose.yaml starts it."""
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(made[0] / "storage.conf"))
    archive = tmp_path / "image.tar"
    with archive.open("wb") as file:
        subprocess.run(["gunzip", "-c", only(made[0], "*.image.tar.gz")], stdout=file, check=True)
    container = ask_buildah("from", f"docker-archive:{archive}")
    described = json.loads(ask_buildah("inspect", container))["Docker"]["config"]
    assert described["User"] == f"{USER}:{USER}"
    assert described["Volumes"] == {"/var/lib/updater": {}}
    assert described["ExposedPorts"] == {"8080/tcp": {}}
    assert described["Labels"]["org.opencontainers.image.title"] == "updater-server"

    root, volume = Path(ask_buildah("mount", container)), tmp_path / "volume"
    shutil.copytree(root / "var/lib/updater", volume)  # a new volume has what the image has in its place
    (volume / "demo.bin").write_bytes(CONTENT)
    for path in (volume, *volume.rglob("*")):
        shutil.chown(path, int(USER), int(USER))
    bound = ("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")
    environment = dict(each.split("=", 1) for each in described["Env"])
    words = inside(root, USER, *bound, *described["Entrypoint"], volume=volume, mode="ro")
    installed = Installed(words, environment)
    with installed.serving():
        installed.publish("/var/lib/updater/demo.bin", "1.0.0")
        installed.has("1.0.0")
        check = described["Healthcheck"]["Test"][1:]
        command = inside(root, USER, *bound, *check, volume=volume, mode="ro")
        port = {"UPDATER_SERVER__PORT": str(installed.port)}
        assert subprocess.run(command, env=environment | port).returncode == 0
    assert subprocess.run(command, env=environment | port, capture_output=True).returncode != 0
    with installed.serving():  # another container, the same volume
        installed.has("1.0.0")


def ask_buildah(*words: str) -> str:
    done = subprocess.run(["buildah", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
