"""`updater release`: the releases of an application, and their builds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import click

from updater.cli.output import as_plain, print_table
from updater.cli.plans import rollout_options
from updater.cli.remote import (
    JsonObject,
    Remote,
    channel_option,
    reason_option,
    release_options,
    remote_options,
    target_options,
)
from updater.cli.targets import ARCHITECTURE, PLATFORM
from updater.cli.words import as_percent, release_rows
from updater.client import (
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
    """List, register, promote, withdraw releases."""


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
    _do(remote, "release", lambda client: client.rollouts.get_release(app_id, version))


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
@target_options(required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@remote_options
def delete_release(remote: Remote, app_id: str, version: str, target: Target, yes: bool) -> None:
    """Delete one build. Needs an admin key.

    \f
    Raises:
        Abort: the answer was no. ClickException: with status 5 when there is no such build, 4 without such a key.
    """
    what = f"{app_id} {version} {target}"
    if not yes:
        click.confirm(f"Delete {what}?", abort=True, err=True)
    remote.run(lambda client: client.delete_release(app_id, version, target))
    document = {"application": app_id, "version": version, **as_plain(target), "deleted": True}
    remote.show(document, [("deleted", what)])
