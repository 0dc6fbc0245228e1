"""`updater release`: the builds of an application."""

from __future__ import annotations

from typing import Any

import click

from updater.cli.output import as_plain, in_minutes, print_table
from updater.cli.remote import JsonObject, Remote, remote_options, target_options
from updater.client import (
    ARCHITECTURES,
    PLATFORMS,
    BuildQuery,
    ExternalBuild,
    Target,
)

SORT_FIELDS = ("version", "release_date", "platform", "architecture", "created_at")


@click.group()
def release() -> None:
    """List, register, delete releases."""


@release.command("list")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--version", help="Only this version.")
@click.option("--platform", type=click.Choice(PLATFORMS), help="Only this system.")
@click.option("--arch", "architecture", type=click.Choice(ARCHITECTURES), help="Only this processor.")
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
        (each.version, each.target, in_minutes(as_plain(each.release_date)), each.required, each.file_size_bytes)
        for each in page.items
    ]
    print_table(("version", "target", "released", "required", "bytes"), rows)


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
