"""`updater config`: what holds, without secrets; what does not fit is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from updater.cli import main

FILE = """
server: {port: 9000}
storage: {database_url: "postgresql://updater:canary-one@db.example.com/updater"}
access:
  api_keys:
    - {name: ci, key: canary-two-0123456789, permissions: [write]}
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)  # a data folder where the tests run is another one's
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(main, ["config", *map(str, words)])


def test_what_holds_is_shown_without_secrets(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPDATER_SERVER__DRAIN_S", "7")
    whole, changed = run("show", "--config", settings), run("show", "--changed", "--config", settings)
    for said in (whole, changed):
        assert said.exit_code == 0, said.output
        assert "canary" not in said.output
        lines = said.output.splitlines()
        assert {"server.port: 9000", "server.drain_s: 7", 'access.api_keys[0].name: "ci"'} <= set(lines)
        assert 'storage.database_url: "postgresql://updater:***@db.example.com/updater"' in lines
        assert 'access.api_keys[0].key: "***"' in lines
    assert "server.workers: 1" in whole.output.splitlines()
    assert "server.workers" not in changed.output
    tree = json.loads(run("show", "--json", "--config", settings).output)["settings"]
    assert tree["server"]["port"] == 9000


def test_nothing_is_changed_without_settings() -> None:
    assert run("show", "--changed").output == ""


def test_check(settings: Path) -> None:
    assert run("check", "--config", settings).exit_code == 0
    settings.write_text("server: {port: many}")
    refused = run("check", "--config", settings)
    assert refused.exit_code == 1
    assert "server.port" in refused.output
