"""SECURITY.md: every row names a guard and a proof, and each is there. Control: a path with a letter too many."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "SECURITY.md").read_text()


def test_every_path_that_is_named_exists() -> None:
    named = set(re.findall(r"`((?:updater|updater_client|tests|scripts)/[^`\s]+)`", PAGE))
    assert len(named) > 100
    assert [each for each in sorted(named) if not (ROOT / each).is_file()] == []


def test_every_attack_has_a_guard_and_a_proof() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", PAGE.partition("## What is tried")[2], re.MULTILINE)
    assert len(rows) > 35
    for attack, guard, proof in rows:
        if (attack, guard) != ("attack", "guard"):
            assert re.search(r"`(updater|updater_client|scripts)/\S+`", guard), attack
            assert re.search(r"`tests/(\S+/)?test_\S+\.py`", proof), attack
