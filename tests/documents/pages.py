"""The documents as text: which there are, and their fenced blocks, links, headings and tables.

A block of shell is run by a test, unless the line above its fence says why not: `<!-- not run: the reason -->`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
# For people who use the program; the rest is for those who change it, or says a contract as implemented.
GUIDES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
ALL = tuple(
    path
    for path in sorted({*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("updater*/**/*.md")})
    if "node_modules" not in path.parts
)
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w-]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_WHY_NOT = re.compile(r"<!-- not run: (?P<reason>[^>]+) -->\n\Z")
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block: its language as the fence names it, its text without indentation, and why it is not run."""

    path: Path
    language: str
    text: str
    why_not: str | None


def name_of(path: Path) -> str:
    """Return the path of a document, from the top of the repository."""
    return path.relative_to(ROOT).as_posix()


def list_blocks(path: Path, *languages: str) -> list[Block]:
    """Return the blocks of a document in these languages (of all, when none is given), in order."""
    text = path.read_text()
    found = []
    for fence in _FENCE.finditer(text):
        if languages and fence["language"] not in languages:
            continue
        marked = _WHY_NOT.search(text, 0, fence.start())
        lines = [line.removeprefix(fence["indent"]) for line in fence["text"].splitlines(keepends=True)]
        found.append(Block(path, fence["language"], "".join(lines), marked["reason"] if marked else None))
    return found


def script_of(path: Path) -> str:
    """Return the commands of a document that can be run, in order: one session in one shell."""
    return "\n".join(block.text for block in list_blocks(path, "bash") if block.why_not is None)


def prose_of(path: Path) -> str:
    """Return a document without its blocks."""
    return _FENCE.sub("", path.read_text())


def list_code(path: Path) -> list[str]:
    """Return what stands between backticks in the prose of a document."""
    return re.findall(r"(?<!`)`([^`\n]+)`(?!`)", prose_of(path))


def list_links(path: Path) -> list[str]:
    """Return the targets of links and pictures of a document, but those to other hosts."""
    return [each["target"] for each in _LINK.finditer(prose_of(path)) if "://" not in each["target"]]


def list_anchors(path: Path) -> set[str]:
    """Return the anchors of the headings of a document, as GitHub and GitLab name them."""
    return set(_anchors(prose_of(path)))


def list_rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a document's tables as cells, but heads and lines between."""
    for table in re.findall(r"(?:^\|.*\n)+", prose_of(path) + "\n", re.MULTILINE):
        for row in table.splitlines()[2:]:
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]


def _anchors(prose: str) -> Iterator[str]:
    seen: dict[str, int] = {}
    for heading in re.findall(r"^#+ (.+)$", prose, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").strip().lower()
        kept = "".join(c for c in plain if c in " -_" or unicodedata.category(c)[0] in "LN")
        name = kept.replace(" ", "-")
        count = seen[name] = seen.get(name, -1) + 1
        yield name if count == 0 else f"{name}-{count}"
