"""`updater report`: how an installation went."""

from __future__ import annotations

from typing import Any

import click

from updater.cli.remote import Remote, machine_options, remote_options
from updater.client import InstallReport, UpdateClient


@click.command(short_help="Tell how an installation went.")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--current-version", required=True, help="The version before.")
@click.option("--target-version", required=True, help="The version that was to be installed.")
@machine_options(required=False)
@click.option("--status", type=click.Choice(("completed", "failed", "cancelled")), required=True)
@click.option("--error-message", help="What went wrong.")
@click.option("--install-time", "install_time_seconds", type=click.IntRange(min=0), help="Seconds it took.")
@click.option("--report-id", help="Reports with one id count once.  [default: a new one]")
@remote_options
def report(remote: Remote, app_id: str, report_id: str | None, **content: Any) -> None:
    """Tell the server how an installation went. On return the report is on its disk."""
    if report_id is not None:
        content["report_id"] = report_id
    told = InstallReport(**content)

    async def work(client: UpdateClient) -> None:
        await client.report(app_id, told)

    remote.run(work)
    remote.show(
        {"recorded": True, "report_id": told.report_id},
        [
            ("recorded", f"{app_id} {told.target_version} {told.machine} {told.status}"),
            ("report id", told.report_id),
        ],
    )
