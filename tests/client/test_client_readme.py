"""The client's own page: what somebody copies from it works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import updater_client
from tests.conftest import Running
from tests.threaded import running_service, threaded
from updater_client import NewApplication, NewBuild, SyncUpdateClient, Target

FOLDER = Path(updater_client.__file__).parent


def test_its_snippets_update_and_publish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    snippets = re.findall(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(snippets) == 2
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dist").mkdir()
    setup = tmp_path / "dist" / "my-app-setup.exe"
    setup.write_bytes(b"MZ" + bytes(1000))
    with threaded(lambda: running_service(tmp_path / "storage")) as running:
        monkeypatch.setenv("UPDATER_KEY", running.key)
        _prepare(running, setup)
        for snippet in snippets:
            exec(snippet.replace("https://updates.example.com", running.url), {"__name__": "__main__"})
        with SyncUpdateClient(running.url, running.key) as client:
            assert client.get_figures("my-app")["reports"]["completed"] == 1
    assert (tmp_path / "my-app-setup.exe").read_bytes() == b"v1.0.1"
    assert len((tmp_path / "client-id.txt").read_text()) == 36
    assert "/download/1.1.0/windows/amd64" in capsys.readouterr().out


def _prepare(running: Running, setup: Path) -> None:
    here = setup.with_name("here")
    here.write_bytes(b"v1.0.1")
    with SyncUpdateClient(running.url, running.key) as client:
        new = NewApplication("my-app", "My App")
        client.publish("my-app", NewBuild(here, "1.0.1", Target.this()), create=new)


def test_it_carries_the_licence_of_the_whole() -> None:
    assert (FOLDER / "LICENSE").read_bytes() == (FOLDER.parent / "LICENSE").read_bytes()
