"""`updater figures`: what became of an application's releases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from updater.cli.output import print_rows, print_table
from updater.cli.remote import Remote, remote_options

_MIB = 1 << 20


@click.command()
@click.argument("argument", metavar="[APP]", required=False)
@click.option("--app", "app_id", help="Application id.")
@click.option("--from", "first", help="A day, or a time with its zone.  [default: 30 days, or 48 hours, before --to]")
@click.option("--to", "last", help="A day, or a time with its zone, not included.  [default: now]")
@click.option("--bucket", type=click.Choice(("hour", "day", "month")), default="day", show_default=True)
@remote_options
def figures(
    remote: Remote, argument: str | None, app_id: str | None, first: str | None, last: str | None, bucket: str
) -> None:
    """Show adoption, failures, downloads and countries. Needs a key that may read.

    \f
    Raises:
        UsageError: no application is given, or two are.
        ClickException: with status 7 for a window that does not fit, 5 when there is no such application.
    """

    if (argument is None) == (app_id is None):
        raise click.UsageError("give one application: --app APP")
    asked = app_id or argument or ""
    found = remote.run(lambda client: client.get_figures(asked, first=first, last=last, bucket=bucket))
    if remote.as_json:
        remote.show(found, [])
    else:
        _print(found)


def _print(found: Mapping[str, Any]) -> None:
    reports, downloads = found["reports"], found["downloads"]
    throughput, install = downloads["throughput_bytes_per_s"], found["install_time_s"]
    print_rows(
        [
            ("from", found["from"]),
            ("to", found["to"]),
            ("installs", ", ".join(f"{reports[name]} {name}" for name in ("completed", "failed", "cancelled"))),
            ("failure rate", _percent(reports["failure_rate"])),
            ("install time", _times(install)),
            ("downloads", ", ".join(f"{downloads[name]} {name}" for name in ("started", "finished"))),
            ("success rate", _percent(downloads["success_rate"])),
            ("throughput", _rates(throughput)),
            ("update checks", found["checks"]),
        ]
    )
    for title, entries in (
        ("versions", found["versions"]),
        ("platforms", found["platforms"]),
        ("errors", found["errors"]),
        ("countries", found["countries"]),
        ("over time", [each for each in found["series"] if any(each[name] for name in each if name != "at")]),
    ):
        _print_entries(title, entries)


def _print_entries(title: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Print a list of like objects under its title; nothing when it is empty."""
    if not entries:
        return
    click.echo(f"\n{title}")
    names = [name for name in entries[0] if not name.endswith("_by_version")]
    rows = [[_percent(entry[name]) if name == "share" else entry[name] for name in names] for entry in entries]
    print_table([name.replace("_", " ") for name in names], rows)


def _times(found: Mapping[str, Any]) -> str:
    if not found["count"]:
        return "-"
    return f"half within {found['p50']:g} s, 95 % within {found['p95']:g} s ({found['count']} measured)"


def _rates(found: Mapping[str, Any]) -> str:
    if not found["count"]:
        return "-"
    half, most = (f"{found[name] / _MIB:.2f} MiB/s" for name in ("p50", "p95"))
    return f"half up to {half}, 95 % up to {most} ({found['count']} measured)"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"
