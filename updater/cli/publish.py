"""`updater publish`: a file becomes a build that clients are offered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from updater.cli.output import as_plain, progress_bar
from updater.cli.plans import rollout_options
from updater.cli.remote import JsonObject, Remote, channel_option, remote_options, target_options
from updater.cli.words import as_percent
from updater.client import NewApplication, NewBuild, PublishedBuild, RolloutPlan, Target, UpdateClient


@click.command(short_help="Upload a file as one build of a release.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--version", required=True, help="Version of the release.")
@target_options(required=True)
@click.option("--notes", help="Release notes.")
@click.option("--notes-file", type=click.File("rb"), help="Release notes from a UTF-8 file, - for stdin.")
@click.option("--required", is_flag=True, help="Clients must take this release.")
@click.option("--minimum-version", help="Oldest version that can be updated to this one.")
@click.option("--metadata", type=JsonObject(), default="{}", help="A JSON object to keep with the build.")
@channel_option
@rollout_options
@click.option("--create", is_flag=True, help="Create the application, for all platforms, if it is not there.")
@click.option("--name", help="Name of the application to create.  [default: its id]")
@remote_options
def publish(
    remote: Remote,
    app_id: str,
    create: bool,
    name: str | None,
    **build: Any,
) -> None:
    """Upload FILE as the build of one version for one platform and architecture.

    The SHA-256 is computed here first and verified by the server. The same bytes once more are a success that
    changes nothing; other bytes for a version that is published are refused. Further builds of a release have its
    channel and its rollout.

    \f
    Raises:
        UsageError: --name without --create, both kinds of notes, or both kinds of rollout.
        ClickException: with status 6 when the build exists, 10 when FILE cannot be read or changed meanwhile.
    """
    if name is not None and not create:
        raise click.UsageError("--name goes with --create")
    new_build = _build(**build)
    application = NewApplication(app_id, name or app_id) if create else None

    async def _work(client: UpdateClient) -> PublishedBuild:
        with progress_bar(new_build.path.name) as progress:
            return await client.publish(app_id, new_build, create=application, progress=progress)

    published = remote.run(_work)
    document = as_plain(published)
    if not published.repeated:
        del document["channel"], document["percent"]
    remote.show(
        document,
        [
            ("published", f"{app_id} {published.version} {published.target}{_ALREADY if published.repeated else ''}"),
            ("offered to", _audience(published, new_build)),
            ("bytes", published.file_size_bytes),
            (published.checksum_type, published.checksum),
            ("download", published.download_url),
        ],
    )


def _audience(published: PublishedBuild, asked: NewBuild) -> str | None:
    """Say for whom a release is: one that was there already may be for others than was asked."""
    if published.repeated:
        if published.percent is None:
            return None
        return f"{as_percent(published.percent)} of the clients on {published.channel}"
    if isinstance(asked.rollout, int | float):
        return f"{as_percent(asked.rollout)} of the clients"
    return None if asked.rollout is None else "the clients that its plan says"


_ALREADY = ", already, with these very bytes; it stays as it was"


def _build(
    *,
    file: Path,
    version: str,
    target: Target,
    notes: str | None,
    notes_file: Any,
    required: bool,
    minimum_version: str | None,
    metadata: dict[str, Any],
    channel: str | None,
    rollout: RolloutPlan | None,
) -> NewBuild:
    if notes is not None and notes_file is not None:
        raise click.UsageError("give --notes or --notes-file, not both")
    if notes_file is not None:
        try:
            notes = notes_file.read().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise click.UsageError("the notes file is not UTF-8") from None
    return NewBuild(file, version, target, notes or "", required, minimum_version, metadata, channel, rollout)
