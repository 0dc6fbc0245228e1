"""Checkouts to make packages of, and what an installed package is asked to do."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.ports import free_port

ROOT = Path(__file__).parent.parent.parent
NEXT = "0.99.0"
DATE = "2026-01-02T03:04:05Z"
GIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "core.fsync=none")
CONTENT = os.urandom(3_000_000)
START_S = 120


def copy_checkout(folder: Path, version: str | None = None) -> Path:
    """Copy this tree with what is not committed, as the one commit of a repository; of another version if given."""
    names = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True
    )
    for name in names.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    if version is not None:
        module = folder / "updater" / "__init__.py"
        text, count = re.subn(r'(__version__ = )"[^"]+"', rf'\1"{version}"', module.read_text())
        assert count == 1
        module.write_text(text)
    dates = {"GIT_AUTHOR_DATE": DATE, "GIT_COMMITTER_DATE": DATE}
    for words in (("init", "-q"), ("add", "-A"), ("commit", "-q", "-m", "all")):
        subprocess.run([*GIT, *words], cwd=folder, check=True, env={**os.environ, **dates})
    return folder


def package(checkout: Path, *what: str, **environment: str) -> Path:
    """Run `scripts/package`; return the folder of what it made."""
    given = {**os.environ, "PACKAGE_TOOLS": sys.prefix, **environment}
    done = subprocess.run([checkout / "scripts" / "package", *what], env=given, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return checkout / "dist"


def only(folder: Path, pattern: str) -> Path:
    """Return the one file of a folder with such a name."""
    (found,) = folder.glob(pattern)
    return found


@dataclass(frozen=True)
class Installed:
    """An installed package: the words that run its `updater`, with nothing around them but this environment."""

    command: tuple[str, ...]
    environment: dict[str, str]
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, *words: str, **more: str) -> str:
        """Run a command of it to its good end; return what it printed."""
        given = {"UPDATER_SERVER__PORT": str(self.port), **self.environment, **more}
        command = [*self.command, *words]
        done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=START_S)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve for the block, which ends with SIGTERM and a good status."""
        given = {"UPDATER_SERVER__PORT": str(self.port), **self.environment}
        process = subprocess.Popen(
            [*self.command, "serve"], env=given, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        try:
            deadline = time.monotonic() + START_S
            while curl(f"{self.url}/health", check=False) == b"":
                assert process.poll() is None and time.monotonic() < deadline, process.communicate(timeout=5)
                time.sleep(0.1)
            yield
        finally:
            process.terminate()
            said = process.communicate(timeout=START_S)[1]
        assert process.returncode == 0, said

    def publish(self, file: str, version: str) -> None:
        """Make a key, and publish a file of that place with it, as a build machine would."""
        key = self.ask("key", "create", "ci", "--level", "write").split()
        told = {"UPDATER_SERVER": self.url, "UPDATER_KEY": next(word for word in key if word.startswith("upd_"))}
        words = ("--app", "demo", "--create", "--version", version, "--platform", "linux", "--arch", "amd64")
        self.ask("publish", file, *words, **told)

    def has(self, version: str) -> None:
        """Check for an update, and download it whole and in part, with curl."""
        updates = f"{self.url}/api/v1/updates/demo"
        assert b'"%s"' % version.encode() in curl(
            f"{updates}/check?current_version=0.1.0&platform=linux&architecture=amd64"
        )
        file = f"{updates}/download/{version}/linux/amd64"
        assert curl("-r", "1000000-1000999", file) == CONTENT[1_000_000:1_001_000]
        assert curl(file) == CONTENT


def curl(*words: str, check: bool = True) -> bytes:
    """Return what curl got; nothing, when it failed and need not have succeeded."""
    done = subprocess.run(["curl", "-fsS", *words], capture_output=True, check=False)
    assert done.returncode == 0 or not check, done.stderr
    return done.stdout if done.returncode == 0 else b""
