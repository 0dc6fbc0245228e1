"""The templates of all pages, and how they show sizes, times and counts.

jinja2 is imported with the first page: it is 3 MiB that a service whose pages nobody opens does without.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import jinja2
    from markupsafe import Markup

# What every page is made of.
_SHARED: Final = ("base.html", "layout.html", "kit.html", "error.html")
_UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


@functools.cache
def environment() -> jinja2.Environment:
    """Return the one environment of all pages. Texts are escaped; a name that no page gives is an error."""
    import jinja2

    made = jinja2.Environment(
        loader=jinja2.PackageLoader("updater.web.dashboard"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {"size": size, "moment": moment, "count": count, "percent": percent, "counted": counted}
    return made


def load() -> None:
    """Read what the first page would wait for: a twentieth of a second, so in a thread."""
    for name in _SHARED:
        environment().get_template(name)


def size(n_bytes: float | None) -> str:
    """Return a number of bytes as people read it: `512 bytes`, `1.5 MiB`; a dash without one."""
    if n_bytes is None:
        return "–"  # noqa: RUF001
    for unit in _UNITS:
        if n_bytes < 1024 or unit == _UNITS[-1]:
            break
        n_bytes /= 1024
    return f"{n_bytes:.0f} {unit}" if unit == _UNITS[0] or n_bytes >= 100 else f"{n_bytes:.1f} {unit}"


def moment(at: datetime | None) -> Markup | str:
    """Return a time as an element that the page's script shows in the reader's own zone; a dash without one.

    Without the script it is UTC, to the minute.
    """
    if at is None:
        return "–"  # noqa: RUF001
    from markupsafe import Markup

    utc = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        utc.isoformat(timespec="seconds").replace("+00:00", "Z"), utc.strftime("%Y-%m-%d %H:%M UTC")
    )


def count(number: int | None) -> str:
    """Return a whole number with its thousands apart: `12,345`; a dash without one."""
    return "–" if number is None else f"{number:,}"  # noqa: RUF001


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun: `1 release`, `1,200 releases`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float | None) -> str:
    """Return a share of 1 as percent: `12.5 %`, `100 %`, and `< 0.1 %` for what is little but not nothing."""
    if share is None:
        return "–"  # noqa: RUF001
    if 0 < share < 0.001:
        return "< 0.1 %"
    text = f"{share * 100:.1f}".removesuffix(".0")
    return f"{'99.9' if text == '100' and share < 1 else text} %"
