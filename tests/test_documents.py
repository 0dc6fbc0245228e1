"""The example settings and the code tell the same story."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import yaml

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
