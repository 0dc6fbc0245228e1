"""`updater report`: how an installation went."""

from __future__ import annotations

from typing import Any

import click

from updater.cli.remote import Remote, client_options, remote_options, target_options
from updater_client import InstallReport


@click.command(short_help="Tell how an installation went.")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--current-version", required=True, help="The version before.")
@click.option("--target-version", required=True, help="The version that was to be installed.")
@target_options(required=False)
@click.option("--status", type=click.Choice(("completed", "failed", "cancelled")), required=True)
@click.option("--error-message", help="What went wrong.")
@click.option("--install-time", "install_time_seconds", type=click.IntRange(min=0), help="Seconds it took.")
@click.option("--report-id", help="Reports with one id count once.  [default: a new one]")
@client_options
@remote_options
def report(
    remote: Remote,
    app_id: str,
    report_id: str | None,
    client_id: str | None,
    channel: str | None,
    **content: Any,
) -> None:
    """Tell the server how an installation went. On return the report is on its disk.

    \f
    Raises:
        ClickException: with status 5 when there is no such application, 8 when the server stays away.
    """
    if report_id is not None:
        content["report_id"] = report_id
    told = InstallReport(**content)
    remote.run(lambda client: client.report(app_id, told), client_id=client_id, channel=channel)
    remote.show(
        {"recorded": True, "report_id": told.report_id},
        [
            ("recorded", f"{app_id} {told.target_version} {told.target} {told.status}"),
            ("report id", told.report_id),
        ],
    )
