"""What documents name exists: commands and their options, settings."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import click
import pytest
import yaml

from tests.documents.pages import ALL, GUIDES, ROOT, list_blocks, list_code, list_rows, name_of
from tests.documents.texts import is_text, source
from tests.web.feeds.test_configurations import application_of
from updater.cli import COMMANDS, main
from updater.cli.exits import MEANINGS
from updater.config import load
from updater.feeds.recipes import list_recipes
from updater.settings import SECTIONS

REFERENCE = ROOT / "docs" / "reference.md"
HISTORY = {ROOT / "CHANGELOG.md"}
LISTS = {"deployments", "desktop"}
# Of the record of an application, not of the settings.
APPLICATION = ("feeds.scoop", "feeds.winget")
_COMMAND = re.compile(r"(?:^|[\s;|&(])(?<!--name )(?:updater )+((?:[a-z-]+ )+[^\n]*|[a-z-]+)$", re.MULTILINE)
_SETTING = re.compile(rf"(?:{'|'.join(SECTIONS)})\.[a-z_]+(?:\.[a-z_]+)*")
# What no document has to explain beyond the comment in config.example.yaml.
PLAIN = {"logging.access", "logging.level", "rate_limit.enabled", "storage.remote_downloads", "storage.signed_url_s"}


def list_settings() -> set[str]:
    """Return every setting as `section.name`, of lists of records the section alone."""
    found: set[str] = set()
    for section, kind in SECTIONS.items():
        record = dataclasses.is_dataclass(kind) and section not in LISTS
        found |= {f"{section}.{field.name}" for field in dataclasses.fields(kind)} if record else {section}
    return found


def test_settings_that_documents_name_exist() -> None:
    """A name of that form is a setting, or a word of the code: an event of the log, or of webhooks."""
    known = list_settings()
    for path in set(ALL) - HISTORY - {ROOT / "ARCHITECTURE.md"}:  # where such names are modules
        for code in list_code(path):
            name = re.split(r"[:=]", code)[0].strip()
            if _SETTING.fullmatch(name) and ".".join(name.split(".")[:2]) not in known:
                assert is_text(name) or name.startswith(APPLICATION), f"{name_of(path)}: {name}"


def test_every_setting_is_explained_or_plain() -> None:
    """Control: a new setting that no guide names turns it red."""
    prose = "\n".join(path.read_text() for path in GUIDES)
    named = {name for name in list_settings() if name in prose or f"`{name.partition('.')[2]}`" in prose}
    unnamed = list_settings() - PLAIN - named
    assert not unnamed
    assert list_settings() >= PLAIN


@pytest.mark.parametrize("name", COMMANDS)
def test_the_reference_names_every_command(name: str) -> None:
    assert f"`updater {name}`" in REFERENCE.read_text()


def test_commands_of_the_documents_exist() -> None:
    """Every `updater WORD --option` in a block or between backticks is a command with these options."""
    found = 0
    for path in set(ALL) - HISTORY:
        blocks = [block.text for block in list_blocks(path, "bash", "yaml", "console")]
        lines = "\n".join([*blocks, *list_code(path)]).replace("\\\n", " ")
        for line in _COMMAND.findall(lines):
            found += 1
            _hold(f"{name_of(path)}: updater {line}", re.split(r" #|[|;&)]", line)[0].split())
    assert found > 100


def _hold(said: str, words: list[str]) -> None:
    command: click.Command | None = main
    context = click.Context(main)
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        command = command.get_command(context, words.pop(0))
    assert command is not None, said
    known = {option for parameter in command.params for option in parameter.opts} | {"--help", "--version"}
    for option in re.findall(r"(?<!\S)--[a-z0-9-]+", " ".join(words)):
        assert option in known, f"{said}: {option}"


def test_the_reference_has_every_exit_status() -> None:
    rows = {(cells[0], cells[1]) for cells in list_rows(REFERENCE)}
    assert {(str(int(status)), words) for status, words in MEANINGS.items()} <= rows


def test_messages_that_are_explained_are_said() -> None:
    """Control: a word changed in a message of the program, or in the document, turns it red."""
    found = 0
    for row in list_rows(ROOT / "docs" / "troubleshoot.md"):
        for said in re.findall(r"`([^`]+)`", row[0]):
            found += 1
            assert said in source(), f"nothing says {said!r}"
    assert found > 25


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_settings_to_paste_are_taken(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of YAML whose sections are those of the settings are settings; others are files of other programs."""
    monkeypatch.chdir(tmp_path)  # a data folder beside the tests would be taken for one that was forgotten
    for block in list_blocks(path, "yaml"):
        if set(yaml.safe_load(block.text)) <= set(SECTIONS):
            (tmp_path / "config.yaml").write_text(block.text)
            load(tmp_path / "config.yaml", {})


def test_lines_to_paste_are_those_of_pages_and_interface() -> None:
    """Control: a letter changed in either turns it red."""
    pages = "".join(block.text for path in GUIDES for block in list_blocks(path))
    listed = list_recipes(application_of(feeds={"winget": {}}), "stable", "https://updates.example.com")
    assert len(listed) == 10
    for each in listed:
        assert f"{each.text}\n" in pages, each.updater
