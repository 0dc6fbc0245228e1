"""Read XML from strangers: no document type, so no entities and nothing to fetch; bounded in size and depth. PURE."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from updater_client.folder.model import FeedError

MAX_BYTES = 16 << 20
MAX_DEPTH = 32


@dataclass
class Element:
    """An element: its name as `namespace name` or `name`, its attributes by such names, its text, what is in it."""

    name: str
    attributes: dict[str, str]
    texts: list[str] = field(default_factory=list)
    children: list[Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Return the text of it alone, without space at its ends."""
        return "".join(self.texts).strip()

    def find(self, name: str) -> Element | None:
        """Return the first element of a name in it."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[Element]:
        """Return the elements of a name directly in it, in their order."""
        return (each for each in self.children if each.name == name)

    def text_of(self, name: str) -> str | None:
        """Return the text of the first element of a name in it; None when there is none, or it is empty."""
        found = self.find(name)
        return (found.text if found is not None else "") or None


def parse(content: bytes) -> Element:
    """Return the root of a document.

    Raises:
        FeedError: it is no proper XML, has a document type, or is larger or deeper than any feed.
    """
    if len(content) > MAX_BYTES:
        raise FeedError("it is too long for a feed file")
    document = Element("", {})
    open_ones = [document]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_ones) > MAX_DEPTH:
            raise FeedError("its elements are too deep")
        element = Element(name, attributes)
        open_ones[-1].children.append(element)
        open_ones.append(element)

    def refuse(*_: object) -> None:
        raise FeedError("it declares a document type or entities, which no feed needs")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: open_ones.pop()
    parser.CharacterDataHandler = lambda text: open_ones[-1].texts.append(text)
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:
        if isinstance(error, FeedError):
            raise
        raise FeedError(f"it is no proper XML: {error}") from None
    return document.children[0]
