"""`updater app`: applications."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from updater.cli.output import print_table
from updater.cli.plans import plan_options
from updater.cli.remote import JsonFile, JsonObject, Remote, remote_options
from updater.cli.targets import PLATFORM
from updater.rollouts.words import plan_in_words
from updater_client import (
    PLATFORMS,
    Application,
    ApplicationChanges,
    NewApplication,
    RolloutPlan,
    UpdateClient,
)

_platforms = click.option("--platform", "platforms", type=PLATFORM, multiple=True, help="May be given several times.")
_private = click.option(
    "--private/--no-private", default=None, help="Whether installed clients need a key too.  [default of new ones: no]"
)
_channels = click.option(
    "--channel",
    "channels",
    multiple=True,
    help="May be given several times, the most stable first; together they are the whole list.",
)
_default_rollout = plan_options(
    "--default-rollout",
    "--default-rollout-plan",
    "default_rollout",
    "Offer releases that are published without a rollout to this percent of the clients.",
)
_feeds = click.option(
    "--feeds", type=JsonFile(), help="File with a JSON object: what it says to Scoop and WinGet. Replaces all of it."
)
_minisign = click.option(
    "--minisign-key",
    "minisign_keys",
    multiple=True,
    metavar="FILE|TEXT",
    help="Public key that minisign signatures of files must fit: a file of minisign, or Tauri's pubkey. Up to 4.",
)
_ed25519 = click.option(
    "--ed25519-key",
    "ed25519_keys",
    multiple=True,
    metavar="TEXT",
    help="The same for ed25519 signatures: Sparkle's SUPublicEDKey. Up to 4.",
)
_config = click.option("--config", type=JsonObject(), help="Configuration as a JSON object.")


@click.group()
def app() -> None:
    """List, show, create, update, delete applications."""


@app.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True)
@remote_options
def list_applications(remote: Remote, limit: int, offset: int) -> None:
    """List applications. Needs a key that may read.

    \f
    Raises:
        ClickException: with status 4 without such a key.
    """

    page = remote.run(lambda client: client.list_applications(limit, offset))
    if remote.as_json:
        remote.show(page, [])
        return
    rows = [(item.id, item.name, item.platforms, item.updated_at) for item in page.items]
    print_table(("id", "name", "platforms", "updated"), rows)


@app.command("show")
@click.argument("app_id")
@remote_options
def show_application(remote: Remote, app_id: str) -> None:
    """Show one application with its configuration and figures.

    \f
    Raises:
        ClickException: with status 5 when there is no such application, 4 without a key that may read.
    """

    found = remote.run(lambda client: client.get_application(app_id))
    rows: list[tuple[str, Any]] = [
        ("id", found.id),
        ("name", found.name),
        ("description", found.description),
        ("platforms", found.platforms),
        ("channels", found.channels),
        ("default rollout", plan_in_words(found.default_rollout)),
        ("feeds", ", ".join(sorted(found.feeds)) if found.feeds else None),
        ("private", None if found.private is None else "yes" if found.private else "no"),
        *((f"{scheme} key", key.strip().splitlines()[-1]) for scheme, keys in _keys_of(found) for key in keys),
        ("created", found.created_at),
        ("updated", found.updated_at),
    ]
    for group in (found.config, found.stats):
        rows += sorted((group or {}).items())
    remote.show(found, rows)


@app.command("create")
@click.argument("app_id")
@click.option("--name", help="Name for people.  [default: the id]")
@click.option("--description", default="")
@_platforms
@_private
@_channels
@_default_rollout
@_feeds
@_minisign
@_ed25519
@_config
@remote_options
def create_application(
    remote: Remote,
    app_id: str,
    name: str | None,
    description: str,
    platforms: tuple[str, ...],
    private: bool | None,
    channels: tuple[str, ...],
    default_rollout: RolloutPlan | None,
    feeds: dict[str, Any] | None,
    minisign_keys: tuple[str, ...],
    ed25519_keys: tuple[str, ...],
    config: dict[str, Any] | None,
) -> None:
    """Create an application, for all platforms unless some are named.

    \f
    Raises:
        ClickException: with status 6 when the id is taken, 4 without a key that may write.
    """
    new = NewApplication(
        app_id,
        name or app_id,
        description,
        platforms or PLATFORMS,
        config or {},
        private,
        channels or None,
        default_rollout,
        feeds,
        _read_keys(minisign_keys, ed25519_keys) or None,
    )
    created = remote.run(lambda client: client.create_application(new))
    remote.show({"id": created.id, "created_at": created.created_at}, [("created", created.id)])


@app.command("update")
@click.argument("app_id")
@click.option("--name")
@click.option("--description")
@_platforms
@_private
@_channels
@_default_rollout
@click.option("--no-default-rollout", is_flag=True, help="Offer them to everybody again.")
@_feeds
@_minisign
@_ed25519
@click.option("--no-keys", is_flag=True, help="Take all public keys away; with new ones: those that are not given.")
@_config
@remote_options
def update_application(
    remote: Remote,
    app_id: str,
    platforms: tuple[str, ...],
    channels: tuple[str, ...],
    minisign_keys: tuple[str, ...],
    ed25519_keys: tuple[str, ...],
    no_keys: bool,
    **changes: Any,
) -> None:
    """Change what is given, leave the rest. Needs an admin key.

    The keys of one kind that are given are the whole list of that kind.

    \f
    Raises:
        UsageError: nothing to change is given. ClickException: with status 5 when there is no such application.
    """
    if changes["no_default_rollout"] and changes["default_rollout"] is not None:
        raise click.UsageError("give a default rollout or --no-default-rollout, not both")
    keys = _read_keys(minisign_keys, ed25519_keys)
    wanted = ApplicationChanges(platforms=platforms or None, channels=channels or None, **changes)
    if wanted == ApplicationChanges() and not keys and not no_keys:
        raise click.UsageError("nothing to change")

    async def _update(client: UpdateClient) -> None:
        # The server takes the keys of all kinds as one value.
        kept = (await client.get_application(app_id)).keys if keys and not no_keys else None
        changed = {**(kept or {}), **keys} if keys or no_keys else None
        await client.update_application(app_id, replace(wanted, keys=changed))

    _do(remote, "updated", app_id, _update)


@app.command("delete")
@click.argument("app_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@remote_options
def delete_application(remote: Remote, app_id: str, yes: bool) -> None:
    """Delete an application with all its releases. Needs an admin key.

    \f
    Raises:
        Abort: the answer was no. ClickException: with status 5 when there is no such application.
    """
    if not yes:
        click.confirm(f"Delete {app_id} and all its releases?", abort=True, err=True)
    _do(remote, "deleted", app_id, lambda client: client.delete_application(app_id))


def _read_keys(minisign: tuple[str, ...], ed25519: tuple[str, ...]) -> dict[str, list[str]]:
    """Return public keys by their kind; what names a file stands for its text."""
    given = {"minisign": minisign, "ed25519": ed25519}
    return {scheme: [_read_key(each) for each in keys] for scheme, keys in given.items() if keys}


def _read_key(given: str) -> str:
    path = Path(given)
    try:
        if len(given) > 1000 or "\n" in given or not path.is_file():
            return given
        return path.read_text().strip()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"the key file {given} cannot be read: {error}") from None


def _keys_of(application: Application) -> list[tuple[str, list[str]]]:
    return [(scheme, [str(key) for key in keys]) for scheme, keys in sorted((application.keys or {}).items())]


def _do(remote: Remote, verb: str, app_id: str, call: Callable[[UpdateClient], Awaitable[None]]) -> None:
    remote.run(call)
    remote.show({"id": app_id, verb: True}, [(verb, app_id)])
