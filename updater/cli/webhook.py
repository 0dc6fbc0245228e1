"""`updater webhook`: who is told what happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from updater.cli.exits import Exit
from updater.cli.output import print_table
from updater.cli.remote import Remote, remote_options

_app = click.option("--app", "app_id", help="Of this application.  [default: of the whole server]")


@click.group()
def webhook() -> None:
    """Tell programs and chats what happens. Needs a key of level admin."""


@webhook.command("create")
@click.argument("url")
@_app
@click.option("--event", "events", multiple=True, help="May be given several times.  [default: all events]")
@click.option("--form", default="auto", show_default=True, help="standard, slack, teams, discord; auto: by the host.")
@click.option("--name", default="", help="What people call it.")
@remote_options
def create_webhook(remote: Remote, url: str, app_id: str | None, events: tuple[str, ...], form: str, name: str) -> None:
    """Send events to URL from now on, and print the secret that signs them, this once.

    \f
    Raises:
        ClickException: with status 7 for a value that does not fit, 5 when there is no such application.
    """
    fields = {"url": url, "events": list(events), "form": form, "name": name}
    made = remote.run(lambda client: client.webhooks.create(app_id, fields))
    remote.show(made, [("id", made["id"]), ("secret", made["secret"])])


@webhook.command("list")
@_app
@remote_options
def list_webhooks(remote: Remote, app_id: str | None) -> None:
    """List webhooks, oldest first.

    \f
    Raises:
        ClickException: with status 5 when there is no such application.
    """
    found = remote.run(lambda client: client.webhooks.list_all(app_id))
    if remote.as_json:
        remote.show(found, [])
        return
    rows = [
        (each["id"], each["name"], each["url"], each["state"], each["next_at"] or "", each["last_error"] or "")
        for each in found["webhooks"]
    ]
    print_table(("id", "name", "url", "state", "next try", "last error"), rows)


@webhook.command("test")
@click.argument("webhook_id")
@remote_options
def test_webhook(remote: Remote, webhook_id: str) -> None:
    """Send one event to WEBHOOK_ID now.

    \f
    Raises:
        ClickException: with status 1 when it is not taken, 5 when there is no such webhook.
    """
    tried = remote.run(lambda client: client.webhooks.test(webhook_id))
    if tried["error"] is not None:
        remote.fail(f"not delivered: {tried['error']}", Exit.FAILURE, dict(tried))
    remote.show(tried, [("delivered", f"answered {tried['status']} after {tried['duration_ms']} ms")])


@webhook.command("replay")
@click.argument("webhook_id")
@click.option("--event", help="Id of the first event.")
@click.option("--since", help="Or a time, such as 2026-01-31T12:00:00Z.")
@remote_options
def replay_webhook(remote: Remote, webhook_id: str, event: str | None, since: str | None) -> None:
    """Send events again from a point on; without one go on where WEBHOOK_ID is parked.

    \f
    Raises:
        ClickException: with status 7 for a point that does not fit, 5 when there is no such webhook.
    """
    _show(remote, remote.run(lambda client: client.webhooks.replay(webhook_id, event=event, since=since)))


@webhook.command("delete")
@click.argument("webhook_id")
@remote_options
def delete_webhook(remote: Remote, webhook_id: str) -> None:
    """Delete WEBHOOK_ID.

    \f
    Raises:
        ClickException: with status 6 for `config.notification_url` of an application, 5 when there is no such webhook.
    """
    remote.run(lambda client: client.webhooks.delete(webhook_id))
    remote.show({"deleted": webhook_id}, [("deleted", webhook_id)])


def _show(remote: Remote, item: Mapping[str, Any]) -> None:
    remote.show(item, [(name, item[name]) for name in ("id", "name", "url", "state")])
