"""`updater fetch`: a verified file on this disk, however often the line breaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from updater.cli.check import show_check
from updater.cli.output import as_plain, progress_bar
from updater.cli.remote import Remote, machine_options, remote_options
from updater.client import CheckResult, FetchedFile, Machine, Release, UpdateClient


@click.command(short_help="Download a release: resumes, verifies.")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--version", help="This version.  [default: the latest]")
@click.option("--current-version", help="What is installed: fetch only what the server offers to it.")
@machine_options(required=False)
@click.option("--allow-prerelease", is_flag=True, help="Also take pre-releases.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path(),
    help="File or folder to write to.  [default: this folder, under the server's name for the file]",
)
@remote_options
def fetch(remote: Remote, app_id: str, output: Path, **wish: Any) -> None:
    """Download a release, verify its checksum, and only then give it its name.

    Cut off, it goes on where it was, in this run or the next. Without --version the latest release is
    fetched. Exit status 3: there is nothing newer than --current-version.
    """
    wanted = _Wish(app_id, **wish)
    if wanted.version and wanted.current_version:
        raise click.UsageError("give --version or --current-version, not both")

    into_folder = output.is_dir()

    async def work(client: UpdateClient) -> CheckResult | tuple[Release, FetchedFile]:
        release = await wanted.find(client)
        if isinstance(release, CheckResult):
            return release
        target = output
        if into_folder:
            plain = f"{app_id}-{release.version}-{release.machine.platform}-{release.machine.architecture}"
            target = output / (await client.find_file_name(release) or plain)
        with progress_bar(target.name) as progress:
            return release, await client.fetch(release, target, progress)

    outcome = remote.run(work)
    if isinstance(outcome, CheckResult):
        show_check(remote, outcome)
        return
    release, fetched = outcome
    remote.show(
        {"version": release.version, **as_plain(release.machine), **as_plain(fetched)},
        [
            ("fetched", f"{app_id} {release.version} {release.machine}"),
            ("file", fetched.path),
            ("bytes", fetched.size_bytes),
            ("resumed at", fetched.resumed_bytes or None),
            (f"{fetched.checksum_type} verified", fetched.checksum),
        ],
    )


@dataclass(frozen=True)
class _Wish:
    app_id: str
    version: str | None
    current_version: str | None
    machine: Machine
    allow_prerelease: bool

    async def find(self, client: UpdateClient) -> Release | CheckResult:
        """Find the release to fetch; the server's answer itself when it has nothing newer."""
        prerelease = self.allow_prerelease
        if self.version:
            return await client.get_release(self.app_id, self.version, self.machine)
        if self.current_version is None:
            return await client.latest(self.app_id, self.machine, allow_prerelease=prerelease)
        result = await client.check(self.app_id, self.current_version, self.machine, allow_prerelease=prerelease)
        return result.release or result
