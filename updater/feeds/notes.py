"""Release notes in the words of updaters: Markdown as HTML, and as plain text. PURE.

Source: CommonMark 0.31; XML 1.0 section 2.2.
"""

from __future__ import annotations

import functools
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from threading import Lock
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

# A window that shows notes would run the first and the last, and show anything at all for the others.
_DANGEROUS = re.compile(r"(?:javascript|vbscript|data|file):")
# Browsers look past these within a scheme.
_SKIPPED = re.compile(r"[\x00-\x20\x7f-\xa0\xad\u180e\u200b-\u200f\u2028-\u202f\u205f-\u206f\ufeff]+")
# Source: XML 1.0, production 2: what no document may hold, not even as a reference.
_NEVER_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@functools.lru_cache(1)
def _parser() -> MarkdownIt:
    """Return the parser of all notes that leave."""
    return _parser_of()


def _parser_of() -> MarkdownIt:
    """Make a parser of CommonMark without raw HTML, and without addresses that do something when followed."""
    from markdown_it import MarkdownIt  # when the first notes are read: not every server has any

    class Markdown(MarkdownIt):
        def validateLink(self, url: str) -> bool:
            return _DANGEROUS.match(_SKIPPED.sub("", unquote(url)).lower()) is None

    return Markdown("commonmark", {"html": False})


@functools.lru_cache(1)
def _page_parser() -> MarkdownIt:
    """Return a parser that takes images for links with a mark before them."""
    return _parser_of().disable("image")


class _Kept:
    """What was made of texts, by text: 4 ms a KiB are too much for each answer. PURE: nothing else depends on it.

    Bound: `max_characters` of texts and of what was made of them; the one that was asked for longest ago goes. A text
    never means another thing, so nothing here dies before.
    """

    def __init__(self, make: Callable[[str], str], max_characters: int) -> None:
        self._make = make
        self._max_characters = max_characters
        self._made: OrderedDict[str, str] = OrderedDict()
        self._characters = 0
        self._lock = Lock()

    def of(self, text: str) -> str:
        """Return what is made of a text."""
        with self._lock:
            made = self._made.get(text)
            if made is not None:
                self._made.move_to_end(text)
                return made
        made = self._make(text)
        with self._lock:
            if text not in self._made:
                self._made[text] = made
                self._characters += len(text) + len(made)
            while self._characters > self._max_characters:
                self._characters -= sum(map(len, self._made.popitem(last=False)))
        return made

    def __contains__(self, text: str) -> bool:
        return text in self._made


def to_html(markdown: str) -> str:
    """Return Markdown as HTML that any XML document can hold: raw HTML is shown as text, not obeyed."""
    return _HTML.of(markdown)


def preview(markdown: str) -> str:
    """Return notes as our own pages show them: images become links, since pages load nothing from elsewhere.

    Nothing is kept, and a KiB takes 4 ms: call it in a thread.
    """
    rendered: str = _page_parser().render(xml_text(markdown))
    return rendered


def is_known(markdown: str) -> bool:
    """Tell whether `to_html` has to parse nothing."""
    return markdown in _HTML


def to_text(markdown: str, max_characters: int) -> str:
    """Return Markdown as plain text: a line for each paragraph, list items behind `- `, addresses of links in brackets.

    What is longer than `max_characters` ends in an ellipsis.
    """
    text = _TEXT.of(markdown)
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


def _html(markdown: str) -> str:
    rendered: str = _parser().render(xml_text(markdown))
    return rendered


def _text(markdown: str) -> str:
    return "\n".join(_lines(_parser().parse(xml_text(markdown)))).strip()


_HTML = _Kept(_html, 8 << 20)
_TEXT = _Kept(_text, 2 << 20)
