"""`updater explain`: why does this client get that?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from updater.cli.output import print_rows
from updater.cli.remote import Remote, client_options, remote_options, target_options
from updater.cli.words import wrapped
from updater_client import Target

_REQUIRED = {
    "build": "its build says so",
    "skipped": "a required release lies on the way",
    "application": "the application's required_update is set",
    "min_version": "the client is below the application's min_version",
}


@click.command(short_help="Say what a client is offered, and why.")
@click.option("--app", "app_id", required=True, help="Application id.")
@click.option("--current-version", required=True, help="The version that the client has.")
@target_options(required=False)
@client_options
@click.option("--address", help="The client's address; it counts when there is no --client-id.")
@click.option("--manual", is_flag=True, help="As if a person asked: past the percent of a rollout.")
@click.option("--allow-prerelease", is_flag=True, help="As if the client takes pre-releases.")
@remote_options
def explain(remote: Remote, app_id: str, current_version: str, target: Target, **client: Any) -> None:
    """Say what a client is offered, and why, release by release. Counts as no check. Needs a key that may read.

    \f
    Raises:
        ClickException: with status 5 when there is no such application, 7 for a value that does not fit.
    """
    found = remote.run(lambda caller: caller.rollouts.explain(app_id, current_version, target, **client))
    if remote.as_json:
        remote.show(found, [])
        return
    print_rows(_rows(found))


def _rows(found: Mapping[str, Any]) -> list[tuple[str, Any]]:
    identity, channel, answer = found["identity"], found["channel"], found["answer"]
    used = channel["used"]
    if channel["why"] == "unknown":
        used = f"{used}, since there is no channel {channel['asked']}"
    also = [text for text, holds in (("pre-releases", found["prereleases"]), ("by hand", found["manual"])) if holds]
    offer = answer["latest_version"] if answer["update_available"] else "no update"
    because = found["required_because"]
    rows = [
        ("client", f"{found['current_version']} {found['platform']}/{found['architecture']}"),
        ("known by", f"{identity['kind']} {identity['value']}"),
        ("channel", used),
        ("asks for", ", ".join(also) or None),
        ("gets", offer),
        ("required", None if because is None else _REQUIRED.get(because, because)),
    ]
    rows += [
        (each["version"], wrapped(f"{each['verdict']}: {each['text'].removeprefix(each['version'] + ': ')}"))
        for each in found["candidates"]
    ]
    return [(name, text) for name, text in rows if text is not None]
