"""`updater key`: make, list and revoke API keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from updater.cli.operate import config_option, operate
from updater.cli.output import print_json, print_table
from updater.times import in_minutes


@click.group()
def key() -> None:
    """Make, list and revoke API keys. Needs access to the data folder, no key."""


@key.command()
@click.argument("name")
@click.option(
    "--level", type=click.Choice(["feed", "read", "write", "admin"]), required=True, help="What the key may do."
)
@click.option("--app", "application", help="Limit the key to one application; a feed key needs it.")
@click.option("--expires-days", type=click.FloatRange(min=0, min_open=True), help="Let the key expire.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def create(
    name: str, level: str, application: str | None, expires_days: float | None, as_json: bool, config: Path | None
) -> None:
    """Make a key for NAME and print it, this once.

    \f
    Raises:
        SystemExit: with status 7 when a value does not fit.
    """
    made = operate(config, "key.create", name=name, level=level, application=application, expires_days=expires_days)
    if as_json:
        print_json(made)
    else:
        click.echo(f"key {made['id']} for {name} ({level}); keep it, it is shown only now:", err=True)
        click.echo(made["key"])


@key.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@config_option
def list_keys(as_json: bool, config: Path | None) -> None:
    """List all keys, revoked ones too, without their texts.

    \f
    Raises:
        ClickException: settings or data folder cannot be used.
        SystemExit: with status 8 when the database does not answer.
    """
    found = operate(config, "key.list")
    if as_json:
        print_json(found)
    else:
        rows = [
            (
                each["id"],
                each["name"],
                each["level"],
                each["application"],
                _state(each),
                in_minutes(each["last_used_at"]),
            )
            for each in found
        ]
        print_table(("id", "name", "level", "application", "state", "last used"), rows)


def _state(each: Mapping[str, Any]) -> str:
    """Say whether a key opens anything, and the day that decides; --json has all times."""
    if each["revoked_at"]:
        return f"revoked {each['revoked_at'][:10]}"
    if each["expires_at"]:
        return f"until {each['expires_at'][:10]}"
    return "unlimited"


@key.command()
@click.argument("key_id", type=int)
@config_option
def revoke(key_id: int, config: Path | None) -> None:
    """Revoke the key with id KEY_ID, at once.

    \f
    Raises:
        SystemExit: with status 5 when no usable key has this id.
    """
    operate(config, "key.revoke", key_id=key_id)
    click.echo(f"key {key_id} is revoked")
