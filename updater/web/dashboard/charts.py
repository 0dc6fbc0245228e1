"""Charts: a table of figures in, the text of an SVG image out. Knows nothing of requests.

pygal draws; `drawing` takes off what it writes beside the drawing.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple
from xml.etree.ElementTree import tostring

from updater.telemetry.figure_tables import Cell, Table
from updater.telemetry.rollups import OTHER
from updater.web.dashboard.drawing import clean, height_of

# Series with a line of their own in a stack; the rest is drawn as one.
SERIES: Final = 8
_BARS: Final = 12
_TICKS: Final = 6


_LOOK: Final = dict.fromkeys(("label_font_size", "major_label_font_size", "legend_font_size", "value_font_size"), 12)
_NO_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@functools.cache
def _pygal() -> Any:
    """Import pygal with the first chart: a service of which nobody looks at figures does without its 2 MB.

    It leaves something in the way of all later imports, which looks for maps of its own that nobody uses.
    """
    import pygal

    sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != "pygal"]
    return pygal


class Size(NamedTuple):
    """The size of an image in pixels, and how many characters a label of a bar may have."""

    width: int
    label_characters: int
    ticks: int


WIDE: Final = Size(760, 34, _TICKS)
HALF: Final = Size(520, 26, 4)
NARROW: Final = Size(350, 16, 3)


class _Drawn(NamedTuple):
    """How a table is drawn: what draws it, and the class of the image."""

    draw: Callable[[Table, Size], Any]
    shape: str


def draw(table: Table, size: Size = WIDE) -> bytes:
    """Return the chart of a table as an SVG document, in UTF-8.

    It takes some ten milliseconds for a year of days: call it in a thread.

    Raises:
        KeyError: this table has no chart.
    """
    how = _DRAWN[table.name]
    chart = how.draw(table, size)
    root = chart.render_tree()
    clean(root, rest=_rest_of(chart))
    height = height_of(root)
    root.set("class", how.shape)
    root.set("role", "img")
    root.set("aria-label", describe(table))
    root.set("width", str(size.width))
    root.set("viewBox", f"0 0 {size.width} {height}")
    root.set("height", str(height))
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + bytes(tostring(root, encoding="utf-8"))


def describe(table: Table) -> str:
    """Say in one sentence what the chart of a table shows: the alternative text of its image."""
    if is_empty(table):
        return f"{table.title}: nothing was counted."
    if table.name == "failure-rate":
        failed, completed = (sum(_number(row[index]) for row in table.rows) for index in (2, 3))
        return f"{table.title}: {_percent(failed / (failed + completed))} over all, {_amount(failed)} failed installs."
    if table.columns[0] == "at":
        sums = [sum(_number(row[index]) for row in table.rows) for index in range(1, len(table.columns))]
        named = [
            f"{_plain(name)} {_amount(total)}" for name, total in zip(table.columns[1:], sums, strict=True) if total
        ]
        return f"{table.title}: {_listed(named)}."
    value = _value_column(table)
    ranked = table.rows if table.name in _HISTOGRAMS else sorted(table.rows, key=lambda row: -_number(row[value]))
    return f"{table.title}: {_listed([f'{_label(table, row)} {_amount(_number(row[value]))}' for row in ranked])}."


def is_empty(table: Table) -> bool:
    """Tell whether nothing was counted that a table could show."""
    return not any(_number(cell) for row in table.rows for cell in row[1:])


# -- kinds of charts


def _area(table: Table, size: Size) -> Any:
    names = list(table.columns[1:])
    columns = [[_number(row[index]) for row in table.rows] for index in range(1, len(table.columns))]
    kept = [index for index, name in enumerate(names) if name != OTHER][:SERIES]
    rest = [index for index in range(len(names)) if index not in kept]
    chart = _over_time(_pygal().StackedLine, table, size, series=len(kept) + bool(rest), fill=True)
    for index in kept:
        chart.add(_plain(names[index]), columns[index])
    if rest:
        chart.add(OTHER, [sum(values) for values in zip(*(columns[index] for index in rest), strict=True)])
    return chart


def _lines(table: Table, size: Size) -> Any:
    chart = _over_time(_pygal().Line, table, size, series=len(table.columns) - 1)
    for index, name in enumerate(table.columns[1:], 1):
        chart.add(name, [_number(row[index]) for row in table.rows])
    return chart


def _rates(table: Table, size: Size) -> Any:
    chart = _over_time(_pygal().Line, table, size, series=1, percent=True, allow_interruptions=True)
    # A bucket without reports has no rate, and the line a gap.
    chart.add("failure rate", [None if row[1] is None else _number(row[1]) for row in table.rows])
    return chart


def _over_time(kind: Any, table: Table, size: Size, *, series: int, percent: bool = False, **more: Any) -> Any:
    hourly = any(isinstance(row[0], datetime) and row[0].hour for row in table.rows[:2])
    labels = [_moment(row[0], hourly=hourly) for row in table.rows]
    every = max(1, -(-len(labels) // size.ticks))
    columns = {WIDE: 4, HALF: 3}.get(size, 2)
    rows = -(-series // columns)
    return kind(
        **_common(size, height=(300 if size is WIDE else 250) + 20 * rows, formatter=_percent if percent else _amount),
        # The last label is centred below the last point.
        margin_right=40,
        show_dots=len(labels) == 1,
        x_labels=labels,
        x_labels_major=labels[::every],
        show_minor_x_labels=False,
        legend_at_bottom=True,
        legend_at_bottom_columns=columns,
        truncate_legend=22 if size is WIDE else 18,
        **more,
    )


def _bars(table: Table, size: Size) -> Any:
    value = _value_column(table)
    rows = list(table.rows)
    if table.name not in _HISTOGRAMS:
        rest = sum(_number(row[value]) for row in rows[_BARS:])
        rows = rows[:_BARS]
        shown = [(_short(_label(table, row), size.label_characters), _number(row[value])) for row in rows]
        if rest:
            shown.append(("all others", rest))
    else:
        shown = [(_label(table, row), _number(row[value])) for row in rows]
    # The first one on top. Each says its number, so that no length has to be measured against the axis.
    shown = [(f"{label}: {_amount(count)}", count) for label, count in reversed(shown)]
    chart = _pygal().HorizontalBar(
        **_common(size, height=60 + 26 * max(len(shown), 2)),
        show_legend=False,
        x_labels=[label for label, _ in shown],
        rounded_bars=2,
    )
    chart.add(table.title, [count for _, count in shown])
    return chart


def _common(size: Size, height: int, formatter: Callable[[float], str] | None = None) -> dict[str, Any]:
    return {
        "style": _pygal().style.Style(**_LOOK),
        "css": [],
        "js": [],
        "no_prefix": True,
        "width": size.width,
        "height": height,
        "margin": 8,
        "spacing": 8,
        "truncate_label": -1,
        "no_data_text": "Nothing was counted",
        "include_x_axis": True,
        "max_scale": 6,
        "min_scale": 2,
        "value_formatter": formatter or _amount,
    }


_HISTOGRAMS: Final = frozenset({"throughput", "install-time"})
_DRAWN: Final = {
    "adoption": _Drawn(_area, "area"),
    "installs": _Drawn(_area, "area"),
    "outcomes": _Drawn(_area, "area outcomes"),
    "failure-rate": _Drawn(_rates, "lines"),
    "downloads": _Drawn(_lines, "lines"),
    "errors": _Drawn(_bars, "bars"),
    "platforms": _Drawn(_bars, "bars"),
    "countries": _Drawn(_bars, "bars"),
    "throughput": _Drawn(_bars, "bars"),
    "install-time": _Drawn(_bars, "bars"),
}
CHARTS: Final = tuple(_DRAWN)
"""The names of the tables that have a chart."""


# -- texts


def _label(table: Table, row: Sequence[Cell]) -> str:
    if table.name == "throughput":
        return f"{_bytes(_number(row[0]))} to {_bytes(_number(row[1]))}/s"
    if table.name == "install-time":
        return f"{_seconds(_number(row[0]))} to {_seconds(_number(row[1]))}"
    return _plain(f"{row[0]}/{row[1]}" if table.name == "platforms" else row[0])


def _value_column(table: Table) -> int:
    if table.name == "platforms" and not any(_number(row[2]) for row in table.rows):
        return table.columns.index("reports")
    return next(table.columns.index(each) for each in ("checks", "count") if each in table.columns)


def _plain(text: object) -> str:
    """Return a text of anybody as XML can hold it, on one line."""
    return " ".join(_NO_XML.sub("\ufffd", str(text)).split()) or "(empty)"


def _short(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}\u2026"


def _listed(named: Sequence[str]) -> str:
    shown = [_short(each, 80) for each in named[:5]]
    more = len(named) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _amount(value: float) -> str:
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}" if value != round(value) else f"{value:.0f}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g} %"


def _bytes(value: float) -> str:
    for power, sign in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if value >= 1 << power:
            return f"{value / (1 << power):.0f} {sign}"
    return f"{value:.0f} B"


def _seconds(value: float) -> str:
    for length, sign in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if value >= 2 * length:
            return f"{value / length:.0f} {sign}"
    return f"{value:.0f} s"


def _moment(at: Cell, *, hourly: bool) -> str:
    if not isinstance(at, datetime):
        return str(at)
    return f"{at:%m-%d %H:%M}" if hourly else f"{at:%Y-%m-%d}"


def _number(cell: Cell) -> float:
    return cell if isinstance(cell, int | float) else 0


def _rest_of(chart: Any) -> str | None:
    """Return the class of the series that sums up all others; None where there is none."""
    titles = [title for _, options in chart.raw_series if (title := options.get("title")) is not None]
    return f"color-{len(titles) - 1}" if titles and titles[-1] == OTHER else None
