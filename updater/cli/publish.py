"""`updater publish`: a file becomes a build that clients are offered, a folder a release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from updater.cli.output import as_plain, progress_bar
from updater.cli.plans import rollout_options
from updater.cli.remote import JsonObject, Remote, remote_options, require_option
from updater.cli.targets import ARCHITECTURE_OF_FILE, PLATFORM, UNIVERSAL
from updater.rollouts.words import as_percent
from updater_client import NewApplication, NewBuild, PublishedBuild, RolloutPlan, Target, UpdateClient


@click.command(short_help="Upload a file as one build, or a folder as a release.")
@click.argument("file", metavar="FILE|FOLDER", type=click.Path(exists=True, path_type=Path))
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--version", help="Version of the release.  [required with a file]")
@click.option("--platform", type=PLATFORM, help="System: of the file, or of those in a folder that tell none.")
@click.option("--arch", type=ARCHITECTURE_OF_FILE, help="Processor: of the file, or of those that tell none.")
@click.option("--notes", help="Release notes.")
@click.option("--notes-file", type=click.File("rb"), help="Release notes from a UTF-8 file, - for stdin.")
@click.option("--required", is_flag=True, help="Clients must take this release.")
@click.option("--minimum-version", help="Oldest version that can be updated to this one.")
@click.option("--metadata", type=JsonObject(), default="{}", help="A JSON object to keep with the build.")
@click.option(
    "--channel",
    help="Channel of the release.  [default: that of its other builds, else what a folder says, else the "
    "application's first]",
)
@rollout_options
@click.option("--draft", is_flag=True, help="Leave it a draft, which `updater release publish` makes live.")
@click.option("--include", multiple=True, metavar="GLOB", help="Of a folder: only what this fits, whatever it is.")
@click.option("--exclude", multiple=True, metavar="GLOB", help="Of a folder: not what this fits.")
@click.option("--dry-run", is_flag=True, help="Show what would be published of a folder, and send nothing.")
@click.option("--yes", is_flag=True, help="Do not ask whether the plan of a folder is right.")
@click.option("--create", is_flag=True, help="Create the application, for all platforms, if it is not there.")
@click.option("--name", help="Name of the application to create.  [default: its id]")
@remote_options
def publish(
    remote: Remote,
    file: Path,
    app_id: str,
    create: bool,
    name: str | None,
    notes: str | None,
    notes_file: Any,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    **given: Any,
) -> None:
    """Upload FILE as the build of one version for one platform and architecture.

    The SHA-256 is computed here first and verified by the server. The same bytes once more are a success that
    changes nothing; other bytes for a version that is published are refused. A large file goes on where an earlier run
    stopped. Further builds of a release have its
    channel and its rollout.

    Upload FOLDER as a release: what electron-builder, Tauri, Velopack, Squirrel, Sparkle or zsyncmake left in it. The
    plan is shown first; then everything goes into a draft, which becomes live as one step. Files that are there are
    not sent again.

    \f
    Raises:
        UsageError: --name without --create, both kinds of notes or of rollout, or an option that goes with the other.
        ClickException: with status 6 when the build exists, 10 when FILE cannot be read or changed meanwhile.
    """
    if name is not None and not create:
        raise click.UsageError("--name goes with --create")
    application = NewApplication(app_id, name or app_id) if create else None
    text = _read_notes(notes, notes_file)
    if not file.is_dir():
        for option, value in (("--include", include), ("--exclude", exclude), ("--dry-run", dry_run)):
            if value:
                raise click.UsageError(f"{option} goes with a folder")
        _publish_file(remote, app_id, application, _build(file=file, notes=text, **given))
        return
    if given["draft"] and given["rollout"] is not None:
        raise click.UsageError("a draft is offered to nobody: give the rollout to `updater release publish`")
    from updater.cli.folder import Order, publish_folder
    from updater_client.folder.model import Wishes
    from updater_client.folder.sending import Details

    wishes = Wishes(
        given["version"], given["channel"], text, given["platform"], given["arch"], tuple(include), tuple(exclude)
    )
    details = Details(None, given["required"], given["minimum_version"], given["metadata"])
    order = Order(app_id, wishes, details, application, given["rollout"], given["draft"], dry_run, yes)
    publish_folder(remote, file, order)


def _publish_file(remote: Remote, app_id: str, application: NewApplication | None, new_build: NewBuild) -> None:
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
    if asked.draft:
        return "nobody, while the release is a draft"
    if published.repeated:
        if published.percent is None:
            return None
        return f"{as_percent(published.percent)} of the clients on {published.channel}"
    if isinstance(asked.rollout, int | float):
        return f"{as_percent(asked.rollout)} of the clients"
    return None if asked.rollout is None else "the clients that its plan says"


_ALREADY = ", already, with these very bytes; it stays as it was"


def _read_notes(notes: str | None, notes_file: Any) -> str | None:
    if notes is not None and notes_file is not None:
        raise click.UsageError("give --notes or --notes-file, not both")
    if notes_file is None:
        return notes
    try:
        text: str = notes_file.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise click.UsageError("the notes file is not UTF-8") from None
    return text


def _build(
    *,
    file: Path,
    version: str | None,
    platform: str | None,
    arch: str | None,
    notes: str | None,
    required: bool,
    minimum_version: str | None,
    metadata: dict[str, Any],
    channel: str | None,
    rollout: RolloutPlan | None,
    draft: bool,
) -> NewBuild:
    version, platform = require_option("version", version), require_option("platform", platform)
    arch = require_option("arch", arch)
    target = Target(platform, "amd64" if arch == UNIVERSAL else arch)
    also = ("arm64",) if arch == UNIVERSAL else ()
    given = (required, minimum_version, metadata, channel, rollout)
    return NewBuild(file, version, target, notes or "", *given, also=also, draft=draft)
