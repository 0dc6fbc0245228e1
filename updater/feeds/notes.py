"""Release notes in the words of updaters: Markdown as HTML, and as plain text. PURE.

Source: CommonMark 0.31; XML 1.0 section 2.2.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.token import Token

# A window that shows notes would run the first and the last, and show anything at all for the others.
_DANGEROUS = re.compile(r"(?:javascript|vbscript|data|file):")
# Browsers look past these within a scheme.
_SKIPPED = re.compile(r"[\x00-\x20\x7f-\xa0\xad\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff]+")
# Source: XML 1.0, production 2: what no document may hold, not even as a reference.
_NEVER_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Markdown(MarkdownIt):
    """CommonMark without raw HTML, and without addresses that do something when they are followed."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False})

    def validateLink(self, url: str) -> bool:
        """Tell whether an address may stand in a link or an image."""
        return _DANGEROUS.match(_SKIPPED.sub("", unquote(url)).lower()) is None


_PARSER = _Markdown()


@functools.lru_cache(64)
def to_html(markdown: str) -> str:
    """Return Markdown as HTML that any XML document can hold: raw HTML is shown as text, not obeyed.

    Parsing takes 5 ms a KiB, so the last 64 are kept, by their text: 2 MiB of notes of 8 KiB; of the largest, 30 MiB.
    """
    rendered: str = _PARSER.render(xml_text(markdown))
    return rendered


@functools.lru_cache(64)
def to_text(markdown: str, max_characters: int) -> str:
    """Return Markdown as plain text: a line for each paragraph, list items behind `- `, addresses of links in brackets.

    What is longer than `max_characters` ends in an ellipsis.
    """
    lines = list(_lines(_PARSER.parse(xml_text(markdown))))
    text = "\n".join(lines).strip()
    return text if len(text) <= max_characters else text[: max_characters - 1].rstrip() + "\u2026"


def xml_text(text: str) -> str:
    """Return a text without the characters that no XML document may hold."""
    return _NEVER_IN_XML.sub("", text)


def _lines(tokens: list[Token]) -> Iterator[str]:
    """Give the lines of a parsed text, with an empty one between blocks."""
    depth, marks = 0, [""]
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open"):
            depth += 1
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            depth -= 1
            if not depth:
                yield ""
        elif token.type == "list_item_open":
            marks = [f"{token.info}{token.markup} " if token.info else "- "]
        elif token.type == "inline":
            beginning = "  " * max(0, depth - 1) + marks[0] if depth else ""
            yield beginning + _inline(token.children or []).replace("\n", "\n" + " " * len(beginning))
            marks = ["  "]
            if not depth:
                yield ""
        elif token.type in ("code_block", "fence"):
            yield token.content.rstrip("\n")
            yield ""


def _inline(tokens: list[Token]) -> str:
    """Return the text of a line's parts."""
    parts, addresses = [], []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append("\n")
        elif token.type == "image":
            parts.append(_inline(token.children or []))
        elif token.type == "link_open":
            addresses.append((len(parts), str(token.attrGet("href") or "")))
        elif token.type == "link_close" and addresses:
            start, address = addresses.pop()
            if address and address != "".join(parts[start:]):
                parts.append(f" ({address})")
    return "".join(parts)
