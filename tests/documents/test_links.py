"""Documents lead to what is there, each is led to, and each is short."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.pages import ALL, GUIDES, ROOT, list_anchors, list_blocks, list_links, name_of

LONGEST_LINES = 200
README_LINES = 120


LANGUAGES = {"bash", "powershell", "yaml", "json", "xml", "sql", "text", "python", "js", "csharp", "c"}


@pytest.mark.parametrize("path", ALL, ids=name_of)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    """Control: a letter changed in a link, or in a heading that is linked, turns it red."""
    for target in list_links(path):
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), f"{name_of(path)} links to {file}"
        assert there.is_relative_to(ROOT), f"{name_of(path)} links out of the repository: {file}"
        if anchor:
            assert anchor in list_anchors(there), f"{name_of(path)} links to {target}: no such heading"


def test_every_guide_is_reached_from_the_first_page() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            files = (target.partition("#")[0] for target in list_links(path))
            waiting += [(path.parent / file).resolve() for file in files if file.endswith(".md")]
    assert set(GUIDES) <= reached


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_a_guide_is_short(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= (README_LINES if path.name == "README.md" else LONGEST_LINES)
    assert lines[0].startswith("# "), "its title"


@pytest.mark.parametrize("path", GUIDES, ids=name_of)
def test_blocks_name_their_language(path: Path) -> None:
    """A block of shell is called bash, so that none escapes the test that runs them."""
    assert {block.language for block in list_blocks(path)} <= LANGUAGES
