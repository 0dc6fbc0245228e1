"""How results look: JSON documents, tables, progress bars. rich is imported only when it is needed."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from updater_client import Progress


@contextmanager
def progress_bar(label: str) -> Iterator[Progress | None]:
    """Show a bar of bytes on stderr while a transfer runs.

    Gives the function that moves the bar; None when stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    with _bars() as bar:
        task = bar.add_task(printable(label), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _bars() -> Any:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(),
               TransferSpeedColumn(), TimeRemainingColumn())  # fmt: skip
    return Progress(*columns, console=Console(stderr=True))


class Bars:
    """Bars of several transfers, and one for all of them. The place of `progress_bars`."""

    def __init__(self, progress: Any, title: str, total_bytes: int) -> None:
        self._progress = progress
        self._all = progress.add_task(printable(title), total=total_bytes)
        self._tasks: dict[Any, Any] = {}
        self._done: dict[Any, int] = {}

    def move(self, key: Any, label: str, done: int, total: int | None) -> None:
        """Move the bar of one transfer, which appears with its first bytes and goes with its last."""
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task(printable(label), total=total)
        self._done[key] = done
        self._progress.update(self._tasks[key], completed=done, total=total, visible=done != total)
        self._progress.update(self._all, completed=sum(self._done.values()))

    def advance(self, size_bytes: int) -> None:
        """Move the bar of all alone."""
        self._progress.advance(self._all, size_bytes)


@contextmanager
def progress_bars(title: str, total_bytes: int) -> Iterator[Bars | None]:
    """Show bars of bytes on stderr while transfers run, the one of all on top; None when stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with _bars() as progress:
        yield Bars(progress, title, total_bytes)


def replace_unprintable() -> None:
    """Let a terminal that knows few characters show the others as escapes, instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_rows(rows: Sequence[tuple[str, Any]], *, err: bool = False) -> None:
    """Print one thing in the order of `rows`: a name and its text, further lines of a text below its first.

    Args:
        err: to stderr, because stdout has something else.
    """
    width = max((len(name) for name, _ in rows), default=0)
    for name, content in rows:
        for number, line in enumerate(_in_words(content).splitlines()):
            click.echo(f"{printable(name) if number == 0 else '':<{width}}  {printable(line)}".rstrip(), err=err)


def print_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a list in columns, in the order of `rows`; a terminal limits their width."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=10_000, color_system=None)
    table = Table(*header, box=SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        # On a narrow terminal a long name goes on in the next line: half of it names nothing.
        table.add_row(*(Text(printable(_in_words(cell)), overflow="fold") for cell in row))
    console.print(table)


def printable(text: str) -> str:
    """Take out what a terminal would obey: text from a server is only ever shown."""
    return "".join(c if c.isprintable() else " " for c in text)


def in_bytes(size: int) -> str:
    """Return a size as people read it: `78.3 MB` of 78,300,000."""
    number, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if number < 1000:
            break
        number, unit = number / 1000, larger
    return f"{size} B" if unit == "B" else f"{number:.3g} {unit}" if number < 999.5 else f"{number:.0f} {unit}"


def as_plain(value: Any) -> Any:
    """Return a client's value as what JSON can say.

    Times are texts in UTC, paths are texts, and a target is two fields of its build. Fields keep their order.
    """
    if is_dataclass(value) and not isinstance(value, type):
        plain: dict[str, Any] = {}
        for field in fields(value):
            content = as_plain(getattr(value, field.name))
            plain |= content if field.name == "target" else {field.name: content}
        return plain
    if isinstance(value, dict):
        return {name: as_plain(content) for name, content in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    if isinstance(value, (datetime, PurePath)):
        return _in_words(value)
    return value


def _in_words(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)


def print_json(value: Any, *, err: bool = False) -> None:
    """Print one JSON document, indented, with the keys in the order of the fields.

    Args:
        err: to stderr, because stdout has something else.
    """
    stream = sys.stderr if err else sys.stdout
    # What a terminal cannot show is escaped as JSON escapes it.
    is_unicode = (getattr(stream, "encoding", None) or "").lower().startswith("utf")
    click.echo(json.dumps(as_plain(value), indent=2, ensure_ascii=not is_unicode), err=err)
