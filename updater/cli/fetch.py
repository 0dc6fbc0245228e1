"""`updater fetch`: a verified file on this disk, however often the line breaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from updater.cli.check import show_check
from updater.cli.output import as_plain, progress_bar
from updater.cli.remote import Remote, remote_options, target_options
from updater.client import Build, CheckResult, FetchedFile, Target, UpdateClient


@click.command(short_help="Download a release: resumes, verifies.")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--version", help="This version.  [default: the latest]")
@click.option("--current-version", help="What is installed: fetch only what the server offers to it.")
@target_options(required=False)
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

    \f
    Raises:
        UsageError: both versions are given. Exit: with status 3 as above.
        ClickException: with status 9 when other bytes came, 10 when the file cannot be written.
    """
    wanted = _Wish(app_id, **wish)
    if wanted.version and wanted.current_version:
        raise click.UsageError("give --version or --current-version, not both")

    into_folder = output.is_dir()

    async def _work(client: UpdateClient) -> CheckResult | tuple[Build, FetchedFile]:
        build = await wanted.find(client)
        if isinstance(build, CheckResult):
            return build
        path = output
        if into_folder:
            plain = f"{app_id}-{build.version}-{build.target.platform}-{build.target.architecture}"
            path = output / (await client.find_file_name(build) or plain)
        with progress_bar(path.name) as progress:
            return build, await client.fetch(build, path, progress)

    outcome = remote.run(_work)
    if isinstance(outcome, CheckResult):
        show_check(remote, outcome)
        return
    build, fetched = outcome
    remote.show(
        {"version": build.version, **as_plain(build.target), **as_plain(fetched)},
        [
            ("fetched", f"{app_id} {build.version} {build.target}"),
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
    target: Target
    allow_prerelease: bool

    async def find(self, client: UpdateClient) -> Build | CheckResult:
        """Find the build to fetch.

        Returns:
            The server's answer instead, when it has nothing newer than the current version.
        """
        prerelease = self.allow_prerelease
        if self.version:
            return await client.get_release(self.app_id, self.version, self.target)
        if self.current_version is None:
            return await client.latest(self.app_id, self.target, allow_prerelease=prerelease)
        result = await client.check(self.app_id, self.current_version, self.target, allow_prerelease=prerelease)
        return result.build or result
