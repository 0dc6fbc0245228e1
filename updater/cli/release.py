"""`updater release`: the releases of an application, and their builds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import click

from updater.cli.output import as_plain, in_bytes, print_rows, print_table
from updater.cli.plans import rollout_options
from updater.cli.remote import (
    JsonObject,
    Remote,
    channel_option,
    reason_option,
    release_options,
    remote_options,
    require_option,
    target_options,
)
from updater.cli.targets import ARCHITECTURE, PLATFORM, Required
from updater.cli.words import feed_rows, release_rows
from updater.rollouts.words import as_percent
from updater_client import (
    BuildQuery,
    ExternalBuild,
    ListedBuild,
    RolloutPlan,
    Target,
    UpdateClient,
)

SORT_FIELDS = ("version", "release_date", "platform", "architecture", "created_at")


@click.group()
def release() -> None:
    """List, register, publish, promote, withdraw releases."""


@release.command("list")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--version", help="Only this version.")
@click.option("--platform", type=PLATFORM, help="Only this system.")
@click.option("--arch", "architecture", type=ARCHITECTURE, help="Only this processor.")
@click.option("--channel", help="Only those on this channel.")
@click.option("--required/--not-required", default=None, help="Only those that must, or need not, be taken.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
@click.option("--sort-by", type=click.Choice(SORT_FIELDS), default="release_date", show_default=True)
@click.option("--sort-order", type=click.Choice(("asc", "desc")), default="desc", show_default=True)
@remote_options
def list_releases(remote: Remote, app_id: str, **filters: Any) -> None:
    """List releases; --json has their addresses too. Needs a key that may read.

    \f
    Raises:
        ClickException: with status 5 when there is no such application, 4 without such a key.
    """

    page = remote.run(lambda client: client.list_releases(app_id, BuildQuery(**filters)))
    if remote.as_json:
        remote.show(page, [])
        return
    rows = [
        (
            each.version,
            each.target,
            (as_plain(each.release_date) or "")[:10],
            each.required,
            each.file_size_bytes,
            each.channel,
            _audience(each),
        )
        for each in page.items
    ]
    print_table(("version", "target", "released", "required", "bytes", "channel", "for"), rows)


def _audience(build: ListedBuild) -> str | None:
    if build.status not in (None, "active"):
        return build.status
    return None if build.percent is None else "all" if build.percent == 100 else as_percent(build.percent)


@release.command("register")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--version", required=True, help="Version of the release.")
@target_options(required=True)
@click.option("--url", "download_url", required=True, help="Where the file lies.")
@click.option("--checksum", required=True, help="The file's checksum, in hex or base64.")
@click.option(
    "--checksum-type",
    type=click.Choice(("sha256", "sha512", "sha1", "md5")),
    default="sha256",
    show_default=True,
)
@click.option("--size", "file_size_bytes", type=click.IntRange(0), help="The file's size in bytes.")
@click.option("--notes", "release_notes", default="", help="Release notes.")
@click.option("--required", is_flag=True, help="Clients must take this release.")
@click.option("--minimum-version", help="Oldest version that can be updated to this one.")
@click.option("--metadata", type=JsonObject(), default="{}", help="A JSON object to keep with the build.")
@channel_option
@rollout_options
@remote_options
def register_release(remote: Remote, app_id: str, **build: Any) -> None:
    """Announce a build whose file lies on another host.

    \f
    Raises:
        ClickException: with status 6 when the build exists, 7 for a value that does not fit.
    """
    external = ExternalBuild(**build)
    receipt = remote.run(lambda client: client.register(app_id, external))
    what = f"{app_id} {external.version} {external.target}"
    already = ", already, with this address and checksum; it stays as it was" if receipt.repeated else ""
    document: dict[str, Any] = {"id": receipt.id, "created_at": receipt.created_at}
    if receipt.repeated:
        document["repeated"] = True
    remote.show(document, [("registered", what + already), ("id", receipt.id)])


@release.command("show")
@release_options
@remote_options
def show_release(remote: Remote, app_id: str, version: str) -> None:
    """Show one release: its channel, its builds, for whom it is. Needs a key that may read.

    \f
    Raises:
        ClickException: with status 5 when there is no such release, 4 without such a key.
    """

    async def _ask(client: UpdateClient) -> tuple[Mapping[str, Any], tuple[ListedBuild, ...]]:
        found = await client.rollouts.get_release(app_id, version)
        return found, await client.releases.list_builds(app_id, version)

    found, builds = remote.run(_ask)
    if remote.as_json:
        remote.show({**found, "files": {str(each.target): as_plain(each.files or ()) for each in builds}}, [])
        return
    remote.show(found, [("release", f"{found['application_id']} {found['version']}"), *release_rows(found)])
    rows = [
        (each.target, file.name, f"{file.kind}, primary" if file.primary else file.kind, in_bytes(file.size_bytes),
         " ".join(file.signatures))
        for each in builds
        for file in each.files or ()
    ]  # fmt: skip
    if rows:
        print_table(("target", "file", "kind", "size", "signed"), rows)
    print_rows(feed_rows({str(each.target): each.feeds or {} for each in builds}))


@release.command("publish")
@click.argument("app_id", metavar="APP")
@click.argument("version")
@click.option(
    "--require",
    multiple=True,
    type=Required(),
    metavar="TARGET[/FILE]",
    help="What must be there, such as windows/amd64 or macos/arm64/App.zip; may be given several times.",
)
@rollout_options
@reason_option
@remote_options
def publish_release(
    remote: Remote,
    app_id: str,
    version: str,
    require: tuple[str, ...],
    rollout: RolloutPlan | None,
    reason: str | None,
) -> None:
    """Make a draft live with all its builds and files, as one step. One that is live stays as it is.

    \f
    Raises:
        ClickException: with status 6 when something that is required is missing, or the release is withdrawn, 5 when
            there is no such release.
    """
    found = remote.run(
        lambda client: client.releases.publish(app_id, version, require=require, rollout=rollout, reason=reason)
    )
    what = f"{app_id} {found['version']}, {found.get('builds')} builds, {found.get('files')} files"
    remote.show(found, [("published", what), *feed_rows(found.get("feeds") or {})])


@release.command("promote")
@release_options
@click.option("--channel", required=True, help="The more stable channel to move it to.")
@rollout_options
@reason_option
@remote_options
def promote_release(
    remote: Remote, app_id: str, version: str, channel: str, rollout: RolloutPlan | None, reason: str | None
) -> None:
    """Move a release to a more stable channel: the same bytes, for more clients.

    Its rollout goes on as it is, unless another one is given.

    \f
    Raises:
        ClickException: with status 6 for a less stable channel, 7 for none of the application's, 5 when there is no
            such release.
    """
    _do(
        remote,
        "promoted",
        lambda client: client.rollouts.promote(app_id, version, channel, rollout=rollout, reason=reason),
    )


@release.command("withdraw")
@release_options
@reason_option
@remote_options
def withdraw_release(remote: Remote, app_id: str, version: str, reason: str | None) -> None:
    """Take a release back, at once: nobody is offered it, nobody can download it. Its bytes stay.

    \f
    Raises:
        ClickException: with status 5 when there is no such release, 4 without a key that may write.
    """
    _do(remote, "withdrawn", lambda client: client.rollouts.withdraw(app_id, version, reason=reason))


@release.command("restore")
@release_options
@rollout_options
@reason_option
@remote_options
def restore_release(remote: Remote, app_id: str, version: str, rollout: RolloutPlan | None, reason: str | None) -> None:
    """Offer a withdrawn release again, with the rollout that it had unless another one is given. Needs an admin key.

    \f
    Raises:
        ClickException: with status 6 for one that is active when a rollout is given, 5 when there is no such release.
    """
    _do(remote, "restored", lambda client: client.rollouts.restore(app_id, version, rollout=rollout, reason=reason))


def _do(remote: Remote, verb: str, call: Callable[[UpdateClient], Awaitable[Mapping[str, Any]]]) -> None:
    found = remote.run(call)
    remote.show(found, [(verb, f"{found['application_id']} {found['version']}"), *release_rows(found)])


@release.command("delete")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--version", required=True, help="Version of the release.")
@click.option("--platform", type=PLATFORM, help="System of the build.  [required without --all]")
@click.option("--arch", "architecture", type=ARCHITECTURE, help="Processor of the build.  [required without --all]")
@click.option("--file", "file_name", help="Of the build only this file, which is not its primary one.")
@click.option("--all", "everything", is_flag=True, help="The whole release, with all its builds.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@remote_options
def delete_release(
    remote: Remote,
    app_id: str,
    version: str,
    platform: str | None,
    architecture: str | None,
    file_name: str | None,
    everything: bool,
    yes: bool,
) -> None:
    """Delete one build, one file of it, or a whole release. Needs an admin key; of a draft, one that may write.

    \f
    Raises:
        UsageError: --all with a build, or neither. Abort: the answer was no.
        ClickException: with status 5 when there is no such thing, 4 without such a key.
    """
    target = None
    if not everything:
        target = Target(require_option("platform", platform), require_option("architecture", architecture))
    elif platform or architecture or file_name:
        raise click.UsageError("--all deletes the whole release: give no build or file with it")
    what = " ".join(str(each) for each in (app_id, version, target, file_name) if each)
    if not yes:
        click.confirm(f"Delete {what}?", abort=True, err=True)

    async def _delete(client: UpdateClient) -> None:
        if target is None:
            await client.releases.delete(app_id, version)
        elif file_name is None:
            await client.delete_release(app_id, version, target)
        else:
            await client.releases.delete_file(app_id, version, target, file_name)

    remote.run(_delete)
    document = {"application": app_id, "version": version, **(as_plain(target) if target else {})}
    document |= {"file": file_name} if file_name else {}
    remote.show({**document, "deleted": True}, [("deleted", what)])
