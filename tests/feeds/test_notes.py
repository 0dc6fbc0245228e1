"""Release notes as HTML and as text: nothing that a publisher writes becomes markup, an action, or broken XML."""

from __future__ import annotations

import itertools
from html.parser import HTMLParser
from xml.dom import minidom

import pytest

from updater.feeds.notes import _Kept, is_known, preview, to_html, to_text, xml_text

ADDRESSES = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "javascript&colon;alert(1)",
    "&#106;avascript:alert(1)",
    "&#x6A;avascript:alert(1)",
    "java\tscript:alert(1)",
    "java&#10;script:alert(1)",
    "java&NewLine;script:alert(1)",
    "\x01javascript:alert(1)",
    "\u200bjavascript:alert(1)",
    "javascript\u200b:alert(1)",
    "%6Aavascript:alert(1)",
    "javascript%3Aalert(1)",
    "vbscript:msgbox(1)",
    "VBSCRIPT:msgbox(1)",
    "data:text/html,<script>alert(1)</script>",
    "data:image/png;base64,iVBORw0KGgo=",
    "data:image/svg+xml;base64,PHN2Zz4=",
    "  data:text/html;base64,PHNjcmlwdD4=",
    "file:///etc/passwd",
)
LINKS = (
    "[x]({})",
    "[x](<{}>)",
    "![x]({})",
    "<{}>",
    "[x]: {}\n\n[x]",
    "[![y]({0})]({0})",
    '[x]({} "title")',
    "> - [x]({})",
)
RAW = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<!-- ]]> -->",
    "<![CDATA[x]]>",
    "]]>",
    "`]]>`",
    "```]]>\n]]>\n```",
    "<?xml version='1.0'?>",
    "<iframe src='//e.example'></iframe>",
    '[x](http://a.example "\\"><script>")',
    "[x](http://a.example/]]>)",
    "\x00\x08\x0b\x0c\x1b\ufffe\uffff]]>",
    "&lt;script&gt;",
    "<svg/onload=alert(1)>",
    "</description></item>",
    "<a href='javascript:alert(1)'>x</a>",
    "&#0;&#1;&#x1b;&#xD800;&#xFFFE;",
    "```html onload=alert(1)\n<b>\n```",
    '!["onerror="alert(1)](http://a.example/x.png)',
    "<details open ontoggle=alert(1)>",
)
HOSTILE = [link.format(address) for link, address in itertools.product(LINKS, ADDRESSES)] + [
    wrapped.format(raw) for wrapped, raw in itertools.product(("{}", "# {}", "* {0}\n* {0}"), RAW) if "{" not in raw
]
ALLOWED = {
    *(f"h{n}" for n in range(1, 7)),
    *["p", "ul", "ol", "li", "blockquote", "pre", "code", "em", "strong", "a", "img", "br", "hr"],
}


class Reader(HTMLParser):
    """Reads HTML as a browser would, and refuses what could act."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in ALLOWED
        for name, value in attrs:
            assert name in ("href", "src", "alt", "title", "start", "class")
            if name in ("href", "src"):
                address = "".join(each for each in value or "" if each > " ").lower()
                assert not address.startswith(("javascript", "vbscript", "data:", "file:")), address


def in_cdata(html: str) -> str:
    """Put HTML into a document as a feed does, and read it back."""
    document = f"<d><![CDATA[{html}]]></d>"
    return "".join(each.data for each in minidom.parseString(document.encode()).documentElement.childNodes)


def test_there_are_enough_hostile_notes() -> None:
    assert len(HOSTILE) >= 200


@pytest.mark.parametrize("markdown", HOSTILE)
def test_hostile_notes_become_harmless_html(markdown: str) -> None:
    html = to_html(markdown)
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert "]]>" not in html
    assert in_cdata(html) == html


@pytest.mark.parametrize("markdown", HOSTILE)
def test_hostile_notes_are_text_that_xml_can_hold(markdown: str) -> None:
    text = to_text(markdown, 10_000)
    assert text == xml_text(text)


def test_the_reader_refuses_what_acts() -> None:
    for bad in ("<script>", "<a href='java\nscript:1'>", "<p onclick='x'>"):
        with pytest.raises(AssertionError):
            Reader().feed(bad)


def test_notes_are_commonmark() -> None:
    html = to_html("# New\n\n* **fast** [site](https://a.example/?a=1&b=2)\n* `code`\n\n![i](/i.png)")
    assert "<h1>New</h1>" in html
    assert '<strong>fast</strong> <a href="https://a.example/?a=1&amp;b=2">site</a>' in html
    assert "<code>code</code>" in html and '<img src="/i.png" alt="i" />' in html


def test_text_keeps_the_shape_of_lists_and_the_addresses() -> None:
    markdown = (
        "# New\n\nA *fine* release,\nreally.\n\n* one [site](https://a.example)\n  * inner\n* two\n\n"
        "1. first\n2. second\n\n```\nx = 1\n```\n\n<https://b.example>"
    )
    assert to_text(markdown, 10_000) == (
        "New\n\nA fine release,\nreally.\n\n- one site (https://a.example)\n  - inner\n- two\n\n"
        "1. first\n2. second\n\nx = 1\n\nhttps://b.example"
    )


def test_text_is_bounded() -> None:
    assert to_text("ab cd", 5) == "ab cd"
    assert to_text("ab cd", 4) == "ab\u2026"
    assert len(to_text("word " * 12_000, 10_000)) <= 10_000
    assert to_text("", 10) == to_html("") == ""


def test_what_was_made_is_kept_within_its_bound() -> None:
    made: list[str] = []

    def double(text: str) -> str:
        made.append(text)
        return text * 2

    kept = _Kept(double, 30)
    assert [kept.of("aaa"), kept.of("bbb"), kept.of("ccc"), kept.of("aaa")] == ["a" * 6, "b" * 6, "c" * 6, "a" * 6]
    assert made == ["aaa", "bbb", "ccc"]
    assert kept.of("ddd") == "d" * 6
    assert "aaa" in kept and "bbb" not in kept
    assert kept.of("e" * 11) == "e" * 22
    assert "e" * 11 not in kept and "ddd" not in kept
    assert not is_known("never seen") and to_html("never seen") and is_known("never seen")


def test_our_own_pages_load_no_images_of_notes() -> None:
    shown = preview("![x](https://a.example/x.png) **fast** <b>raw</b> [bad](javascript:alert)")
    assert "<img" not in shown
    assert 'href="https://a.example/x.png"' in shown
    assert "<strong>fast</strong> &lt;b&gt;raw" in shown
    assert "javascript:alert" not in shown.replace("(javascript:alert)", "")
