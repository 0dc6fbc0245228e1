"""What is left of what pygal writes: shapes, texts, and one style of our own.

Scripts, comments, addresses, hints for its own script and its style are taken off. Our style is one fixed text, so a
policy can allow it by its hash (`STYLE_SOURCE`), and an image holds nothing that could act, wherever it is opened.
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element

# Colours that people with any kind of colour blindness tell apart, and that stand out on white and on black.
# Source: Okabe and Ito 2008, darkened or lightened to a contrast of 3 to 1 with the background.
_LIGHT: Final = ("#0072b2", "#d55e00", "#009e73", "#a6569b", "#b07d00", "#3a91c9", "#8a3d00", "#4b6b00", "#6a51a3")
_DARK: Final = ("#56b4e9", "#ff8c42", "#2fc49b", "#e29bd0", "#f0c53c", "#8fd0f5", "#d6925a", "#a9c75a", "#b8a6e8")
_GREY: Final = ("#767676", "#9a9a9a")


def _colours(colours: Sequence[str], grey: str) -> str:
    rules = (f".color-{number}{{fill:{each};stroke:{each}}}" for number, each in enumerate(colours))
    return "".join(rules) + f".rest{{fill:{grey};stroke:{grey}}}"


# Lines are told apart by their dashes as well.
_STYLE: Final = (
    "svg{font-family:system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;font-size:12px}"
    ".background{fill:none}text{fill:#3b4252;stroke:none}"
    ".axis .line{stroke:#c3c8d2}.axis .guide{fill:none;stroke:#e3e6ec}"
    ".vertical .axis.x .guide,.horizontal .axis.y .guide{stroke:none}"
    ".axis.x text,.no_data{text-anchor:middle}.axis.y text{text-anchor:end}"
    f"{_colours(_LIGHT, _GREY[0])}.reactive{{stroke-width:1.5}}.area .line{{stroke:#fff;stroke-width:1}}"
    ".nofill{fill:none}.legend text{fill-opacity:1}"
    ".lines .serie-1 .line{stroke-dasharray:6 3}.lines .serie-2 .line{stroke-dasharray:2 3}"
    ".outcomes .color-0{fill:#009e73;stroke:#009e73}.outcomes .color-2{fill:#767676;stroke:#767676}"
    "@media(prefers-color-scheme:dark){text{fill:#d5dae4}.axis .line{stroke:#5a6375}.axis .guide{stroke:#343b49}"
    f"{_colours(_DARK, _GREY[1])}.area .line{{stroke:#1b211e}}"
    ".outcomes .color-0{fill:#2fc49b;stroke:#2fc49b}.outcomes .color-2{fill:#9a9a9a;stroke:#9a9a9a}}"
)
STYLE_SOURCE: Final = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""What a Content-Security-Policy has to say for the style of an image to count."""

_KEPT: Final = frozenset(
    {
        *("viewBox", "class", "transform", "d", "x", "y", "width", "height", "cx", "cy", "r", "rx", "ry"),
        *("xmlns", "text-anchor", "role", "aria-label", "preserveAspectRatio"),
    }
)
_DROPPED: Final = frozenset({"script", "desc", "title"})
_LONG_NUMBER: Final = re.compile(r"-?\d+\.\d\d+")
_TRANSLATED: Final = re.compile(r"translate\(.*, (.*)\)")


def clean(node: Element, rest: str | None) -> None:
    """Take everything off a drawing that is neither shape nor text, and set our style.

    `rest` is the class of the series that sums up all others; None where there is none.
    """
    for child in list(node):
        if not isinstance(child.tag, str) or child.tag in _DROPPED or _is_hint(child):
            node.remove(child)
        elif child.tag == "style":
            child.attrib.clear()
            child.text = _STYLE
        else:
            clean(child, rest)
    for name in [name for name in node.attrib if name not in _KEPT]:
        del node.attrib[name]
    if rest is not None and rest in node.get("class", "").split():
        node.set("class", node.attrib["class"].replace(rest, "rest"))
    for name in ("d", "x", "y", "width", "height", "cx", "cy"):
        if name in node.attrib:
            node.set(name, _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.1f}", node.attrib[name]))


def height_of(root: Element) -> int:
    """Return the height in which all of a drawing has room: pygal leaves too little for some legends."""
    height = int(root.attrib["viewBox"].split()[-1])
    for group in root.iter("g"):
        if group.get("class") == "legends":
            top = float(_TRANSLATED.fullmatch(group.get("transform", "translate(0, 0)"))[1])  # type: ignore[index]
            lowest = max((float(each.get("y", 0)) for each in group.iter("text")), default=0.0)
            height = max(height, math.ceil(top + lowest + 10))
    return height


def _is_hint(node: Element) -> bool:
    """Tell whether a node is there for pygal's own script: its tooltips."""
    return "tooltip" in node.get("class", "").split()
