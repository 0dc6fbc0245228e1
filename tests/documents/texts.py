"""The texts of the program: what it can say, taken out of its source."""

from __future__ import annotations

import ast
from functools import cache

from tests.documents.pages import ROOT


@cache
def list_texts() -> frozenset[str]:
    """Return every literal text of server and client; those of a format are the parts between its fields."""
    found = set()
    for package in ("updater", "updater_client"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(node.value)
    return frozenset(found)
