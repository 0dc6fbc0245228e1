"""The commands of the documents, run as they stand there against a real service, one session a document."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.folder import makers
from tests.documents.conftest import Site
from tests.documents.pages import ALL, name_of, script_of

pytestmark = [
    pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl"),
    pytest.mark.sqlite("the documents' machine has the embedded default"),
]
# What would change this machine is never run: such a block has to say why not.
CHANGES_THE_MACHINE = re.compile(r"\b(sudo|apt|apt-get|docker|systemctl|pip)\b|/opt/|updater serve\b")
RUN = [path for path in ALL if script_of(path)]
# Files that a document takes as being there, and the folders that build tools would have left.
FILES = ("app.bin", "App.exe", "setup.exe")
MINISIGN, SPARKLE = makers.MinisignKey(), makers.SparkleKey()
LEFT: dict[str, Callable[[Path], object]] = {
    "docs/integrate/electron.md": lambda here: makers.electron(here / "dist"),
    "docs/integrate/tauri.md": lambda here: (
        makers.place(here, "tauri.key.pub", MINISIGN.public_text),
        makers.tauri(here / "src-tauri/target/release/bundle", MINISIGN),
    ),
    "docs/integrate/velopack.md": lambda here: makers.velopack(here / "Releases"),
    "docs/integrate/sparkle.md": lambda here: makers.sparkle(here / "updates", SPARKLE),
}
# What a document's commands print, in this order.
SAID = {
    "README.md": ['"latest_version":"1.1.0"'],
    "docs/start.md": ["ci", "published", '"latest_version":"1.1.0"', "update    1.0.0 -> 1.1.0", '"recorded":true'],
    "docs/publish.md": [
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
    ],
    "docs/deployments.md": ["Version two", "git_pull", "is in place", "git_reset", "is in place", '"status":"started"'],
    "docs/integrate/electron.md": ["dry run", "published  my-app 1.2.0", "electron   windows/amd64   1.2.0"],
    "docs/integrate/tauri.md": ["published  my-app 1.2.0", "tauri      linux/amd64     1.2.0"],
    "docs/integrate/velopack.md": ["published  my-app 1.2.0", "1.2.0"],
    "docs/integrate/sparkle.md": ["published  my-app 2.0", "2.0"],
    "docs/rollouts.md": [
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
    ],
    "docs/rollouts-curl.md": [
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
    ],
}


@pytest.mark.parametrize("path", RUN, ids=name_of)
def test_the_commands_of_a_document_work(site: Site, path: Path, tmp_path: Path) -> None:
    """Control: an option changed in any block, or a block that fails, turns it red."""
    # An application of its own, since one service plays the server of all documents.
    application = "my-app-" + re.sub(r"\W", "-", name_of(path)).lower()
    script = re.sub(r"\bmy-app\b(?!-)", application, script_of(path)).replace("seq 200", "seq 20")
    found = CHANGES_THE_MACHINE.search(script)
    assert found is None, f"`{found and found[0]}` is in a block that is not marked"
    if application in script and f"updater app create {application}" not in script:
        site.open(application)
    LEFT.get(name_of(path), Path.exists)(tmp_path)
    for name in FILES:
        (tmp_path / name).write_bytes(b"a file of " + name_of(path).encode())
    said = site.run(script, tmp_path, SU_PUBLIC_ED_KEY=SPARKLE.public_text)
    position = 0
    for each in SAID.get(name_of(path), ()):
        each = re.sub(r"\bmy-app\b(?!-)", application, each)
        assert each in said[position:], f"{each!r} is missing, or not in its place:\n{said}"
        position = said.index(each, position) + len(each)


def test_what_is_said_is_of_documents_that_run() -> None:
    assert set(SAID) <= {name_of(path) for path in RUN}
