"""Charts: well-formed, harmless whatever clients send, readable, and quick enough.

Controls: `clean` left out, `_plain` without its replacement, `_rest_of` returning None: each turns red.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from tests.web.dashboard.payloads import PAYLOADS
from updater.telemetry.figure_tables import Cell, Table
from updater.web.dashboard.charts import CHARTS, NARROW, SERIES, WIDE, Size, describe, draw
from updater.web.dashboard.drawing import STYLE_SOURCE

DAY = datetime(2026, 1, 1, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"
ALLOWED = {"svg", "defs", "style", "g", "rect", "path", "text", "circle", "line"}
HOSTILE = [*PAYLOADS, "\0\x0b\x1f\ud800\ufffe", "a" * 180, "", " ", "]]>", "<!--", "url(https://evil.example.com/)"]


def columns_of(name: str, texts: list[str]) -> tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...]]:
    """Return a table of this name in which every text is one of `texts`."""
    numbers = range(1, len(texts) + 1)
    if name in ("adoption", "installs"):
        rows = tuple((DAY + timedelta(days=day), *numbers) for day in range(5))
        return ("at", *texts), rows
    if name in ("outcomes", "downloads", "failure-rate"):
        return ("at", "failure_rate", "failed", "completed"), tuple(
            (DAY + timedelta(days=day), None if day == 2 else 0.1, 1, 9) for day in range(5)
        )
    if name == "platforms":
        return ("platform", "architecture", "checks", "reports", "share"), tuple(
            (text, text, number, number, 0.1) for text, number in zip(texts, numbers, strict=True)
        )
    if name in ("throughput", "install-time"):
        return ("from_s", "below_s", "count"), tuple((2**power, 2 ** (power + 1), 5) for power in range(38))
    column = "checks" if name == "countries" else "count"
    return ("text", column, "share"), tuple((text, number, 0.1) for text, number in zip(texts, numbers, strict=True))


@pytest.mark.parametrize("size", [WIDE, NARROW])
@pytest.mark.parametrize("name", CHARTS)
def test_no_text_of_a_client_becomes_anything_but_text(name: str, size: Size) -> None:
    for start in range(0, len(HOSTILE), 12):
        table = Table(name, "Title", *columns_of(name, HOSTILE[start : start + 12]))
        drawn = draw(table, size)
        root = ElementTree.fromstring(drawn)
        nodes = list(root.iter())
        assert {each.tag.removeprefix(SVG) for each in nodes} <= ALLOWED
        for each in nodes:
            names = {name.lower() for name in each.attrib}
            assert not {name for name in names if name.startswith("on")}, each.attrib
            assert not names & {"href", "style", "id", "src", "{http://www.w3.org/1999/xlink}href"}, each.attrib
        (style,) = root.iter(f"{SVG}style")
        assert "evil" not in (style.text or "")
        assert "url(" not in (style.text or "")
        markup = re.sub(rb">[^<]*<|aria-label=\"[^\"]*\"", b" ", drawn)
        addresses = set(re.findall(rb"(?:https?:)?//[\w.]+", markup))
        assert addresses <= {b"http://www.w3.org"}, "nothing is loaded from elsewhere"
        assert b"<!--" not in drawn


@pytest.mark.parametrize("name", CHARTS)
@pytest.mark.parametrize("rows", [0, 1])
def test_nothing_and_one_row_can_be_drawn(name: str, rows: int) -> None:
    columns, full = columns_of(name, ["1.0.0"])
    for table in (Table(name, "Title", columns, full[:rows]), Table(name, "Title", columns, ())):
        assert ElementTree.fromstring(draw(table)).get("role") == "img"
    assert describe(Table(name, "Title", columns, ())) == "Title: nothing was counted."


def test_nobody_was_counted_at_all() -> None:
    for rows in ((), ((DAY,),)):
        table = Table("adoption", "Title", ("at",), rows)
        assert b"Nothing was counted" in draw(table)
        assert describe(table) == "Title: nothing was counted."


def test_texts_are_large_enough_and_the_narrow_image_fits_a_phone() -> None:
    root = ElementTree.fromstring(draw(Table("errors", "Title", *columns_of("errors", HOSTILE[:12])), NARROW))
    (style,) = root.iter(f"{SVG}style")
    assert int(root.attrib["width"]) <= 390
    assert set(re.findall(r"font-size:(\d+)px", style.text or "")) == {"12"}
    assert "prefers-color-scheme:dark" in (style.text or "")
    assert STYLE_SOURCE.startswith("'sha256-")


def test_what_is_drawn_together_is_grey_and_last() -> None:
    names = [f"1.{number}.0" for number in range(SERIES + 3)]
    root = ElementTree.fromstring(draw(Table("adoption", "Title", *columns_of("adoption", [*names, "other"]))))
    legends = [each for each in root.iter(f"{SVG}g") if (each.get("class") or "").startswith("legend ")]
    assert [legend.find(f"{SVG}text").text for legend in legends] == [*names[:SERIES], "other"]  # type: ignore[union-attr]
    assert "rest" in legends[-1].find(f"{SVG}rect").attrib["class"]  # type: ignore[union-attr]


def test_the_alternative_text_says_what_the_chart_says() -> None:
    adoption = Table("adoption", "Update checks by version", ("at", "1.1.0", "1.0.0"), ((DAY, 900, 100), (DAY, 300, 0)))
    assert describe(adoption) == "Update checks by version: 1.1.0 1.2k, 1.0.0 100."
    rate = Table(
        "failure-rate", "Failure rate of installs", ("at", "failure_rate", "failed", "completed"), ((DAY, 0.1, 1, 9),)
    )
    assert describe(rate) == "Failure rate of installs: 10 % over all, 1 failed installs."
    none = Table("failure-rate", "Rate", ("at", "failure_rate", "failed", "completed"), ((DAY, 0.0, 0, 9),))
    assert describe(none) == "Rate: 0 % over all, 0 failed installs."


def test_a_year_of_days_is_drawn_in_time_and_in_bounds() -> None:
    names = [f"1.{number}.0" for number in range(8)]
    rows = tuple(
        (DAY + timedelta(days=day), *((day * 7 + number * 31) % 97 for number in range(8))) for day in range(366)
    )
    drawn = draw(Table("adoption", "Title", ("at", *names), rows))
    assert len(drawn) < 120_000
    assert len(re.findall(rb" class=\"line reactive\"", drawn)) == 8
