"""`updater feeds`: what each stock updater is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from updater.cli.output import print_rows, print_table
from updater.cli.remote import Remote, remote_options
from updater.cli.words import wrapped


@click.command(short_help="Show what each stock updater is shown, and why.")
@click.argument("app_id", metavar="APP")
@click.option("--channel", help="On this channel.  [default: the application's first]")
@remote_options
def feeds(remote: Remote, app_id: str, channel: str | None) -> None:
    """Show the address of each feed, the version in it, and the newer ones that it passes over.

    It is what a client sees whose version is unknown and that is outside of every rollout; `updater explain` tells of
    one client. Needs a key that may read.

    \f
    Raises:
        ClickException: with status 5 when there is no such application, 7 for none of its channels.
    """
    found = remote.run(lambda client: client.releases.list_feeds(app_id, channel))
    if remote.as_json:
        remote.show(found, [])
        return
    shown = found.get("feeds") or []
    rows = [(each["feed"], _target(each), each.get("version") or "-", each.get("url")) for each in shown]
    print_table(("feed", "target", "shows", "address"), rows)
    print_rows(
        [
            (f"{each['feed']} {_target(each)}", wrapped(f"passes over {over['version']}: {over['reason']}"))
            for each in shown
            for over in each.get("passed_over") or ()
        ]
    )


def _target(feed: Mapping[str, Any]) -> str:
    return "/".join(str(feed[name]) for name in ("platform", "architecture") if feed.get(name))
