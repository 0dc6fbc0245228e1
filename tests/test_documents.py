"""README, example settings and code tell the same story."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from updater.cli import COMMANDS, main
from updater.config import as_tree, load
from updater.settings import SECTIONS

ROOT = Path(__file__).parent.parent
EXAMPLE = ROOT / "config.example.yaml"


def test_the_example_equals_the_defaults() -> None:
    example = as_tree(load(EXAMPLE, {}))
    assert example["storage"]["root"] == str(ROOT / "storage"), "a relative root counts from the file's folder"
    example["storage"]["root"] = "storage"
    assert example == as_tree(load(None, {}))


def test_the_example_lists_every_key_with_a_comment() -> None:
    text = EXAMPLE.read_text()
    for section, kind in SECTIONS.items():
        assert re.search(rf"^{section}:", text, re.MULTILINE), f"section {section} is missing"
        for field in dataclasses.fields(kind) if dataclasses.is_dataclass(kind) else ():
            line = re.search(rf"^  (# +(- )?)?{field.name}:.*#.*$", text, re.MULTILINE)
            assert line, f"{section}.{field.name} is missing, or has no comment"


def test_the_example_holds_nothing_else() -> None:
    tree: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    assert set(tree) == set(SECTIONS)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_names_every_command(name: str) -> None:
    assert f"updater {name}" in (ROOT / "README.md").read_text()


def test_commands_of_the_readme_exist() -> None:
    """Every `updater WORD --option` in a code block is a command with these options."""
    text = (ROOT / "README.md").read_text()
    blocks = "\n".join(re.findall(r"```(?:bash|sh|console|yaml)\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    found = re.findall(r"(?:^|[\s;|&(])updater ((?:[a-z]+ )+[^\n]*|[a-z]+)$", blocks, re.MULTILINE)
    assert found
    for line in found:
        words = line.partition(" #")[0].split()
        command: click.Command | None = main
        context = click.Context(main)
        while isinstance(command, click.Group) and words:
            command = command.get_command(context, words.pop(0))
        assert command is not None, f"README: updater {line}"
        known = {option for parameter in command.params for option in parameter.opts}
        for option in re.findall(r"(?<!\S)--[a-z-]+", " ".join(words)):
            assert option in known | {"--help"}, f"README: updater {line}: {option}"


def test_readme_paths_exist() -> None:
    text = (ROOT / "README.md").read_text()
    for path in set(re.findall(r"\]\(([^)#:]+)\)", text)):
        assert (ROOT / path).exists(), f"README links to {path}"
