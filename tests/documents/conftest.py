from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deployments import site as deployments
from tests.documents.pages import ROOT
from tests.processes.serving import call, environment, serving

DESKTOP = [{"prefix": "/wp-json/bkgt/v1/updates", "application": "bkgt-manager"}]
# What commands say beside their answer: that goes to standard output, where a script takes it.
_NO_FAILURE = re.compile(
    r"key \d+ for .*; keep it, it is shown only now:|a session of \w+ until .*; shown only now:"
    r"|\d+ of \d+ rows; --limit and --offset show more"
    r"|retention.keep_releases and retention.keep_days are not set: everything is kept"
)
_PLACES = ("http://127.0.0.1:8080", "https://updates.example.com")


@dataclass(frozen=True)
class Site:
    """A machine as documents speak of it: the service runs here, and its commands are on the path."""

    url: str
    key: str
    root: Path
    programs: Path
    settings: Mapping[str, str]

    def run(self, script: str, folder: Path, **more: str) -> str:
        """Run commands as a person with an admin key types them; return what they print.

        Commands that fail say so on standard error; the status alone is an answer too (`updater check`: no update).
        """
        for place in _PLACES:
            script = script.replace(place, self.url)
        given = environment(
            self.root, **self.settings, UPDATER_SERVER=self.url, UPDATER_KEY=self.key, KEY=self.key, ADMIN_KEY=self.key
        )
        given |= {"PATH": f"{self.programs}:{os.environ['PATH']}", "PYTHONPATH": ":".join(sys.path), **more}
        ran = subprocess.run(
            ["/bin/bash", "-c", script],
            cwd=folder, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        said = "\n".join(line for line in ran.stderr.splitlines() if not _NO_FAILURE.match(line))
        assert said == "", f"{ran.stdout[-2000:]}\nstatus {ran.returncode}\n{said}"
        return ran.stdout

    def open(self, application: str) -> None:
        """Create an application."""
        record = {"id": application, "name": "My App", "platforms": ["windows", "linux", "darwin"]}
        status, said = call(f"{self.url}/api/v1/applications", "POST", record, self.key)
        assert status == 201, said


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run one service for a module of tests; each document has applications of its own in it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "bin").mkdir()
    checkout = deployments.Site(folder / "checkouts")
    checkout.push("two")
    entry = checkout.record(restart=None, health=None)
    settings = {"UPDATER_DESKTOP": json.dumps(DESKTOP), "UPDATER_DEPLOYMENTS": json.dumps([entry])}
    warm = [sys.executable, "-W", "error", "-m", "tests.documents.warm", str(folder / "bin")]
    with subprocess.Popen(warm, cwd=ROOT, stdout=subprocess.PIPE, text=True) as commands:
        assert commands.stdout is not None
        try:
            with serving(folder / "storage", **settings) as (url, key):
                assert key is not None
                assert commands.stdout.readline() == "ready\n"
                yield Site(url, key, folder / "storage", folder / "bin", settings)
        finally:
            commands.kill()
