"""Chapters of README.md, run as they stand there: each command works, with curl and without."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Running

README = Path(__file__).parents[2] / "README.md"
CURL = shutil.which("curl")


def blocks(title: str, end: str) -> str:
    """Return the commands of a part of the chapter, but for those that make a key."""
    text = README.read_text()
    chapter = text[text.index("## Ship to 1 % first\n") :]
    part = chapter[chapter.index(title) : chapter.index(end)]
    found = "\n".join(re.findall(r"```bash\n(.*?)```", part, re.DOTALL))
    assert "updater key create" in found
    return re.sub(r"^export UPDATER_KEY=.*$", "", found, flags=re.MULTILINE)


def chapter(title: str) -> str:
    """Return the commands of a whole chapter, but for those that make a key."""
    text = README.read_text()
    begin = text.index(f"## {title}\n")
    found = "\n".join(re.findall(r"```bash\n(.*?)```", text[begin : text.index("\n## ", begin)], re.DOTALL))
    assert "updater key create" in found
    return re.sub(r"^export UPDATER_KEY=.*$", "", found, flags=re.MULTILINE)


def run(script: str, shared: Running, folder: Path) -> str:
    """Run commands in bash, against the service of the tests; return what they print, errors too."""
    script = script.replace("http://127.0.0.1:8080", shared.url).replace("seq 200", "seq 20")
    command = f'updater() {{ "{sys.executable}" -m updater "$@"; }}\n{script}'
    given = {"UPDATER_SERVER": shared.url, "UPDATER_KEY": shared.key, "PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run(
        ["/bin/bash", "-c", command],
        cwd=folder, env={"PATH": os.environ["PATH"], **given}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert ran.stderr == "", ran.stderr
    return ran.stdout


def in_order(text: str, *wanted: str) -> None:
    position = 0
    for each in wanted:
        assert each in text[position:], f"{each!r} is missing, or not in its place:\n{text}"
        position = text.index(each, position) + len(each)


def test_the_command_line(shared: Running, tmp_path: Path) -> None:
    said = run(blocks("### With the command line", "### With curl"), shared, tmp_path)
    in_order(
        said,
        "offered to  1 % of the clients",
        "known by  client_id anna",
        "update    1.0.0 -> 1.1.0 linux/amd64",
        "10 % follows after",
        "halted on linux",
        "1.1.0     halted: the rollout is halted on linux",
        "and 14 more reports",
        "state    complete, at 100 % of the clients",
        "offered to  nobody",
        "offered to  5 % of the clients",
        "the test machines were full",
        "update    1.0.0 -> 1.2.0 linux/amd64",
        "promoted    demo 1.2.0",
    )


def test_publishing_a_folder(shared: Running, tmp_path: Path) -> None:
    said = run(chapter("Publish a folder"), shared, tmp_path)
    in_order(
        said,
        "dry run  nothing was sent",
        "published  folder-demo 1.2.0, 3 files sent",
        "update    1.1.0 -> 1.2.0 darwin/arm64",
        "draft    folder-demo 1.3.0",
        "published  folder-demo 1.3.0, 1 builds, 1 files",
        "windows/arm64",
        '"version":"1.4.0"',
        '"file_name":"notes.txt"',
        '"status":"active"',
        "what is in it",
    )


@pytest.mark.skipif(CURL is None, reason="needs curl")
def test_curl(shared: Running, tmp_path: Path) -> None:
    said = run(blocks("### With curl", "### How it decides"), shared, tmp_path)
    in_order(
        said,
        '"version":"1.1.0"',
        '"identity":{"kind":"client_id","value":"anna"}',
        '"latest_version":"1.1.0"',
        '"recorded":true',
        '"state":"halted"',
        '"state":"open"',
        '"state":"complete"',
        '"status":"withdrawn"',
        '"status":"active"',
        '"action":"rollout.halted"',
        '"latest_version":"1.2.0"',
        '"channel":"stable"',
    )
