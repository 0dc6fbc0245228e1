"""`updater history`: who changed what of an application's releases."""

from __future__ import annotations

import textwrap

import click

from updater.cli.output import printable
from updater.cli.remote import Remote, remote_options
from updater.rollouts.words import change_in_words
from updater.times import in_minutes

_COLUMNS = 80


@click.command(short_help="Show who changed what of releases and rollouts.")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--version", help="Only changes of this version, however it is spelt.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many, newest first.")
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
@remote_options
def history(remote: Remote, app_id: str, version: str | None, limit: int, offset: int) -> None:
    """Show who changed what of releases, rollouts and channels, newest first. Needs a key that may read.

    \f
    Raises:
        ClickException: with status 5 when there is no such application, 7 for what is no version.
    """
    found = remote.run(lambda client: client.rollouts.history(app_id, version=version, limit=limit, offset=offset))
    if remote.as_json:
        remote.show(found, [])
        return
    for each in found["entries"]:
        who = f"{each['actor']['kind']} {each['actor']['name']}".strip()
        about = f" {each['version']}" if each["version"] else ""
        click.echo(printable(f"{each['id']:>5}  {in_minutes(each['at'])}  {each['action']}{about}  by {who}"))
        for text in (change_in_words(each["before"], each["after"]), each["reason"]):
            for line in textwrap.wrap(printable(text or ""), _COLUMNS - 7):
                click.echo(f"       {line}")
    if len(found["entries"]) < found["total_count"]:
        click.echo(f"{len(found['entries'])} of {found['total_count']} entries; --limit shows more", err=True)
