"""`updater check`: is there something newer?"""

from __future__ import annotations

import click

from updater.cli.exits import Exit
from updater.cli.output import as_plain
from updater.cli.remote import Remote, client_options, remote_options, target_options
from updater_client import CheckResult, Target


@click.command(short_help="Ask whether there is a newer release.")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--current-version", required=True, help="The version that is installed.")
@target_options(required=False)
@click.option("--allow-prerelease", is_flag=True, help="Also offer pre-releases.")
@client_options
@click.option("--manual", is_flag=True, help="Somebody asks, now: past the percent of a rollout.")
@remote_options
def check(
    remote: Remote,
    app_id: str,
    current_version: str,
    target: Target,
    allow_prerelease: bool,
    manual: bool,
    client_id: str | None,
    channel: str | None,
) -> None:
    """Ask whether there is a newer release; exit status 3 says that there is none.

    \f
    Raises:
        ClickException: with status 5 when there is no such application.
    """

    result = remote.run(
        lambda client: client.check(
            app_id,
            current_version,
            target,
            allow_prerelease=allow_prerelease,
            include_metadata=True,
            manual=manual,
        ),
        client_id=client_id,
        channel=channel,
    )
    show_check(remote, result)


def show_check(remote: Remote, result: CheckResult) -> None:
    """Print the answer; end the command with status 3 when there is no update.

    Raises:
        Exit: with status 3 when there is no update.
    """
    document = {
        "update_available": result.update_available,
        "current_version": result.current_version,
        "release": as_plain(result.build),
        "required": result.required,
    }
    build = result.build
    if build is None:
        remote.show(document, [("up to date", result.current_version)])
        raise click.exceptions.Exit(Exit.NO_UPDATE)
    remote.show(
        document,
        [
            ("update", f"{result.current_version} -> {build.version} {build.target}"),
            ("required", result.required),
            ("released", build.release_date),
            ("bytes", build.file_size_bytes),
            (build.checksum_type, build.checksum),
            ("download", build.download_url),
            ("notes", build.release_notes),
        ],
    )
