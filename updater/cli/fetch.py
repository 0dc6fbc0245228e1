"""`updater fetch`: a verified file on this disk, however often the line breaks."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from updater.cli.check import show_check
from updater.cli.exits import Exit
from updater.cli.output import as_plain, progress_bar
from updater.cli.remote import Remote, client_options, remote_options, target_options
from updater_client import Build, CheckResult, FetchedFile, Target, UpdateClient
from updater_client.download import safe_file_name

_STDOUT = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


@click.command(short_help="Download a release: resumes, verifies.")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--version", help="This version.  [default: the latest]")
@click.option("--current-version", help="What is installed: fetch only what the server offers to it.")
@target_options(required=False)
@click.option("--allow-prerelease", is_flag=True, help="Also take pre-releases.")
@click.option(
    "--output",
    default=".",
    help="File, folder or device to write to, - for stdout.  [default: this folder, under the file's own name]",
)
@client_options
@remote_options
def fetch(remote: Remote, app_id: str, output: str, client_id: str | None, channel: str | None, **wish: Any) -> None:
    """Download a release, verify its checksum, and only then give it its name.

    What it replaces keeps its mode; a device or a pipe is written into. Cut off, it goes on where it was, in this
    run or the next. Without --version the latest release is fetched. Exit status 3: there is nothing newer than
    --current-version.

    \f
    Raises:
        UsageError: both versions are given. Exit: with status 3 as above.
        ClickException: with status 9 when other bytes came, 10 when the file cannot be written.
    """
    wanted = _Wish(app_id, **wish)
    if wanted.version and wanted.current_version:
        raise click.UsageError("give --version or --current-version, not both")

    place, is_folder = _read_output(output)

    async def _work(client: UpdateClient) -> CheckResult | tuple[Build, FetchedFile]:
        build = await wanted.find(client)
        if isinstance(build, CheckResult):
            return build
        path = place
        if is_folder:
            generated = f"{app_id}-{build.version}-{build.target.platform}-{build.target.architecture}"
            path = place / (await client.find_file_name(build) or safe_file_name(generated) or "download")
        with progress_bar(path.name) as progress:
            return build, await client.fetch(build, path, progress)

    outcome = remote.run(_work, client_id=client_id, channel=channel)
    if isinstance(outcome, CheckResult):
        show_check(remote, outcome)
        return
    build, fetched = outcome
    if str(fetched.path) in _STDOUT:  # the file is there, and nothing else
        remote = replace(remote, results_to_stderr=True)
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


def _read_output(output: str) -> tuple[Path, bool]:
    """Return the path that `--output` means, and whether it is a folder.

    Raises:
        ClickException: with status 10 for a folder that is not there.
    """
    if output == "-":
        return Path("/dev/stdout"), False
    path = Path(output)
    if not path.is_dir() and output.endswith(("/", os.sep)):
        failure = click.FileError(output, "no such folder")
        failure.exit_code = int(Exit.LOCAL_FILE)  # type: ignore[misc]  # click declares it per class
        raise failure
    return path, path.is_dir()


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
