"""What is printed: plain, aligned, and nothing a terminal would obey."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from updater.cli.output import as_plain, print_rows, print_table, printable
from updater_client import Build, CheckResult, Target

NASTY = "\x1b[2J\x1b]0;owned\x07\u202e\r"


def test_control_characters_become_spaces() -> None:
    assert printable(NASTY) == " [2J ]0;owned   "


def test_rows_and_tables_show_text_and_obey_none(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([("name", NASTY), ("notes", "first\nsecond [bold]")])
    print_table(("name",), [(NASTY,), ("[red]x[/]",), ("[/nonsense]",)])
    out = capsys.readouterr().out
    assert not set("\x1b\x07\u202e\r") & set(out)
    assert "notes  first\n       second [bold]\n" in out
    assert "[red]x[/]" in out and "[/nonsense]" in out


def test_a_value_becomes_plain_json_with_times_in_utc() -> None:
    at = datetime(2026, 2, 10, 12, tzinfo=UTC)
    release = Build("1.0.0", Target("linux", "amd64"), "https://x/y", "ab", "sha256", release_date=at)
    plain = as_plain(CheckResult("0.9.0", release, False))
    assert (plain["build"]["platform"], plain["build"]["architecture"]) == ("linux", "amd64")
    assert plain["build"]["release_date"] == "2026-02-10T12:00:00Z"
