"""`scripts/setup` with a Python that only writes down what it is asked."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.txt", "requirements-extras.txt", "requirements-test.txt")
PYTHON = """#!/bin/sh
echo "$@" >>"$(dirname "$0")/../../asked"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def installed(checkout: Path, *words: str) -> list[str]:
    """Run it; return the locks it installed."""
    asked = checkout / "asked"
    asked.unlink(missing_ok=True)
    subprocess.run([checkout / "scripts" / "setup", *words], check=True, capture_output=True)
    return re.findall(r"-r scripts/(\S+)", asked.read_text()) if asked.exists() else []


def change(checkout: Path, name: str) -> None:
    with (checkout / "scripts" / name).open("a") as lock:
        lock.write("# changed\n")


def test_extras_once_asked_for_stay(checkout: Path) -> None:
    assert installed(checkout) == ["requirements.txt"]
    assert installed(checkout) == []
    assert installed(checkout, "extras") == ["requirements-extras.txt"]
    assert installed(checkout) == []
    change(checkout, "requirements-extras.txt")
    assert installed(checkout, "run") == ["requirements-extras.txt"]


def test_what_the_tests_install_is_more_than_the_rest(checkout: Path) -> None:
    assert installed(checkout, "test") == ["requirements-test.txt"]
    assert installed(checkout, "run") == []
    change(checkout, "requirements.txt")
    assert installed(checkout, "run") == ["requirements.txt"]


def test_extras_asked_for_after_the_tests_stay_too(checkout: Path) -> None:
    installed(checkout, "test")
    assert installed(checkout, "extras") == []
    change(checkout, "requirements-extras.txt")
    assert installed(checkout) == ["requirements-extras.txt"]


def test_an_unknown_word_installs_nothing(checkout: Path) -> None:
    done = subprocess.run([checkout / "scripts" / "setup", "s3"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "usage: ./scripts/setup [extras|test]\n")


def test_each_lock_holds_the_one_before() -> None:
    found = [set(re.findall(r"^\S+==\S+", (ROOT / "scripts" / name).read_text(), re.MULTILINE)) for name in LOCKS]
    assert found[0] < found[1] < found[2]
    assert {each.partition("==")[0] for each in found[1] - found[0]} >= {"asyncpg", "maxminddb", "obstore", "redis"}
