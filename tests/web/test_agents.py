"""What a User-Agent header says of a client."""

from __future__ import annotations

import time

import pytest

from updater.web.desktop.agents import AGENTS
from updater.web.messages.user_agents import MAX_AGENT_CHARACTERS, AgentReader


@pytest.mark.parametrize(
    ("text", "version", "platform"),
    [
        ("BKGT-Manager/1.2.3 (win32-x64)", "1.2.3", "win32-x64"),
        ("Other.App/0.0.0 (darwin-arm64)", "0.0.0", "darwin-arm64"),
        ("BKGT-Manager/1.2.3 (linux-x64) Electron/30.0.0", "1.2.3", "linux-x64"),
        ("BKGT-Manager/1.2.3 (linux-x64)Electron", None, None),
        ("BKGT-Manager/1.2.3", None, None),
        ("BKGT-Manager/1.2 (win32-x64)", None, None),
        ("BKGT-Manager/1.2.3.4 (win32-x64)", None, None),
        ("BKGT-Manager/1.2.3-beta (win32-x64)", None, None),
        ("BKGT-Manager/01.2.3 (win32-x64)", None, None),
        ("BKGT-Manager/1.2.9999999999 (win32-x64)", None, None),
        ("BKGT-Manager/1.2.3 (windows)", None, None),
        ("BKGT-Manager/\u0661.2.3 (win32-x64)", None, None),
        ("BKGT Manager/1.2.3 (win32-x64)", None, None),
        (" BKGT-Manager/1.2.3 (win32-x64)", None, None),
        ("curl/8.5.0", None, None),
        ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", None, None),
        ("", None, None),
    ],
)
def test_version_and_platform_or_nothing(text: str, version: str | None, platform: str | None) -> None:
    assert AGENTS.read(text) == (text, version, platform)


def test_a_hostile_header_takes_no_time() -> None:
    started = time.process_time()
    for text in ("A" * MAX_AGENT_CHARACTERS, "A/1.2.3 (" * 22, "A/" + "1." * 99):
        AGENTS.read(text)
    assert time.process_time() - started < 0.1


def test_words_and_versions_of_another_interface() -> None:
    reader = AgentReader("v[0-9]+", ("toaster", "a.b"))
    assert reader.read("App/v12 (toaster)")[1:] == ("v12", "toaster")
    assert reader.read("App/v12 (a.b)")[1:] == ("v12", "a.b")
    for text in ("App/v12 (axb)", "App/12 (toaster)", "App/1.2.3 (linux-x64)"):
        assert reader.read(text)[1:] == (None, None)
