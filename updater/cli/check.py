"""`updater check`: is there something newer?"""

from __future__ import annotations

import click

from updater.cli.exits import Exit
from updater.cli.output import as_plain
from updater.cli.remote import Remote, machine_options, remote_options
from updater.client import CheckResult, Machine, UpdateClient


@click.command(short_help="Ask whether there is a newer release.")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--current-version", required=True, help="The version that is installed.")
@machine_options(required=False)
@click.option("--allow-prerelease", is_flag=True, help="Also offer pre-releases.")
@remote_options
def check(
    remote: Remote,
    app_id: str,
    current_version: str,
    machine: Machine,
    allow_prerelease: bool,
) -> None:
    """Ask whether there is a newer release; exit status 3 says that there is none."""

    async def work(client: UpdateClient) -> CheckResult:
        return await client.check(
            app_id, current_version, machine, allow_prerelease=allow_prerelease, include_metadata=True
        )

    show_check(remote, remote.run(work))


def show_check(remote: Remote, result: CheckResult) -> None:
    """Print the answer; end the command with status 3 when there is no update."""
    document = {"update_available": result.update_available, **as_plain(result)}
    release = result.release
    if release is None:
        remote.show(document, [("up to date", result.current_version)])
        raise click.exceptions.Exit(Exit.NO_UPDATE)
    remote.show(
        document,
        [
            ("update", f"{result.current_version} -> {release.version} {release.machine}"),
            ("required", result.required),
            ("released", release.release_date),
            ("bytes", release.file_size_bytes),
            (release.checksum_type, release.checksum),
            ("download", release.download_url),
            ("notes", release.release_notes),
        ],
    )
